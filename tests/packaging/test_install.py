"""`scripts/install.sh` on machines that lack things, played by stubs: nothing is fetched, nothing installed.

`PATH` holds stubs and a handful of POSIX tools only. Every stub Python writes what it was asked to a log.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TOOLS = ("sh", "sed", "printf", "dirname", "rm", "mkdir", "cp", "touch", "tail", "grep", "cat", "ls")

PYTHON = """#!/bin/sh
echo "${0##*/} $*" >> "$LOG"
case "$*" in
    *version_info*) exit %(recent)d ;;
    *sys.executable*) echo "stub 3.x"; exit 0 ;;
    "-m venv "*) mkdir -p "$3/bin"; %(venv)s ;;
    "-m virtualenv "*) shift 3; %(virtualenv)s ;;
    "-m pip --version") exit 0 ;;
    "-m pip install "*) case "$*" in %(pip)s) echo 'No matching distribution' >&2; exit 1 ;; esac ;;
    -) exit %(torch)d ;;
esac
"""
MAKE_VENV = 'mkdir -p "{0}/bin"; cp "$STUBS/inner" "{0}/bin/python"'
NO_ENSUREPIP = "echo 'ensurepip is not available' >&2; exit 1"


@dataclass
class Machine:
    """A project folder with the installer, and the stubs that make up a machine."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stubs, self.project = self.root / "stubs", self.root / "project"
        self.stubs.mkdir()
        self.project.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.stubs / tool).symlink_to(found)
        self.command("uname", "echo Linux")
        self.python("inner", pip="nothing")

    def command(self, name: str, body: str) -> None:
        """A stub command."""
        path = self.stubs / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def python(  # one switch per way in which a Python can fall short
        self,
        name: str,
        *,
        recent: bool = True,
        venv: str = MAKE_VENV.format("$3"),
        virtualenv: str = "echo 'No module named virtualenv' >&2; exit 1",
        pip: str = "nothing",
        torch: bool = False,
    ) -> None:
        """A stub Python; `pip` is the shell pattern of `pip install` commands that fail."""
        text = PYTHON % {
            "recent": not recent,
            "venv": venv,
            "virtualenv": virtualenv,
            "pip": pip,
            "torch": not torch,
        }
        (self.stubs / name).write_text(text)
        (self.stubs / name).chmod(0o755)

    def install(self, extra: str = "run", **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the installer."""
        paths = {"PATH": str(self.stubs), "LOG": str(self.root / "log"), "STUBS": str(self.stubs)}
        return subprocess.run(
            [self.stubs / "sh", self.project / "scripts" / "install.sh", extra],
            env={**paths, **environment},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    @property
    def log(self) -> list[str]:
        """What the stubs were asked, in order."""
        path = self.root / "log"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def installed(self) -> list[str]:
        """Arguments of every `pip install`, without the options that are always there."""
        common = r"python -m pip install --no-input --disable-pip-version-check -c \S*constraints.txt "
        return [re.sub(common, "", line) for line in self.log if "-m pip install" in line]

    @property
    def stamps(self) -> list[str]:
        """The stamps in the environment."""
        return sorted(path.name for path in (self.project / ".venv").glob(".installed-*"))


@pytest.fixture
def machine(tmp_path: Path, repository: Path) -> Machine:
    """A Linux machine without Python, uv, virtualenv and graphics card."""
    machine = Machine(tmp_path)
    shutil.copytree(repository / "scripts", machine.project / "scripts")
    (machine.project / "constraints.txt").write_text("numpy==2.0\ntorch==2.13.0\ntorchmetrics==9.9\n")
    return machine


# which Python


def test_the_first_python_that_runs_and_is_recent_is_taken(machine: Machine) -> None:
    machine.command("python3.14", "echo 'pyenv: python3.14: command not found' >&2; exit 127")
    machine.python("python3.13", recent=False)
    machine.python("python3.12")
    machine.python("python3")
    assert machine.install().returncode == 0
    assert "python3.12 -m venv .venv" in machine.log
    assert not [line for line in machine.log if line.startswith("python3 ")]


def test_plain_python_is_the_last_choice(machine: Machine) -> None:
    machine.python("python3", recent=False)
    machine.python("python")
    assert machine.install().returncode == 0
    assert "python -m venv .venv" in machine.log


def test_without_a_recent_python_it_stops(machine: Machine) -> None:
    machine.python("python3", recent=False)
    done = machine.install()
    assert done.returncode == 1
    assert "No Python 3.11 or newer" in done.stderr
    assert "make install PYTHON=" in done.stderr
    assert not (machine.project / ".venv").exists()


def test_a_named_python_is_taken_or_refused(machine: Machine) -> None:
    machine.python("python3.13")
    machine.python("mine")
    machine.python("old", recent=False)
    assert "PYTHON=old does not run or is older than 3.11" in machine.install(PYTHON="old").stderr
    assert machine.install(PYTHON="mine").returncode == 0
    assert "mine -m venv .venv" in machine.log


# how the environment is made


def uv(machine: Machine) -> None:
    machine.command("uv", f'echo "uv $*" >> "$LOG"; for last; do :; done; {MAKE_VENV.format("$last")}')


def test_without_ensurepip_uv_makes_the_environment(machine: Machine) -> None:
    machine.python("python3.12", venv=NO_ENSUREPIP)
    uv(machine)
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "uv venv --quiet --seed --python python3.12 .venv" in machine.log
    assert "not with `python3.12 -m venv .venv`: ensurepip is not available" in done.stderr


def test_an_environment_without_pip_counts_as_failed(machine: Machine) -> None:
    machine.python("python3.12", venv="exit 0")
    uv(machine)
    assert machine.install().returncode == 0
    assert [line for line in machine.log if line.startswith("uv venv")]


def test_then_virtualenv_as_a_module(machine: Machine) -> None:
    machine.python("python3.12", venv=NO_ENSUREPIP, virtualenv=MAKE_VENV.format("$1"))
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "python3.12 -m virtualenv --quiet .venv" in machine.log


def test_then_virtualenv_as_a_command(machine: Machine) -> None:
    machine.python("python3.12", venv=NO_ENSUREPIP)
    machine.command("virtualenv", f'echo "virtualenv $*" >> "$LOG"; {MAKE_VENV.format("$4")}')
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "virtualenv --quiet --python python3.12 .venv" in machine.log


def test_with_nothing_that_makes_one_the_message_needs_no_administrator(machine: Machine) -> None:
    machine.python("python3.12", venv=NO_ENSUREPIP)
    done = machine.install()
    assert done.returncode == 1
    assert "sudo" not in done.stderr
    for way in ("`uv`", "virtualenv.pyz", "make install PYTHON="):
        assert way in done.stderr
    assert not (machine.project / ".venv").exists()
    assert machine.installed == []


def test_somebody_elses_folder_is_not_deleted(machine: Machine) -> None:
    machine.python("python3.12")
    (machine.project / ".venv").mkdir()
    (machine.project / ".venv" / "precious").touch()
    done = machine.install()
    assert done.returncode == 1
    assert "Delete it and run this again:  rm -rf .venv" in done.stderr
    assert (machine.project / ".venv" / "precious").exists()


# torch


def test_without_a_graphics_card_only_a_cpu_build_is_asked_for(machine: Machine) -> None:
    machine.python("python3.12")
    assert machine.install().returncode == 0
    assert machine.installed == ["torch==2.13.0+cpu", "-e ."]


def test_without_a_cpu_build_it_stops_before_anything_large(machine: Machine) -> None:
    machine.python("python3.12")
    machine.python("inner", pip="*+cpu*")
    done = machine.install()
    assert done.returncode == 1
    assert machine.installed == ["torch==2.13.0+cpu"]
    assert "No matching distribution" in done.stderr
    assert "several GB" in done.stderr
    assert "make quickstart TORCH=cuda" in done.stderr
    assert "make quickstart TORCH_INDEX=URL" in done.stderr
    assert machine.stamps == []


def test_a_given_index_is_asked_for_the_cpu_build(machine: Machine) -> None:
    machine.python("python3.12")
    assert machine.install(TORCH_INDEX="file:///cpu").returncode == 0
    assert machine.installed == ["--extra-index-url file:///cpu torch==2.13.0+cpu", "-e ."]


@pytest.mark.parametrize("case", ["TORCH=cuda", "nvidia-smi", "macOS", "macOS TORCH=cpu"])
def test_the_plain_package_is_for_cuda_and_macos(case: str, machine: Machine) -> None:
    machine.python("python3.12")
    if case == "nvidia-smi":
        machine.command("nvidia-smi", "exit 0")
    if case.startswith("macOS"):
        machine.command("uname", "echo Darwin")
    environment = dict(re.findall(r"(TORCH)=(\w+)", case))
    assert machine.install(**environment).returncode == 0
    assert machine.installed == ["torch==2.13.0", "-e ."]


def test_cpu_can_be_asked_for_beside_a_graphics_card(machine: Machine) -> None:
    machine.python("python3.12")
    machine.command("nvidia-smi", "exit 0")
    assert machine.install(TORCH="cpu").returncode == 0
    assert machine.installed[0] == "torch==2.13.0+cpu"


def test_another_word_is_refused(machine: Machine) -> None:
    machine.python("python3.12")
    done = machine.install(TORCH="gpu")
    assert done.returncode == 1
    assert "TORCH=gpu: it must be auto, cpu or cuda" in done.stderr
    assert machine.installed == []


def test_torch_that_is_there_is_left_alone(machine: Machine) -> None:
    machine.python("python3.12")
    machine.python("inner", torch=True)
    assert machine.install().returncode == 0
    assert machine.installed == ["-e ."]


# stamps


def test_stamps_say_what_is_installed(machine: Machine) -> None:
    machine.python("python3.12")
    assert machine.install("run").returncode == 0
    assert machine.stamps == [".installed-run"]
    assert machine.install("dev").returncode == 0
    assert machine.stamps == [".installed-dev", ".installed-run"]
    assert machine.installed[-1] == "-e .[dev]"
    assert len([line for line in machine.log if "-m venv" in line]) == 1


def test_a_failed_installation_has_no_stamp(machine: Machine) -> None:
    machine.python("python3.12")
    machine.python("inner", pip="*'-e .'*")
    assert machine.install().returncode == 1
    assert machine.stamps == []


def test_make_installs_once(machine: Machine, repository: Path, require: object) -> None:
    assert callable(require)
    require("make", None if shutil.which("make") else "no make on PATH")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(repository / name, machine.project)
    count = (
        'echo ran >> count; mkdir -p .venv; touch .venv/.installed-run; [ "$1" = run ] || touch .venv/.installed-dev'
    )
    (machine.project / "scripts" / "install.sh").write_text(f"{count}\n")

    def make(*targets: str) -> int:
        subprocess.run(["make", "--silent", *targets], cwd=machine.project, check=True, capture_output=True)
        return len((machine.project / "count").read_text().splitlines())

    assert make("install") == 1
    assert make("install") == 1
    assert make(".venv/.installed-dev") == 2
    assert make("install", ".venv/.installed-dev") == 2
    (machine.project / "constraints.txt").touch()
    assert make("install") in {2, 3}  # 2 where the file system's clock is too coarse to see the touch


def test_scripts_are_posix_shell(repository: Path) -> None:
    for script in sorted((repository / "scripts").glob("*.sh")):
        assert script.read_text().startswith("#!/bin/sh\n")
        subprocess.run(["sh", "-n", script], check=True)
        assert not re.search(r"^\s*(local|function|source)\b|\[\[|<<<|pipefail", script.read_text(), re.MULTILINE)
