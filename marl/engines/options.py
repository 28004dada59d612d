"""What the engines that need a package and take options have in common."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping

from qredit.errors import ConfigurationError, UnknownNameError


def require_package(package: str, *, extra: str, needed_by: str) -> None:
    """Make sure that an optional package is installed, without loading it.

    Raises:
        ConfigurationError: it is not.
    """
    if importlib.util.find_spec(package) is None:
        raise ConfigurationError(
            needed_by, cause=f"the package `{package}` is not installed", remedy=f"pip install 'qredit[{extra}]'"
        )


def refuse_unknown(options: Mapping[str, str], known: Collection[str], *, engine: str) -> None:
    """Make sure that an engine knows all its options.

    Raises:
        UnknownNameError: it does not.
    """
    for name in options:
        if name not in known:
            raise UnknownNameError(f"option of the engine `{engine}`", name, known)


def number(options: Mapping[str, str], name: str, default: float) -> float:
    """A number that is not negative.

    Raises:
        ConfigurationError: it is something else.
    """
    text = options.get(name)
    try:
        value = default if text is None else float(text)
        if not 0 <= value < float("inf"):
            raise ValueError
    except ValueError as error:
        raise ConfigurationError(
            f"engine option `{name}={text}`", cause="it is no number from 0 on", remedy="Give a number."
        ) from error
    return value
