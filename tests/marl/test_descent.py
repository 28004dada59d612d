"""`qredit.marl.descent`: the same steps as torch's own, on one vector."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from qredit.marl.descent import ClippedAdam


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))


def loss_of(made: nn.Module, step: int) -> Tensor:
    inputs = torch.randn(7, 3, generator=torch.Generator().manual_seed(step))
    outputs: Tensor = made(inputs)
    return (outputs - 3).square().mean()


@pytest.mark.parametrize("clip", [0.1, 1e6])
def test_it_moves_a_network_as_adam_on_clipped_gradients_does(clip: float) -> None:
    ours, theirs = network(), network()
    made = ClippedAdam(ours, learning_rate=0.01, clip=clip)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for step in range(20):
        made.descend(loss_of(ours, step))
        adam.zero_grad()
        loss_of(theirs, step).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(theirs.parameters(), clip)
        adam.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_other_networks_get_no_gradient_and_copies_stay_where_they_are() -> None:
    ours, behind = network(), nn.Linear(2, 2)
    copy = deepcopy(ours)
    before = [parameter.detach().clone() for parameter in copy.parameters()]
    ClippedAdam(ours, learning_rate=0.01, clip=1.0).descend(behind(ours(torch.ones(1, 3))).sum())
    assert all(parameter.grad is None for parameter in behind.parameters())
    for a, b in zip(copy.parameters(), before, strict=True):
        assert torch.equal(a, b)
    for moved, was in zip(ours.parameters(), before, strict=True):
        assert not torch.equal(moved, was)


def test_loaded_parameters_are_those_that_move() -> None:
    ours = network()
    made = ClippedAdam(ours, learning_rate=0.01, clip=1.0)
    ours.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in ours.state_dict().items()})
    made.descend(loss_of(ours, 0))
    *_, bias = ours.parameters()
    assert bias.tolist() == pytest.approx([0.01, 0.01])  # Adam's first step has the size of the learning rate


def test_a_parameter_that_the_loss_does_not_reach_stays() -> None:
    used, unused = nn.Linear(1, 1), nn.Linear(1, 1)
    before = unused.weight.item()
    made = ClippedAdam(nn.ModuleList([used, unused]), learning_rate=0.01, clip=1.0)
    for _ in range(3):
        made.descend(used(torch.ones(1)).sum())
    assert unused.weight.item() == before
