"""Kernels with a mistake put into them, to show that the parity tests would see it."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


@contextmanager
def mutant(module: types.ModuleType, old: str, new: str) -> Iterator[types.ModuleType]:
    """A copy of a kernel module in which `old` stands no more, but `new`; its kernels are plain Python functions.

    Raises:
        ValueError: `old` does not stand exactly once in the module.
    """
    assert module.__file__ is not None
    source = Path(module.__file__).read_text()
    if source.count(old) != 1:
        raise ValueError(f"`{old}` stands {source.count(old)} times in {module.__name__}")
    plain = types.ModuleType("plain_compiling")
    plain.kernel = _as_it_is  # type: ignore[attr-defined]
    plain.loops = lambda function: (function, function)  # type: ignore[attr-defined]
    name = "qredit.marl.kernels.compiling"
    real = sys.modules[name]
    made = types.ModuleType(f"mutant_of_{module.__name__.rpartition('.')[2]}")
    made.__file__ = module.__file__
    sys.modules[name] = plain
    try:
        exec(compile(source.replace(old, new), f"mutant of {module.__file__}", "exec"), made.__dict__)
        yield made
    finally:
        sys.modules[name] = real


@contextmanager
def mutants(
    modules: Sequence[types.ModuleType], mistaken: types.ModuleType, old: str, new: str
) -> Iterator[types.ModuleType]:
    """The last of some modules, built on a mutant of one of them.

    Args:
        modules: each after those that it imports.
        mistaken: the one with the mistake.
        old: what stands there.
        new: the mistake.
    """
    with ExitStack() as stack:
        for module in modules[modules.index(mistaken) :]:
            changed = (old, new) if module is mistaken else ("from __future__", "from __future__")
            made = stack.enter_context(mutant(module, *changed))
            stack.callback(sys.modules.__setitem__, module.__name__, module)
            sys.modules[module.__name__] = made
        yield made


def _as_it_is(function: Function) -> Function:
    return function
