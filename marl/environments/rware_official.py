"""The official `rware` warehouses, registered or of another size."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

from qredit.errors import ConfigurationError, UnknownNameError

SIZES: Mapping[str, tuple[int, int]] = {"tiny": (1, 3), "small": (2, 3), "medium": (2, 5), "large": (3, 5)}
"""Rows and columns of blocks of shelves."""
_REQUESTS_PER_AGENT = {"-easy": 2.0, "": 1.0, "-hard": 0.5}
_REWARDS = {"indiv": "individual", "global": "global", "twostage": "two_stage"}
_MOST_CELLS = 10_000

_NUMBER = r"[1-9]\d?"
_SIGHT = r"(?:-(?P<sight>[2-9])s)?"
_BY_SIZE = re.compile(
    rf"rware{_SIGHT}-(?P<size>{'|'.join(SIZES)})(?:-(?P<height>{_NUMBER})h)?-(?P<agents>{_NUMBER})ag(?P<level>-easy|-hard)?-v2",
    re.ASCII,
)
_BY_NUMBERS = re.compile(
    rf"rware{_SIGHT}-(?P<rows>{_NUMBER})x(?P<columns>{_NUMBER})-(?P<height>{_NUMBER})h-(?P<agents>{_NUMBER})ag"
    rf"-(?P<requests>{_NUMBER})req-(?P<reward>{'|'.join(_REWARDS)})-v2",
    re.ASCII,
)
"""The two forms of the package's ids; the second, and heights and sights in the first, it registers on demand only."""

_ARGUMENTS: Mapping[str, range | tuple[Any, ...]] = {
    "request_queue_size": range(1, _MOST_CELLS),
    "sensor_range": range(1, 21),
    "max_steps": range(1, 100_001),
    "reward_type": ("individual", "global", "two_stage"),
    "normalised_coordinates": (False, True),
}
"""What a task may set, and to what."""


def make_official(environment_id: str, arguments: Mapping[str, Any]) -> Any:
    """A warehouse of the package, constructed as its registration does or would.

    Args:
        environment_id: such as `rware-tiny-2ag-v2`.
        arguments: `request_queue_size`, `sensor_range`, `max_steps`, `reward_type` (`individual`, `global`,
            `two_stage`) and `normalised_coordinates` replace those of the registration.

    Raises:
        UnknownNameError: not of the form of the package's ids.
        ConfigurationError: arguments or sizes that cannot be used.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the package imports warns about other packages
        from rware.warehouse import RewardType, Warehouse

    options = {**options_of(environment_id), **_checked(environment_id, arguments)}
    cells = _cells(options)
    if cells > _MOST_CELLS:
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"it has {cells} cells, more than {_MOST_CELLS}",
            remedy="Take fewer or smaller blocks of shelves.",
        )
    options["reward_type"] = RewardType[options["reward_type"].upper()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the precision of a space's bounds that nobody uses
            simulator: Any = Warehouse(msg_bits=0, max_inactivity_steps=None, **options)
    except AssertionError as error:
        raise ConfigurationError(
            f"environment `{environment_id}`", cause=str(error), remedy="Take an odd number of columns of shelves."
        ) from error
    _check_room(environment_id, simulator)
    return simulator


def options_of(environment_id: str) -> dict[str, Any]:
    """What the package registers for an id; a test compares it with all that it does register.

    Raises:
        UnknownNameError: not of the form of the package's ids.
    """
    if fit := _BY_SIZE.fullmatch(environment_id):
        rows, columns = SIZES[fit["size"]]
        requests, reward = int(int(fit["agents"]) * _REQUESTS_PER_AGENT[fit["level"] or ""]), "individual"
    elif fit := _BY_NUMBERS.fullmatch(environment_id):
        rows, columns, requests = int(fit["rows"]), int(fit["columns"]), int(fit["requests"])
        reward = _REWARDS[fit["reward"]]
    else:
        usual = [
            f"rware-{size}-{agents}ag{level}-v2" for size in SIZES for agents in (2, 4, 6) for level in ("", "-easy")
        ]
        raise UnknownNameError("warehouse", environment_id, usual)
    return {
        "shelf_rows": rows,
        "shelf_columns": columns,
        "column_height": int(fit["height"] or 8),
        "n_agents": int(fit["agents"]),
        "sensor_range": int(fit["sight"] or 1),
        "request_queue_size": requests,
        "max_steps": 500,
        "reward_type": reward,
    }


def _cells(options: Mapping[str, Any]) -> int:
    return int(((options["column_height"] + 1) * options["shelf_rows"] + 2) * (3 * options["shelf_columns"] + 1))


def _checked(environment_id: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in arguments.items():
        if name not in _ARGUMENTS:
            raise ConfigurationError(
                f"environment `{environment_id}` with `{name}`",
                cause="it takes no such argument here",
                remedy=f"Use {', '.join(f'`{n}`' for n in _ARGUMENTS)} in the task's `arguments`, or none.",
            )
        possible = _ARGUMENTS[name]
        if type(value) is not type(possible[0]) or value not in possible:
            shown = (
                " or ".join(map(str, possible)) if isinstance(possible, tuple) else f"{possible[0]} to {possible[-1]}"
            )
            raise ConfigurationError(
                f"environment `{environment_id}` with `{name}: {value}`",
                cause=f"it must be {shown}",
                remedy="Correct the `arguments` of the task's environment.",
            )
    return arguments


def _check_room(environment_id: str, simulator: Any) -> None:
    """The package would fail at the first reset or delivery, or never reward anything."""
    shelves = int((simulator.highways == 0).sum())
    if not 1 <= simulator.request_queue_size < shelves:
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"{simulator.request_queue_size} of {shelves} shelves would be requested at a time",
            remedy="Request at least one shelf, and fewer than there are: set `request_queue_size`.",
        )
    if simulator.n_agents > simulator.highways.size:
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause=f"{simulator.n_agents} agents find no room on {simulator.highways.size} cells",
            remedy="Take fewer agents.",
        )
