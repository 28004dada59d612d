"""Conformance of every jail: no secret of the caller's is in a byte that leaves; the same search finds it outside.

The secrets stand in the caller's environment, in a file, in an open descriptor and in the caller's memory. Docker's
jail is another host's process as far as these searches can see; the bytes are looked through all the same.
"""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from qredit.sandbox.inside import kernel
from qredit.sandbox.jails.jail import JobResult
from tests.sandbox.firing.canaries import found_in

SECRETS: dict[str, str] = {
    "search_environment": "canary-3f9a17c2",  # conftest.CANARY
    "search_files": "canary-of-a-file-8804",
    "search_descriptors": "canary-of-a-descriptor-1276",
    "search_memory": "canary-of-memory-5593",
}
ANY_PROCESS, MAY_TRACE = -1, 0x59616D61


class Bench(Protocol):
    """`conftest.Bench`."""

    def inside(
        self, program: str, *, timeout_seconds: float = 20, output_limit: int = 200_000, **arguments: object
    ) -> JobResult:
        """Run it in the jail."""
        ...

    def outside(self, program: str, **arguments: object) -> str:
        """Run it in an ordinary process."""
        ...


@dataclass(frozen=True)
class Places:
    """Where the caller's secrets are, told to each search."""

    arguments: Mapping[str, Mapping[str, object]]
    """Search -> its arguments."""


@pytest.fixture
def places() -> Iterator[Places]:
    """A caller with a secret in a file that all may read, in a forgotten descriptor, and in memory."""
    memory = ctypes.create_string_buffer(SECRETS["search_memory"].encode())
    kernel.libc().prctl(MAY_TRACE, ctypes.c_long(ANY_PROCESS), 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="qredit-test-") as name, tempfile.TemporaryFile() as forgotten:
        folder = Path(name)
        folder.chmod(0o777)
        (folder / "secret").write_text(SECRETS["search_files"])
        (folder / "secret").chmod(0o666)
        forgotten.write(SECRETS["search_descriptors"].encode())
        forgotten.flush()
        os.set_inheritable(forgotten.fileno(), True)
        caller: dict[str, object] = {"caller": os.getpid()}
        yield Places(
            {
                "search_environment": caller,
                "search_files": {**caller, "folder": name},
                "search_descriptors": caller,
                "search_memory": {**caller, "address": ctypes.addressof(memory), "size": len(memory)},
            }
        )


@pytest.mark.parametrize("search", SECRETS)
def test_no_secret_is_in_any_byte_that_leaves(
    bench: Bench, places: Places, search: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    arguments = places.arguments[search]
    result = bench.inside(f"searches.{search}", timeout_seconds=60, output_limit=20_000_000, **arguments)
    assert result.outcome == "done", result.detail
    assert result.output.startswith(b"fired: ")  # the search ran to its end
    left = result.output + result.detail.encode() + b"".join(capfdbinary.readouterr())
    assert [name for name, secret in SECRETS.items() if found_in(left, secret)] == []
    assert SECRETS[search] in bench.outside(f"searches.{search}", **arguments)
