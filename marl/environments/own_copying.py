"""Copies of environments that nobody has prepared for being copied."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any, TypeVar

from gymnasium import Env
from gymnasium.utils import EzPickle
from pettingzoo import AECEnv, ParallelEnv

from qredit.errors import ConfigurationError

T = TypeVar("T")

_NO_COPY = (TypeError, NotImplementedError, copy.Error, pickle.PickleError)
"""What `copy.deepcopy` raises for handles that lead outside Python."""
_SHARED = {("pygame.font", "Font"), ("pygame.freetype", "Font"), ("pygame.time", "Clock")}
"""What drawing needs and no rule of a world depends on: it cannot be copied, and copies use the same."""


def deep_copy(what: T, environment: Any, environment_id: str) -> T:
    """A deep copy of something that holds an environment.

    Environments with `EzPickle` are copied by their attributes: left to itself, it makes a new environment from the
    constructor's arguments instead, and the copy would be at the start of no episode.

    Raises:
        ConfigurationError: it holds something that cannot be copied.
    """
    environments = list(_nested(environment))
    parts = [part for one in environments for part in _attributes(one)]
    memo: dict[int, Any] = {id(p): p for p in parts if (type(p).__module__, type(p).__name__) in _SHARED}
    rebuilt = [one for one in environments if isinstance(one, EzPickle) and not hasattr(one, "__deepcopy__")]
    try:
        for original in rebuilt:
            memo[id(original)] = object.__new__(type(original))
        for original in rebuilt:
            vars(memo[id(original)]).update(copy.deepcopy(vars(original), memo))
        return copy.deepcopy(what, memo)
    except _NO_COPY as error:
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"it cannot be copied ({error}), and probe states and counterfactual credit need snapshots of it",
            remedy="Give it a method `__deepcopy__`, or bring sample states: `layout` and `states` without "
            "`environment`.",
        ) from error


def _nested(environment: Any) -> Iterator[Any]:
    """The environment, and those that it wraps."""
    waiting, seen = [environment], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [value for value in _attributes(one) if isinstance(value, (Env, AECEnv, ParallelEnv, EzPickle))]


def _attributes(one: Any) -> list[Any]:
    return list(getattr(one, "__dict__", {}).values())
