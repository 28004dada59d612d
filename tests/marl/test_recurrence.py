"""The GRU of our own beside torch's: values, gradients, and where torch's takes over."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from qredit.marl.kernels.recurrence import tanh
from qredit.marl.recurrence import GRU


def both(size: int, width: int, seed: int = 0) -> tuple[nn.GRU, GRU]:
    torch.manual_seed(seed)
    theirs, ours = nn.GRU(size, width), GRU(size, width)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@given(
    steps=st.integers(1, 9),
    rows=st.integers(1, 7),
    size=st.integers(1, 5),
    width=st.integers(1, 9),
    seed=st.integers(0, 99),
    begun=st.booleans(),
)
def test_states_and_gradients_are_those_of_torch(
    steps: int, rows: int, size: int, width: int, seed: int, begun: bool
) -> None:
    found: list[tuple[Tensor, ...]] = []
    for network in both(size, width, seed):
        torch.manual_seed(seed)
        inputs = (3 * torch.randn(steps, rows, size)).requires_grad_()
        first = torch.randn(1, rows, width, requires_grad=True)
        states, last = network(inputs, first if begun else None)
        loss = (states * torch.randn_like(states)).sum() + (last * torch.randn_like(last)).sum()
        sources = [inputs, *([first] if begun else []), *network.parameters()]
        found.append((states, last, *torch.autograd.grad(loss, sources)))
    for theirs, ours in zip(*found, strict=True):
        assert theirs.shape == ours.shape
        assert torch.allclose(theirs, ours, rtol=1e-4, atol=1e-5)


def test_one_state_by_hand() -> None:
    """One unit with weights 1 and biases 0, input 1, state 0.5: every gate sees 1.5."""
    network = GRU(1, 1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.fill_(0.0 if "bias" in name else 1.0)
    state = network(torch.ones(1, 1, 1), torch.full((1, 1, 1), 0.5))[0].item()
    gate = 1 / (1 + np.exp(-1.5))
    candidate = np.tanh(1 + gate * 0.5)
    assert state == pytest.approx((1 - gate) * candidate + gate * 0.5, abs=1e-6)


def test_without_gradients_the_states_are_the_same() -> None:
    _, ours = both(4, 8)
    inputs = torch.randn(5, 3, 4)
    with torch.inference_mode():
        alone = ours(inputs)[0]
    assert torch.equal(alone, ours(inputs)[0])


@pytest.mark.parametrize("transposed", [False, True])
def test_inputs_need_not_be_contiguous(transposed: bool) -> None:
    theirs, ours = both(4, 8)
    inputs = torch.randn(3, 5, 4).transpose(0, 1) if transposed else torch.randn(5, 3, 8)[..., ::2]
    expected, found = theirs(inputs)[0], ours(inputs)[0]
    assert torch.allclose(found, expected, atol=1e-6)
    for states in (expected, found):  # nor the gradients
        states.transpose(0, 1).flatten().square().sum().backward()
    for a, b in zip(theirs.parameters(), ours.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        assert torch.allclose(a.grad, b.grad, atol=1e-4)


def test_double_precision_is_torchs() -> None:
    theirs, ours = (network.double() for network in both(4, 8))
    inputs = torch.randn(5, 3, 4, dtype=torch.float64)
    assert torch.equal(theirs(inputs)[0], ours(inputs)[0])


def test_the_hyperbolic_tangent_over_its_whole_range() -> None:
    numbers = np.linspace(-12, 12, 4001, dtype=np.float32)
    found = np.array([tanh(x) for x in numbers])
    assert np.abs(found - np.tanh(numbers.astype(np.float64))).max() < 4e-7
    assert np.abs(found).max() <= 1.0
    assert tanh(np.float32(0)) == 0
    assert tanh(np.float32(np.inf)) == pytest.approx(1, abs=4e-7)


def test_what_is_no_number_stays_none() -> None:
    """A training that has gone wrong must not look sane."""
    _, ours = both(2, 3)
    inputs = torch.zeros(2, 1, 2)
    inputs[0, 0, 0] = float("nan")
    assert not torch.isfinite(ours(inputs)[0]).any()
