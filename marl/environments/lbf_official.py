"""The official `lbforaging` environments, registered or of another size, as level-based foraging needs them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

from qredit.errors import ConfigurationError, UnknownNameError

_ID = re.compile(
    r"Foraging(?:-(?P<sight>[1-9]\d?)s)?-(?P<rows>[1-9]\d?)x(?P<columns>[1-9]\d?)"
    r"-(?P<agents>[1-9]\d?)p-(?P<foods>[1-9]\d?)f(?P<coop>-coop)?-v3",
    re.ASCII,
)
"""The form of the package's ids. It registers square boards of 5 to 19 cells, 2 to 9 agents and 1 to 4 foods."""


def make_official(environment_id: str, arguments: Mapping[str, Any]) -> Any:
    """An environment of the package; one that is not registered is constructed as its registration would be.

    Args:
        environment_id: such as `Foraging-2s-8x8-2p-2f-coop-v3`.
        arguments: keyword arguments that replace those of the registration.

    Raises:
        UnknownNameError: neither registered nor of this form.
        ConfigurationError: arguments or sizes that cannot be used.
    """
    import gymnasium

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's registration warns about its own names
        from lbforaging.foraging import ForagingEnv

    registered = {name: spec for name, spec in gymnasium.registry.items() if name.startswith("Foraging")}
    if environment_id in registered:
        usual = registered[environment_id].kwargs
    elif fit := _ID.fullmatch(environment_id):
        usual = _unregistered(environment_id, fit)
    else:
        raise UnknownNameError("foraging environment", environment_id, registered)
    try:
        simulator: Any = ForagingEnv(**{**usual, **arguments})
    except (TypeError, ValueError, AssertionError) as error:
        raise ConfigurationError(
            f"environment `{environment_id}` with {dict(arguments)}",
            cause=str(error),
            remedy="Remove or correct the `arguments` of the task's environment.",
        ) from error
    if simulator._grid_observation:
        raise ConfigurationError(
            f"environment `{environment_id}` with {dict(arguments)}",
            cause="agents would observe pictures, and the networks here read vectors",
            remedy="Remove `grid_observation` from the `arguments`.",
        )
    return simulator


def _unregistered(environment_id: str, fit: re.Match[str]) -> dict[str, Any]:
    """What the package would register for an id; a test compares it with all that it does register."""
    rows, columns, agents, foods = (int(fit[name]) for name in ("rows", "columns", "agents", "foods"))
    inside = (rows - 2) * (columns - 2) if min(rows, columns) > 2 else 0
    if inside <= agents:
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"{agents} agents could fill the {inside} cells away from the edge, and no food would find room",
            remedy="Take a larger board or fewer agents.",
        )
    return {
        "players": agents,
        "min_player_level": 1,
        "max_player_level": 2,
        "field_size": (rows, columns),
        "min_food_level": 1,
        "max_food_level": None,
        "max_num_food": foods,
        "sight": int(fit["sight"] or max(rows, columns)),
        "max_episode_steps": 50,
        "force_coop": fit["coop"] is not None,
        "grid_observation": False,
        "penalty": 0.0,
    }
