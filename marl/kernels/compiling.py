"""How the kernels are compiled: once per machine, kept on disk, without the interpreter's lock.

numba compiles a kernel when it is first called and would keep the result as long as the kernel's own file stays the
same, although kernels call those of other files. So each version of the kernels and the environments as a whole has
a folder of its own, in `NUMBA_CACHE_DIR` or in the user's cache. Where nothing can be written, kernels are compiled in
every process, and a warning says so.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import config, event

_settings: Any = config
_njit: Any = numba.njit  # its types leave out `_nrt`
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function for one thread."""
    return _compiled(function)


def fused_kernel(function: Function) -> Function:
    """Compile a function for one thread, in which `a * b + c` may be rounded once, where the processor can do that.

    Faster, and its last bit depends on the machine: for what learns, never for worlds.
    """
    return _compiled(function, fused=True)


def loops(function: Function) -> tuple[Function, Function]:
    """Compile a loop over environments, for one thread and for several (`prange`, `numba.set_num_threads`).

    References to arrays are not counted in it: in a loop whose step takes a few hundred nanoseconds, counting those to
    twenty arrays takes longer than the step. So it makes no arrays itself; kernels that it calls may.
    """
    return _compiled(function, counted=False), _compiled(function, parallel=True, counted=False)


def _compiled(function: Function, *, parallel: bool = False, fused: bool = False, counted: bool = True) -> Function:
    folder = kernels_folder()
    before = _settings.CACHE_DIR
    # numba does not tell the two kinds of one function apart on disk, so each has its own place.
    _settings.CACHE_DIR = str(Path(folder, "threaded" if parallel else "single")) if folder else before
    try:
        compiled: Any = _njit(
            cache=folder is not None,
            nogil=True,
            parallel=parallel,
            error_model="numpy",
            fastmath={"contract"} if fused else False,
            _nrt=counted,
        )(function)
    finally:
        _settings.CACHE_DIR = before  # it is numba's for the whole process, and not ours
    return cast(Function, compiled)


def usable_threads() -> int:
    """How many threads kernels may use in this process."""
    return int(_settings.NUMBA_NUM_THREADS)


@contextmanager
def watch_compiling(on_compile: Callable[[], None]) -> Iterator[None]:
    """Call `on_compile` once if a kernel is compiled meanwhile, as its compiling begins; loading from disk is none."""
    with event.install_listener("numba:compile", _First(on_compile)):
        yield


class _First(event.Listener):
    """Tells of the first event."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told: Callable[[], None] | None = told

    def on_start(self, event: object) -> None:
        if self._told is not None:
            told, self._told = self._told, None
            told()

    def on_end(self, event: object) -> None:
        """Nobody asks."""


@functools.cache
def kernels_folder() -> str | None:
    """Where compiled kernels are kept, or `None` where that is impossible."""
    here = Path(__file__).parent
    files = sorted([*here.glob("*.py"), *(here.parent / "environments").glob("*.py")])  # whose constants are built in
    sources = b"".join(path.read_bytes() for path in files)
    home = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(home).expanduser() / "qredit" / "kernels" / hashlib.sha256(sources).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        warnings.warn(
            f"compiled kernels cannot be kept in `{folder}` ({error.strerror}), so every process compiles them: set "
            "NUMBA_CACHE_DIR to a folder that can be written",
            stacklevel=4,
        )
        return None
    return str(folder)
