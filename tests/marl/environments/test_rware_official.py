"""Which warehouses there are: the package's ids, registered or not, and arguments that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import pytest
import rware  # noqa: F401 (registers the environments)
from rware.warehouse import RewardType

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.environments.rware_official import make_official, options_of

TINY = "rware-tiny-2ag-v2"
REGISTERED = sorted(name for name in gymnasium.registry if name.startswith("rware"))


def test_every_registered_id_has_the_options_of_its_registration() -> None:
    assert len(REGISTERED) == 4 * 3 * 19
    for name in REGISTERED:
        usual = dict(gymnasium.registry[name].kwargs)
        assert (usual.pop("msg_bits"), usual.pop("max_inactivity_steps")) == (0, None)
        usual["reward_type"] = usual["reward_type"].name.lower()
        assert options_of(name) == usual


def test_ids_that_the_package_registers_only_on_demand() -> None:
    usual = options_of("rware-small-4ag-easy-v2")
    assert options_of("rware-2s-small-5h-4ag-easy-v2") == usual | {"sensor_range": 2, "column_height": 5}
    assert options_of("rware-4s-1x3-2h-3ag-5req-global-v2") == {
        "shelf_rows": 1,
        "shelf_columns": 3,
        "column_height": 2,
        "n_agents": 3,
        "sensor_range": 4,
        "request_queue_size": 5,
        "max_steps": 500,
        "reward_type": "global",
    }
    assert make_official("rware-1x5-4h-2ag-1req-twostage-v2", {}).reward_type == RewardType.TWO_STAGE
    assert make_official(TINY, {"reward_type": "global"}).reward_type == RewardType.GLOBAL


@pytest.mark.parametrize("name", ["rware-tiny-v2", "rware-img-tiny-2ag-v2", "rware-tiny-0ag-v2", "rware-tiny-2ag-v1"])
def test_an_unknown_id_suggests_known_ones(name: str) -> None:
    with pytest.raises(UnknownNameError, match="rware-tiny-2ag"):
        make_official(name, {})


@pytest.mark.parametrize(
    ("environment_id", "arguments", "part"),
    [
        (TINY, {"msg_bits": 2}, "takes no such argument"),
        (TINY, {"max_inactivity_steps": 9}, "takes no such argument"),
        (TINY, {"sensor_range": 0}, "1 to 20"),
        (TINY, {"sensor_range": 1.0}, "1 to 20"),
        (TINY, {"max_steps": True}, "1 to 100000"),
        (TINY, {"reward_type": "none"}, "individual or global or two_stage"),
        (TINY, {"normalised_coordinates": 1}, "False or True"),
        (TINY, {"request_queue_size": 32}, "32 of 32 shelves"),
        ("rware-tiny-1ag-hard-v2", {}, "0 of 32 shelves"),
        ("rware-1x4-8h-2ag-2req-indiv-v2", {}, "odd number"),
        ("rware-99x99-99h-2ag-2req-indiv-v2", {}, "more than 10000"),
        ("rware-1x3-2h-99ag-2req-indiv-v2", {}, "find no room"),
    ],
)
def test_warehouses_that_cannot_be_used(environment_id: str, arguments: Mapping[str, Any], part: str) -> None:
    with pytest.raises(ConfigurationError, match=part):
        make_official(environment_id, arguments)
