"""The jails for an ordinary user: no root, no groups, nothing but a folder of one's own; nothing is left behind.

Root starts Python as a user that nothing else runs as. An interpreter inside root's home is out of such a user's
reach: then another one of the same version runs with this one's packages.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qredit.errors import JailUnavailableError
from qredit.marl.adapters import compile_ahead
from qredit.marl.kernels.compiling import kernels_folder
from qredit.sandbox.jails.lockdown import require_support
from qredit.task import load_task
from tests.conftest import Require
from tests.docs.test_readme import marked_blocks

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root on Linux can become another user"
)

COMMAND = "from qredit.cli import main; main()"
DOCTOR = """
import dataclasses, json, sys
import qredit.sandbox
found = qredit.sandbox.probe_jails()
print(json.dumps([dataclasses.asdict(status) for status in found]))
qredit.sandbox.probe_jails = lambda: found
from qredit.cli import main
sys.argv = ["qredit", "doctor", "--json"]
main()
"""
BAD = 'def credit(state):\n    return state["agent_cell"] / (state["door_cell"] - 4.0)\n'
QUICKSTART = """
import sys
from dataclasses import replace
from qredit.api import walkthrough
walkthrough.SETTINGS = replace(walkthrough.SETTINGS, evaluation_episodes=4)
walkthrough.SEEDS, walkthrough.ALGORITHMS = (0,), ("vdn", "qllm")
from qredit.cli import main
sys.argv = ["qredit", "quickstart", "--total-steps", "300", "--jobs", "1", "--json"]
main()
"""


@dataclass(frozen=True)
class User:
    """Somebody without any privilege."""

    number: int
    """User and group id."""
    folder: Path
    """Home, place of temporary files and working folder."""
    python: tuple[str, ...]
    """The interpreter and its first arguments."""
    import_path: str
    """`PYTHONPATH`; empty if the interpreter needs none."""

    def start(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            command,
            user=self.number,
            group=self.number,
            extra_groups=[],
            cwd=self.folder,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.folder),
                "TMPDIR": str(self.folder),
                "DOCKER_HOST": f"unix://{self.folder}/none.sock",
                "OMP_NUM_THREADS": "1",
                **({"PYTHONPATH": self.import_path} if self.import_path else {}),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def run(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python code to its end."""
        return self.start(*self.python, "-c", code, *arguments)

    def processes(self) -> list[str]:
        """The names of everything that runs as this user."""
        return [name for name, users in running() if str(self.number) in users]

    def files(self) -> set[str]:
        """What lies in its folder, and what is its own where everybody may write."""
        own = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
        shared = (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))
        for path in {path for folder in shared if folder.is_dir() for path in folder.iterdir()}:
            if path != self.folder and path.lstat().st_uid == self.number:
                own.add(str(path))
        return own


def running() -> Iterator[tuple[str, list[str]]]:
    """Name and user ids of each process; the owner of its folder in /proc would be root for one that hides itself."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                lines = dict(line.split(":", 1) for line in (entry / "status").read_text().splitlines())
                yield lines["Name"].strip(), lines["Uid"].split()


def interpreters() -> Iterator[tuple[tuple[str, ...], str]]:
    """Interpreters that run this project, and the import path that they need for it."""
    yield (sys.executable, "-B"), ""
    same = shutil.which(f"python{sys.version_info.major}.{sys.version_info.minor}", path="/usr/local/bin:/usr/bin:/bin")
    if same is not None:
        packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        yield (same, "-B"), os.pathsep.join([str(Path(__file__).parents[2] / "src"), *packages])


def wait_until(condition: Callable[[], bool]) -> None:
    """What was killed is gone as soon as the kernel gets to it."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it never came")


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    """A user of whom nothing runs, with an interpreter that it may use."""
    taken = {number for _, users in running() for number in users}
    number = next(n for n in range(54_321, 60_000) if str(n) not in taken)
    with tempfile.TemporaryDirectory(prefix="qredit-user-") as name:
        folder = Path(name)
        os.chown(folder, number, number)
        told = []
        for python, import_path in interpreters():
            candidate = User(number, folder, python, import_path)
            try:
                done = candidate.run("import qredit.cli, torch")
            except PermissionError as error:
                told.append(str(error))
                continue
            if done.returncode == 0:
                yield candidate
                return
            told.append(done.stderr)
        pytest.skip(f"an ordinary user cannot read Python or this project: {'; '.join(told)}")


@pytest.fixture(autouse=True)
def nothing_left(user: User, repository: Path) -> Iterator[None]:
    """What a test started has ended, and the files are those that it made."""
    for block in marked_blocks((repository / "README.md").read_text()):
        if block.file is not None:
            (user.folder / block.file).write_text(block.code)
    cells = np.random.default_rng(0).integers(0, 10, size=(64, 4)).astype(np.float32)
    np.savez_compressed(user.folder / "two-doors.npz", states=cells)
    (user.folder / "bad.py").write_text(BAD)
    before = user.files()
    yield
    wait_until(lambda: user.processes() == [])
    assert user.files() == before


def namespaces_work(user: User) -> bool:
    """Whether this user may make the namespaces that bubblewrap needs, by trying it without any code of ours."""
    if shutil.which("bwrap") is None:
        return False
    return user.start("bwrap", "--unshare-user", "--unshare-all", "--ro-bind", "/", "/", "true").returncode == 0


def lockdown_works() -> bool:
    """Whether the kernel has what the lockdown jail needs; that does not depend on the user."""
    try:
        require_support()
    except JailUnavailableError:
        return False
    return True


def test_each_jail_is_reported(user: User) -> None:
    """By `probe_jails` and by `doctor`, which ends with 0 if one works."""
    done = user.run(DOCTOR)
    probed, *findings = [json.loads(line) for line in done.stdout.splitlines()]
    jails = {status["name"]: status for status in probed}
    assert list(jails) == ["bubblewrap", "lockdown", "docker"]
    expected = {"bubblewrap": namespaces_work(user), "lockdown": lockdown_works(), "docker": False}
    assert {name: status["available"] for name, status in jails.items()} == expected, done.stderr
    assert f"no engine answers at `unix://{user.folder}/none.sock`" in jails["docker"]["detail"]
    assert "your user must belong to the group `docker`" in jails["docker"]["remedy"]
    told = {f["topic"].removeprefix("jail "): f for f in findings if f["topic"].startswith("jail ")}
    works = any(expected.values())
    states = {True: "ok", False: "note" if works else "missing"}
    assert {name: f["state"] for name, f in told.items()} == {name: states[works] for name, works in expected.items()}
    assert {name: f["remedy"] for name, f in told.items()} == {name: s["remedy"] for name, s in jails.items()}
    assert done.returncode == (0 if works else 1)


@pytest.mark.parametrize("jail", ["bubblewrap", "lockdown"])
def test_check_accepts_and_rejects(user: User, jail: str, require: Require) -> None:
    if jail == "bubblewrap" and not namespaces_work(user):
        require("bubblewrap", "ordinary users cannot make user namespaces here")
    if jail == "lockdown" and not lockdown_works():
        require("lockdown", "this kernel lacks what it needs")
    arguments = ("--task", "two-doors.yaml", "--jail", jail, "--json")
    for files, code, verdicts in (
        (["nearest.py"], 0, ["accepted"]),
        (["nearest.py", "bad.py"], 1, ["accepted", "rejected"]),
    ):
        done = user.run(COMMAND, "check", *files, *arguments)
        found: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
        assert [result["verdict"] for result in found] == verdicts, done
        assert done.returncode == code
    assert found[1]["stage"] == "contract"
    assert "Guard divisions" in found[1]["message"]


def lend_kernels(user: User) -> None:
    """Compile for all tests, and copy it: for the user it would take longer than all the rest."""
    compile_ahead(load_task("lbf-5x5-2p-1f"), lambda: None)
    compiled = kernels_folder()
    if compiled is not None:
        theirs = user.folder / ".cache" / "qredit" / "kernels" / Path(compiled).name
        shutil.copytree(compiled, theirs)
        for path in (user.folder / ".cache", *(user.folder / ".cache").rglob("*")):
            os.chown(path, user.number, user.number)


def test_quickstart(user: User) -> None:
    """The shortest there is: the candidates are checked if a jail works; else the bundled function is trained."""
    lend_kernels(user)
    done = user.run(QUICKSTART)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    works = namespaces_work(user) or lockdown_works()
    assert (report["generation"] is not None) == works
    assert ("so no candidate was executed" in done.stderr) == (not works)
    expected = "bubblewrap" if namespaces_work(user) else "lockdown"
    assert (f", jail {expected}\n" in done.stderr) == works
    assert [row["name"] for row in report["comparison"]["rows"]] == ["random policy", "vdn", "qllm", "optimum"]
    # What training may leave: its runs, and the caches of matplotlib and of torch's compiler.
    for name in ("runs", ".cache", ".config", f"torchinductor_uid_{user.number}"):
        shutil.rmtree(user.folder / name, ignore_errors=True)
