"""Keeps torch's compiler out of the jail.

torch marks functions of its own as not to be compiled. The first of them that is called loads the whole compiler for
it, several hundred modules and 0.7 seconds of every jail's start, and every later call goes through it. Nothing is
compiled in a jail, so a module that has nothing but the mark stands in for it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"


def leave_out() -> None:
    """Put the stand-in into this process, before anything loads the real one.

    Raises:
        RuntimeError: the real one is already there.
    """
    if _NAME in sys.modules:
        raise RuntimeError(f"`{_NAME}` was loaded before the jail could leave it out")
    stand_in = ModuleType(_NAME)
    stand_in.disable = _unchanged  # type: ignore[attr-defined]
    sys.modules[_NAME] = stand_in


def _unchanged(function: Any, recursive: bool = True, *, wrapping: bool = True) -> Any:
    """`torch._dynamo.disable`: the function does not have to be marked."""
    return function
