"""Shares of the team reward: `share(state, actions, next_state)`, from the source to the graph."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from qredit.credit import credit_weights, interpret, parse_graph, specialise
from qredit.errors import ArtifactError, ConfigurationError, TaskFileError
from qredit.layout import StateField, StateLayout
from qredit.sandbox import Accepted, Jail, Rejected, Verdict, verify

N, A = 2, 3
LAYOUT = StateLayout(
    (
        StateField("cell", (N,), "cells", 0.0, 4.0, "Cell of each agent.", (), (0,)),
        StateField("goal", (), "cells", 0.0, 4.0, "Cell of the goal."),
    )
)
STATES = np.array([[0, 1, 4], [3, 2, 0], [4, 4, 1], [1, 0, 2], [2, 2, 3]], dtype=np.float32)
HEAD = "import torch\nimport torch.nn.functional as F\n"
NEARER = (
    HEAD
    + """def share(state, actions, next_state):
    before = (state["cell"] - state["goal"].unsqueeze(1)).abs()
    after = (next_state["cell"] - state["goal"].unsqueeze(1)).abs()
    moved = F.one_hot(actions, 3)[:, :, 0] == 0
    return torch.relu(before - after) * moved.float() + 0.5
"""
)


@pytest.fixture(scope="module")
def jail(lockdown_jail: Jail) -> Jail:
    return lockdown_jail


def judged(jail: Jail, source: str, **changes: Any) -> Verdict:
    given: dict[str, Any] = {"layout": LAYOUT, "n_agents": N, "states": STATES, "n_actions": A, "jail": jail}
    return verify(source, **(given | changes))


def body(line: str) -> str:
    return f"{HEAD}def share(state, actions, next_state):\n    {line}\n"


def test_a_share_by_hand(jail: Jail) -> None:
    """State, actions and next state in a row: agent 0 came 1 nearer, agent 1 stood still and came 2 nearer."""
    verdict = judged(jail, NEARER)
    assert isinstance(verdict, Accepted), verdict
    assert verdict.form == "shares"
    graph = parse_graph(verdict.payload)
    assert (graph.header.form, graph.header.state_size, graph.header.n_agents) == ("shares", 3 + N + 3, N)
    transition = torch.tensor([[0.0, 1.0, 4.0, 2.0, 0.0, 1.0, 3.0, 4.0]])
    for run in (interpret(graph, state=transition), specialise(graph)(state=transition)):
        assert run[0].tolist() == [[1.5, 0.5]]
        assert credit_weights(graph.header, run).tolist() == [[1.5, 0.5]]


def test_flat_states_and_whole_numbers_as_actions(jail: Jail) -> None:
    verdict = judged(jail, body("return (actions == 2).float() + torch.relu(next_state[:, :2] - state[:, :2])"))
    assert isinstance(verdict, Accepted), verdict
    transition = torch.tensor([[0.0, 1.0, 4.0, 2.0, 0.0, 1.0, 3.0, 4.0]])
    assert interpret(parse_graph(verdict.payload), state=transition)[0].tolist() == [[2.0, 2.0]]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("return state['cell'][:, :1]", "of shape [B, 1], it must be [B, 2]"),
        ("return state['cell'], state['cell'][:, :1]", "returns 2 values. Return shares [B, N]"),
        ("return actions", "Add `.float()`"),
        ("return 1.0 / state['cell']", "`shares` of agent 0 is inf"),
        ("return state['cell'] - state['cell'].mean(dim=0)", "state"),
        ("state['cell'] += 1\n    return state['cell']", "writes into its input"),
        ("return state['cell'] if actions.sum() > 0 else next_state['cell']", "depends on values of tensors"),
        ("return next_state['door']", "there is no `door`"),
    ],
)
def test_what_is_no_share(jail: Jail, line: str, words: str) -> None:
    verdict = judged(jail, body(line))
    assert isinstance(verdict, Rejected)
    assert words in verdict.message


def test_large_shares_are_refused_where_nothing_normalises_them(jail: Jail) -> None:
    source = body("return 100.0 * state['cell'] + 1.0")
    assert isinstance(judged(jail, source), Accepted)
    verdict = judged(jail, source, scale="raw")
    assert isinstance(verdict, Rejected)
    assert "beyond the bound 10 N = 20" in verdict.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("return torch.ones_like(state['cell'])", "same shares in all probed transitions"),
        ("return state['cell'] - 2.0", "of the shares are negative and were clamped at 0"),
        ("return torch.stack([state['cell'][:, 0] + 1, state['goal'] * 0], dim=1)", "Agent 1 has share 0"),
        ("return state['cell'] + 1.0 + (actions == 1).float() * torch.tensor([3.0, 0.0])", "never on its number"),
    ],
)
def test_warnings(jail: Jail, line: str, words: str) -> None:
    verdict = judged(jail, body(line), exchangeable=True)
    assert isinstance(verdict, Accepted), verdict
    assert any(words in warning for warning in verdict.warnings), verdict.warnings


def test_equal_shares_are_the_team_reward(jail: Jail) -> None:
    verdict = judged(jail, body("return torch.ones_like(state['cell']) * 0.3"))
    assert isinstance(verdict, Accepted)
    assert verdict.vdn_difference == 0.0
    graph = parse_graph(verdict.payload)
    assert credit_weights(graph.header, interpret(graph, state=torch.rand(4, 8))).tolist() == [[1.0, 1.0]] * 4


def test_shares_need_the_number_of_actions(jail: Jail) -> None:
    verdict = judged(jail, NEARER, n_actions=None)
    assert isinstance(verdict, Rejected)
    assert "it defines `share(state, actions, next_state)`, which is not wanted here" in verdict.message
    with pytest.raises(ConfigurationError, match="0 actions"):
        judged(jail, NEARER, n_actions=0)


def test_a_helper_may_be_called_share(jail: Jail) -> None:
    source = "def share(x):\n    return x + 0.1\n\ndef credit(state):\n    return share(state['cell'])\n"
    verdict = judged(jail, source)
    assert isinstance(verdict, Accepted), verdict
    assert verdict.form == "weights"


def test_a_state_with_the_name_of_a_transitions_field_is_told() -> None:
    taken = StateLayout((StateField("chosen_action", (N,), "-", 0, 1, "Taken."),))
    with pytest.raises(TaskFileError, match="`chosen_action` stands there twice"):
        taken.transition(N, A)


def test_from_the_command_line_to_the_mixer_that_refuses_it(
    jail: Jail, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from qredit.cli.app import app
    from qredit.marl.mixers import load_mixer

    jails = {"lockdown": jail}
    monkeypatch.setattr("qredit.api.checking.open_jail", lambda name, image: nullcontext(jails[name]))
    file, folder = tmp_path / "share.py", tmp_path / "artifact"
    file.write_text(body("return state[:, :2].abs() + (actions == 2).float() + 0.1"))
    sizes = ["--agents", "2", "--state-dim", "3", "--jail", "lockdown"]
    ran = CliRunner().invoke(app, ["check", str(file), *sizes, "--actions", "3", "--save", str(folder), "--json"])
    assert ran.exit_code == 0, ran.output
    with pytest.raises(ArtifactError, match="shares out the team reward"):
        load_mixer(folder)
    assert CliRunner().invoke(app, ["check", str(file), *sizes]).exit_code == 1
