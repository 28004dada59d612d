"""Conformance of every jail: each attack goes for one property, is stopped inside, and is shown to fire outside."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import pytest

from qredit.sandbox.jails.jail import JobResult

SECRET = "canary-3f9a17c2"


class Bench(Protocol):
    """`conftest.Bench`."""

    def inside(self, program: str, **arguments: object) -> JobResult:
        """Run it in the jail."""
        ...

    def outside(self, program: str, **arguments: object) -> str:
        """Run it in an ordinary process."""
        ...


@dataclass(frozen=True)
class Attack:
    """An attack and how a jail must stop it."""

    program: str
    """Module and function among `server_jobs`."""

    ends: Literal["refused", "killed"]
    """Refused: a call fails and Python goes on. Killed: hostile enough to end the process."""
    uses: tuple[str, ...] = field(default=())
    """Which of the caller's things it is told: `path`, `folder`, `parent`, `pid`."""


ATTACKS = [
    Attack("attacks_on_files.read_file", "refused", ("path",)),
    Attack("attacks_on_files.list_folder", "refused", ("folder",)),
    Attack("attacks_on_files.ask_about_file", "refused", ("path",)),
    Attack("attacks_on_files.ask_through_access", "refused", ("path",)),
    Attack("attacks_on_files.read_link", "refused", ("folder",)),
    Attack("attacks_on_files.write_file", "refused", ("folder",)),
    Attack("attacks_on_files.write_shared_memory_file", "refused"),
    Attack("attacks_on_files.append_to_file", "refused", ("path",)),
    Attack("attacks_on_files.truncate_file", "refused", ("path",)),
    Attack("attacks_on_files.remove_file", "refused", ("path",)),
    Attack("attacks_on_files.rename_file", "refused", ("path",)),
    Attack("attacks_on_files.change_mode", "refused", ("path",)),
    Attack("attacks_on_files.make_folder", "refused", ("folder",)),
    Attack("attacks_on_files.make_symlink", "refused", ("folder",)),
    Attack("attacks_on_files.make_hard_link", "refused", ("path",)),
    Attack("attacks_on_files.make_fifo", "refused", ("folder",)),
    Attack("attacks_on_files.change_folder", "refused", ("folder",)),
    Attack("attacks_on_secrets.read_environment", "refused", ("parent",)),
    Attack("attacks_on_secrets.read_descriptors", "refused"),
    Attack("attacks_on_secrets.open_tcp_socket", "killed"),
    Attack("attacks_on_secrets.open_udp_socket", "killed"),
    Attack("attacks_on_secrets.open_unix_socket", "killed"),
    Attack("attacks_on_secrets.open_vsock", "killed"),
    Attack("attacks_on_secrets.open_netlink", "killed"),
    Attack("attacks_on_secrets.open_socket_pair", "killed"),
    Attack("attacks_on_processes.fork", "refused"),
    Attack("attacks_on_processes.daemonise", "refused", ("folder",)),
    Attack("attacks_on_processes.start_thread", "refused"),
    Attack("attacks_on_processes.run_program", "refused"),
    Attack("attacks_on_processes.become_program", "killed"),
    Attack("attacks_on_processes.spawn_program", "refused"),
    Attack("attacks_on_processes.signal_process", "killed", ("pid",)),
    Attack("attacks_on_processes.signal_parent", "killed"),
    Attack("attacks_on_processes.signal_group", "killed"),
    Attack("attacks_on_processes.signal_thread", "killed"),
    Attack("attacks_on_processes.trace_process", "killed"),
    Attack("attacks_on_processes.read_process_memory", "killed"),
    Attack("attacks_on_processes.detach_from_parent", "refused"),
    Attack("attacks_on_processes.change_process_name", "refused"),
    Attack("attacks_on_processes.change_limit", "refused"),
    Attack("attacks_on_processes.change_session", "refused"),
    Attack("attacks_on_processes.change_priority", "refused"),
    Attack("attacks_on_files.make_memory_file", "refused"),
    Attack("attacks_on_files.make_old_shared_memory", "refused"),
    Attack("attacks_on_files.make_pipe", "refused"),
    Attack("attacks_on_secrets.read_host_name", "refused"),
    Attack("attacks_on_secrets.control_device", "refused"),
    Attack("attacks_on_processes.gain_no_privileges", "refused"),
]

NOT_EVERYWHERE = {
    "attacks_on_secrets.open_vsock": "AF_VSOCK",
    "attacks_on_secrets.open_netlink": "AF_NETLINK",
}
"""Attacks whose positive control needs a protocol that some kernels lack."""


@pytest.fixture
def open_secret(tmp_path: Path) -> Iterator[None]:
    """A file with a secret that this process holds open and forgot to keep from its children."""
    path = tmp_path / "open-secret"
    path.write_text(SECRET)
    descriptor = os.open(path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    yield
    os.close(descriptor)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder where everybody may do everything: file modes alone protect nothing in it."""
    with tempfile.TemporaryDirectory(prefix="qredit-test-") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


def things(attack: Attack, folder: Path) -> dict[str, object]:
    """Make what an attack is told about."""
    folder.mkdir()
    folder.chmod(0o777)
    path = folder / "secret"
    path.write_text(SECRET)
    path.chmod(0o666)
    known: dict[str, object] = {
        "path": str(path),
        "folder": str(folder),
        "parent": os.getpid(),
        "pid": os.getpid(),
    }
    return {name: known[name] for name in attack.uses}


@pytest.mark.usefixtures("open_secret")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.program)
def test_an_attack_is_stopped_inside_and_fires_outside(bench: Bench, attack: Attack, open_folder: Path) -> None:
    inside = bench.inside(attack.program, **things(attack, open_folder / "inside"))
    if attack.ends == "killed":
        assert (inside.outcome, inside.output) == ("killed", b"")
        assert "SIGSYS" in inside.detail
    else:
        assert inside.outcome == "done", inside.detail
        assert inside.output.startswith(b"stopped: "), inside.output
    assert SECRET not in inside.output.decode() + inside.detail
    left = open_folder / "inside"
    assert [path.name for path in left.iterdir()] == ["secret"]
    assert (left / "secret").read_text() == SECRET

    family = NOT_EVERYWHERE.get(attack.program)
    outside = bench.outside(attack.program, **things(attack, open_folder / "outside"))
    if family is None or (hasattr(socket, family) and not outside.startswith("stopped: OSError")):
        assert outside.startswith("fired: "), outside
    if attack.program in (
        "attacks_on_files.read_file",
        "attacks_on_secrets.read_environment",
        "attacks_on_secrets.read_descriptors",
    ):
        assert SECRET in outside
