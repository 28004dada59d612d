"""Landlock's rights per kernel version, limits and privileges, each in a process of its own."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qredit.sandbox.inside import kernel, landlock, limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the locks are a matter of Linux")


def run(script: str, *arguments: str) -> str:
    """Run a script in a process that it may lock."""
    prelude = "import errno, os, resource, signal, sys\nfrom pathlib import Path\n"
    prelude += "from qredit.sandbox.inside import kernel, landlock, limits, seccomp\n"
    done = subprocess.run(
        [sys.executable, "-B", "-c", prelude + script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("abi", "rights"),
    [
        (1, (0x1FFF, 0, 0)),
        (2, (0x3FFF, 0, 0)),
        (3, (0x7FFF, 0, 0)),
        (4, (0x7FFF, 3, 0)),
        (5, (0xFFFF, 3, 0)),
        (6, (0xFFFF, 3, 3)),
        (7, (0xFFFF, 3, 3)),
        (99, (0xFFFF, 3, 3)),
    ],
)
def test_all_rights_of_each_version_are_handled(abi: int, rights: tuple[int, int, int]) -> None:
    assert landlock.handled(abi) == rights


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
def test_a_kernel_that_refuses_has_version_0_and_nothing_runs(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(number: int, *arguments: object) -> int:
        raise OSError(code, "refused")

    monkeypatch.setattr(kernel, "syscall", refuse)
    assert landlock.version() == 0
    with pytest.raises(OSError, match="this kernel has no Landlock"):
        landlock.deny_everything()


def test_another_failure_of_landlock_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(number: int, *arguments: object) -> int:
        raise OSError(errno.EFAULT, "bad address")

    monkeypatch.setattr(kernel, "syscall", fail)
    with pytest.raises(OSError, match="bad address"):
        landlock.version()


@pytest.mark.parametrize("abi", [1, 2, 3, 4, 5, 6])
@pytest.mark.usefixtures("lockdown_or_skip")
def test_landlock_alone_denies_files_at_every_version(abi: int, tmp_path: Path) -> None:
    """Older versions are simulated: the kernel takes the structure and the rights of all that came before it."""
    if landlock.version() < abi:
        pytest.skip(f"this kernel has Landlock {landlock.version()}")
    (tmp_path / "file").write_text("text")
    script = f"""
landlock.version = lambda: {abi}
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
held = os.open(sys.argv[1] + "/file", os.O_RDONLY)
landlock.deny_everything()
print(os.read(held, 4).decode())
for act in (
    lambda: open(sys.argv[1] + "/file"), lambda: open(sys.argv[1] + "/new", "w"), lambda: os.listdir(sys.argv[1]),
    lambda: os.unlink(sys.argv[1] + "/file"), lambda: os.symlink("a", sys.argv[1] + "/link"),
):
    try:
        act()
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    assert run(script, str(tmp_path)).split() == ["text"] + ["EACCES"] * 5


@pytest.mark.parametrize("code", ["ENOSYS", "EPERM", "EOPNOTSUPP"])
@pytest.mark.usefixtures("lockdown_or_skip")
def test_a_host_that_refuses_landlock_has_no_jail(code: str) -> None:
    """A real refusal by the kernel, as in a container with a narrow seccomp profile."""
    script = """
from qredit.errors import JailUnavailableError
from qredit.sandbox import open_jail
program = (
    seccomp.Instruction(seccomp.LOAD, 0, 0, seccomp.OFFSET_NUMBER),
    seccomp.Instruction(seccomp.JUMP_EQUAL, 0, 1, landlock.CREATE_RULESET),
    seccomp.Instruction(seccomp.RETURN, 0, 0, seccomp.fail_with(getattr(errno, sys.argv[1]))),
    seccomp.Instruction(seccomp.RETURN, 0, 0, seccomp.ALLOW),
)
kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
seccomp.install(b"".join(instruction.to_bytes() for instruction in program))
try:
    open_jail("lockdown")
except JailUnavailableError as error:
    print(error)
"""
    told = run(script, code)
    assert told.startswith("jail `lockdown` is not available: kernel ")
    assert "has no Landlock, or a container's filter refuses it" in told


@pytest.mark.usefixtures("lockdown_or_skip")
def test_without_no_new_privileges_an_ordinary_process_cannot_lock_and_says_so() -> None:
    script = """
if os.geteuid() == 0:
    limits.drop_privileges()
for lock in (landlock.deny_everything, lambda: seccomp.install(seccomp.packed(seccomp.job_policy()))):
    try:
        lock()
    except OSError as error:
        print(errno.errorcode[error.errno])
"""
    assert run(script).split() == ["EPERM", "EACCES"]


def test_a_jobs_limits_are_set_for_good() -> None:
    script = """
limits.limit_job(address_space_bytes=2**40, cpu_seconds=7)
for name in ("AS", "CPU", "NPROC", "NOFILE", "FSIZE", "CORE", "MEMLOCK", "MSGQUEUE"):
    print(name, *resource.getrlimit(getattr(resource, "RLIMIT_" + name)))
"""
    assert run(script).splitlines() == [
        f"AS {2**40} {2**40}",
        "CPU 7 7",
        "NPROC 0 0",
        "NOFILE 16 16",
        "FSIZE 0 0",
        "CORE 0 0",
        "MEMLOCK 0 0",
        "MSGQUEUE 0 0",
    ]


def test_a_lower_limit_of_the_caller_is_kept() -> None:
    script = """
resource.setrlimit(resource.RLIMIT_CPU, (3, 3))
limits.limit_job(address_space_bytes=2**40, cpu_seconds=7)
print(*resource.getrlimit(resource.RLIMIT_CPU))
"""
    assert run(script) == "3 3"


def test_a_server_is_first_in_line_when_memory_runs_out() -> None:
    script = """
limits.limit_server()
print(Path("/proc/self/oom_score_adj").read_text().strip(), *resource.getrlimit(resource.RLIMIT_CORE))
print(resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= limits.SERVER_DESCRIPTORS)
"""
    assert run(script).split() == ["1000", "0", "0", "True"]


def test_the_figures_of_this_process_are_measured() -> None:
    assert 10 * 2**20 < limits.mapped_bytes() < 2**46
    assert limits.thread_count() >= 1
    assert run("print(limits.thread_count())") == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")
def test_root_becomes_nobody_and_cannot_go_back() -> None:
    script = """
limits.drop_privileges()
print(*os.getresuid(), *os.getresgid(), os.getgroups())
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(*(int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")))
try:
    os.setuid(0)
except PermissionError:
    print("no way back")
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
try:
    os.fork()
except BlockingIOError:
    print("no fork")
"""
    assert run(script).splitlines() == [
        "65534 65534 65534 65534 65534 65534 []",
        "0 0 0 0 0",
        "no way back",
        "no fork",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="for ordinary users")
def test_an_ordinary_user_stays_who_it_is() -> None:
    assert run("before = os.getresuid(); limits.drop_privileges(); print(os.getresuid() == before)") == "True"


def test_a_process_whose_parent_is_gone_ends_at_once() -> None:
    script = """
pid = os.fork()
if pid == 0:
    limits.die_with(parent=1)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    assert run(script) == "1"


def test_a_refused_call_names_itself() -> None:
    with pytest.raises(OSError, match=r"prctl: Invalid argument") as refusal:
        kernel.prctl(12345)
    assert refusal.value.errno == errno.EINVAL
    with pytest.raises(OSError, match=r"system call 100000"):
        kernel.syscall(100_000, ctypes.c_int(0))
