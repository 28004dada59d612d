"""The task texts against the simulator that they describe."""

from __future__ import annotations

from typing import Any

import gymnasium
import lbforaging  # noqa: F401 (registers the environments)
import pytest

from qredit.task import builtin_task_names, load_task

LBF = [name for name in builtin_task_names() if name.startswith("lbf-")]


def test_which_tasks_ship() -> None:
    assert {"lbf-5x5-2p-1f", "lbf-8x8-2p-2f-coop-2s", "lbf-10x10-3p-3f-2s", "lbf-15x15-4p-3f-2s"} <= set(LBF)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("name", LBF)
def test_the_text_is_true(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert task.environment is not None
    arguments: dict[str, Any] = dict(task.environment.arguments)
    made = gymnasium.make(task.environment.id, disable_env_checker=True, **arguments)
    simulator: Any = made.unwrapped
    rows, columns = simulator.field.shape
    assert f"{rows} x {columns} cells" in task.description
    assert len(simulator.players) == task.n_agents
    assert simulator._max_episode_steps == task.time_limit
    assert simulator._normalize_reward
    assert simulator.penalty == 0
    actions = {action.value: action.name for action in type(simulator.action_set[0])}
    assert task.actions == tuple(actions[number] for number in sorted(actions))

    foods_needing_all, lowest, beside_two = True, 99, False
    for seed in range(40):
        simulator.reset(seed=seed)
        levels = sorted(player.level for player in simulator.players)
        assert set(levels) <= {1, 2}
        foods = [(r, c) for r in range(rows) for c in range(columns) if simulator.field[r, c]]
        assert all(0 < r < rows - 1 and 0 < c < columns - 1 for r, c in foods)
        most = sum(levels[:3])
        assert all(1 <= simulator.field[f] <= most for f in foods)
        foods_needing_all &= all(simulator.field[f] == sum(levels) for f in foods)
        lowest = min(lowest, *(int(simulator.field[f]) for f in foods))
        beside_two |= any(
            sum(abs(r - fr) + abs(c - fc) == 1 for fr, fc in foods) > 1 for r in range(rows) for c in range(columns)
        )
    assert not beside_two
    assert foods_needing_all == ("the level of every food is the sum of the levels of all agents" in task.description)
    if not foods_needing_all:
        assert lowest == 1
    sees_all = simulator.sight >= rows
    assert sees_all == ("observes the whole board" in task.description)
    assert sees_all or f"at most {simulator.sight} rows" in task.description
    made.close()
