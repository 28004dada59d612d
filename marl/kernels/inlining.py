"""Parts of kernels, which are written into the kernels that call them.

A call between compiled functions hands over every array of its tuples by ten numbers. Parts of a step that take some
ten nanoseconds would spend half of their time so.

Loops over environments hold nothing but a call: what they write themselves to an array of a tuple, numba takes for
unused and leaves out as soon as the loop is a parallel one (numba's issue 7135).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba.extending import register_jitable

Function = TypeVar("Function", bound=Callable[..., Any])


def inlined(function: Function) -> Function:
    """A part of kernels; it stays a plain function for whoever calls it from Python."""
    part: Function = register_jitable(forceinline=True, error_model="numpy")(function)
    return part
