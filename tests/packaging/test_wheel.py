"""The wheel, built from the sdist and installed into an empty folder, far from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qredit.task import builtin_task_names

if TYPE_CHECKING:
    from tests.packaging.conftest import House

NOT_SHIPPED = shutil.ignore_patterns(
    ".git", ".venv", "venv", "runs", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis"
)


@dataclass(frozen=True)
class Installed:
    """The wheel and the folder it was installed into."""

    wheel: Path
    target: Path

    def run(self, *command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run Python on the installed wheel and the dependencies of this environment, without the checkout.

        `-S` leaves out `.pth` files, so that the finder of an editable install cannot fill a gap in the wheel.
        """
        paths = [str(self.target), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            [sys.executable, "-S", *command],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def qredit(self, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run the installed `qredit` command."""
        return self.run(self.target / "bin" / "qredit", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def installed(house: House, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Build sdist and wheel from a copy of the checkout, install the wheel into an empty folder."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(house.root, folder / "source", symlinks=True, ignore=NOT_SHIPPED)
    built = subprocess.run(
        # Without isolation: the build backend is among the installed requirements, so nothing is fetched.
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", folder / "source"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (folder / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, "--target", folder / "target", wheel], check=True, capture_output=True)
    return Installed(wheel, folder / "target")


def test_wheel_holds_exactly_the_files_of_the_folders(installed: Installed, house: House) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
        contents = {name: archive.read(name) for name in shipped}
    here = house.files()
    assert sorted(shipped) == sorted(here)
    assert [name for name in sorted(shipped) if contents[name] != here[name].read_bytes()] == []


def test_every_module_imports_from_the_wheel(installed: Installed, house: House, tmp_path: Path) -> None:
    modules = sorted(house.modules())
    code = f"import importlib, json, sys\nprint(json.dumps([importlib.import_module(n).__file__ for n in {modules!r}]))"
    done = installed.run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = json.loads(done.stdout.splitlines()[-1])
    assert len(files) == len(modules)
    assert [f for f in files if not Path(f).is_relative_to(installed.target)] == []


def test_metadata(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = archive.namelist()
        (metadata,) = (archive.read(n).decode() for n in names if n.endswith(".dist-info/METADATA"))
    assert any(n.endswith(".dist-info/licenses/LICENSE") for n in names)
    assert "License-Expression: Apache-2.0" in metadata
    assert "Requires-Python: >=3.11" in metadata


def test_tasks_are_listed_from_the_wheel(installed: Installed, tmp_path: Path) -> None:
    done = installed.qredit("tasks", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = builtin_task_names()
    assert len(names) > 20
    assert [name for name in names if name not in done.stdout] == []
    assert list(tmp_path.glob("*")) == []


@pytest.mark.usefixtures("lockdown")
def test_a_credit_function_is_generated_from_the_wheel(installed: Installed, house: House, tmp_path: Path) -> None:
    """The whole path with recorded replies: templates, task, probe states and recording all come from the wheel."""
    recordings = (house.root / "prompts" / "recordings").glob("*/recording.jsonl")
    assert "mpe-adversary" in {path.parent.name for path in recordings}
    done = installed.qredit("generate", "mpe-adversary", "--model", "replay", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (graph,) = (tmp_path / "runs").glob("*/artifact/credit.graph.json")
    assert json.loads(graph.read_bytes())["format"] == 1
