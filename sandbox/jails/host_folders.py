"""Which folders of this machine a jail with a file system of its own must show, so that Python runs in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import qredit
from qredit.errors import JailUnavailableError
from qredit.sandbox.jails.forkserver import search_path

SYSTEM_LINKS: Final = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")
"""On a merged-usr system these are links into /usr; elsewhere they are folders."""
LOADER_CACHE: Final = "/etc/ld.so.cache"
"""Where the loader finds a libpython that lies in none of its own folders."""
PACKAGES: Final = ("torch", "numpy", "sympy")
"""What a folder of Python's search path must hold to be of use in a jail."""


def host_folders(jail: str, import_path: Sequence[str] = ()) -> list[Path]:
    """Folders outside /usr that Python and our own packages need, without those that another one holds.

    Args:
        jail: name of the jail, for the message.
        import_path: further folders that the jobs are imported from.

    Raises:
        JailUnavailableError: one of them is or holds the caller's home or current folder.
    """
    package = Path(qredit.__file__ or "").parent
    named = [Path(entry) for entry in (sys.base_prefix, sys.exec_prefix, sys.prefix, *import_path)]
    named += [entry for entry in map(Path, search_path()) if any((entry / name).exists() for name in PACKAGES)]
    named += [package, package / "sandbox"]
    private = {Path.cwd().resolve()} | ({Path.home().resolve()} if "HOME" in os.environ else set())
    wanted: list[Path] = []
    for folder in sorted({folder for path in named for folder in (path, path.resolve())}):
        if not folder.exists() or any(folder.is_relative_to(outer) for outer in (Path("/usr"), *wanted)):
            continue
        if any(own.is_relative_to(folder.resolve()) for own in private):
            raise JailUnavailableError(
                f"jail `{jail}` is not available",
                cause=f"Python needs `{folder}`, which is or holds your home or the current folder",
                remedy="Use a virtual environment in a folder of its own, and start qredit from elsewhere.",
            )
        wanted.append(folder)
    return wanted
