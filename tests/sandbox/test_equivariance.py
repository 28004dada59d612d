"""Exchangeable agents: credit that depends on an agent's number earns a warning, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from qredit.credit.schema import Header
from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.sandbox import Accepted, Jail, verify
from qredit.sandbox.contract.check import check_contract

N = 3
LAYOUT = StateLayout(
    (
        StateField("cell", (N,), "cells", 0.0, 9.0, "Cell of each agent.", agent_axes=(0,)),
        StateField("goal", (), "cells", 0.0, 9.0, "Cell of the goal."),
    )
)
STATES = torch.randint(0, 10, (40, N + 1), generator=torch.Generator().manual_seed(0)).float()
Outputs = Tensor | tuple[Tensor, ...]


def nearness(state: Tensor) -> Tensor:
    return 1 / (1 + (state[:, :N] - state[:, N:]).abs())


def warned(function: Callable[[Tensor], Outputs], layout: StateLayout = LAYOUT, *, has_bias: bool = False) -> list[str]:
    """Warnings that speak of exchangeable agents."""

    def run(state: Tensor, agents_q: Tensor | None) -> tuple[Tensor, ...]:
        outputs = function(state)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    header = Header("weights", "sum_to_n", "enforce", N, N + 1, has_bias)
    reports = [
        check_contract(header, run, layout=layout, states=STATES, exchangeable=exchangeable)
        for exchangeable in (False, True)
    ]
    assert not [w for w in reports[0].warnings if "exchangeable" in w], "nobody said that they are"
    return [w for w in reports[1].warnings if "exchangeable" in w]


def first_by_number(state: Tensor) -> Tensor:
    return nearness(state) * torch.tensor([3.0, 1.0, 1.0])


def first_among_equals(state: Tensor) -> Tensor:
    """Who stands nearest gets more, the lowest number where several do."""
    nearest = torch.nn.functional.one_hot(nearness(state).argmax(dim=1), N)
    return nearest + 0.5


def test_credit_by_situation_earns_none() -> None:
    assert warned(nearness) == []
    assert warned(lambda s: (nearness(s), nearness(s).sum(dim=1, keepdim=True)), has_bias=True) == []


def test_credit_by_number_is_noticed() -> None:
    (warning,) = warned(first_by_number)
    assert "changes who gets what in 100.0% of the rollout states" in warning
    assert "goal=" in warning


def test_only_some_states_are_counted() -> None:
    """Ties alone show the number."""
    ties = int((nearness(STATES) == nearness(STATES).amax(dim=1, keepdim=True)).sum(dim=1).gt(1).sum())
    assert 0 < ties < len(STATES)
    (warning,) = warned(first_among_equals)
    share = float(warning.split(" in ")[1].split("%")[0]) / 100
    assert 0 < share <= ties / len(STATES) + 0.001


def test_a_bias_by_number_is_noticed() -> None:
    assert len(warned(lambda s: (nearness(s), s[:, :1] / 10), has_bias=True)) == 1


def test_nothing_is_said_about_a_layout_without_agent_axes() -> None:
    silent = StateLayout(tuple(replace(field, agent_axes=()) for field in LAYOUT.fields))
    assert warned(first_by_number, silent) == []


@pytest.mark.parametrize(("factors", "count"), [((1.0, 1.0, 1.0), 0), ((2.0, 1.0, 1.0), 1)])
def test_the_general_form(factors: tuple[float, ...], count: int) -> None:
    def run(state: Tensor, agents_q: Tensor | None) -> tuple[Tensor, ...]:
        assert agents_q is not None
        weighted = torch.softmax(nearness(state), dim=1) * torch.tensor(factors) * agents_q
        return (weighted.sum(dim=1, keepdim=True),)

    header = Header("general", "sum_to_n", "enforce", N, N + 1, has_bias=False)
    report = check_contract(header, run, layout=LAYOUT, states=STATES, exchangeable=True)
    assert len([w for w in report.warnings if "exchangeable" in w]) == count


SOURCE = """import torch
def credit(state):
    weights = 1 / (1 + (state["cell"] - state["goal"].unsqueeze(1)).abs())
    return weights * torch.tensor([3.0, 1.0, 1.0])
"""


def judged(jail: Jail, n_agents: int = N) -> Accepted:
    states = STATES.numpy().astype(np.float32)
    verdict = verify(SOURCE, layout=LAYOUT, n_agents=n_agents, states=states, jail=jail, exchangeable=True)
    assert isinstance(verdict, Accepted), verdict
    return verdict


def test_through_the_jail(lockdown_jail: Jail) -> None:
    assert [w for w in judged(lockdown_jail).warnings if "exchangeable" in w] != []
    with pytest.raises(ConfigurationError, match="said to run over the agents, of which there are 2"):
        judged(lockdown_jail, n_agents=2)
