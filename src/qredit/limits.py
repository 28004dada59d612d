"""Settings that must lie within limits."""

from __future__ import annotations

from collections.abc import Mapping

from qredit.errors import ConfigurationError


def check_limits(settings: object, limits: Mapping[str, tuple[int, int]]) -> None:
    """Whether each named setting is at least the one and at most the other number.

    Raises:
        ConfigurationError: the first that is not.
    """
    for name, (least, most) in limits.items():
        value = getattr(settings, name)
        if not least <= value <= most:
            raise ConfigurationError(
                f"setting `{name}` = {value}",
                cause=f"it must be {least} to {most}",
                remedy="Choose a value in this range.",
            )
