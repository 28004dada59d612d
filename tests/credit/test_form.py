"""From raw outputs to `Q_tot`: numbers by hand, and properties that hold for any weights."""

from __future__ import annotations

from typing import get_args

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from qredit.credit import Header, apply_form, credit_weights
from qredit.credit.schema import Form, Igm, Scale


def header(scale: Scale = "sum_to_n", igm: Igm = "enforce", *, n: int = 3, bias: bool = False) -> Header:
    return Header("weights", scale, igm, n_agents=n, state_size=4, has_bias=bias)


def weights_of(rows: list[list[float]], scale: Scale, igm: Igm) -> list[list[float]]:
    values: list[list[float]] = credit_weights(header(scale, igm, n=len(rows[0])), [torch.tensor(rows)]).tolist()
    return values


@pytest.mark.parametrize(
    ("scale", "igm", "raw", "expected"),
    [
        ("sum_to_n", "enforce", [1.0, 2.0, 3.0], [0.5, 1.0, 1.5]),
        ("sum_to_n", "enforce", [-1.0, 1.0, 3.0], [0.0, 0.75, 2.25]),
        ("sum_to_n", "enforce", [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
        ("sum_to_n", "enforce", [-1.0, -2.0, -3.0], [1.0, 1.0, 1.0]),
        ("sum_to_n", "relax", [1.0, -1.0, 2.0], [0.75, -0.75, 1.5]),
        ("sum_to_n", "relax", [0.0, 0.0, 0.0], [1.0, 1.0, 1.0]),
        ("raw", "enforce", [-1.0, 2.0, 0.5], [0.0, 2.0, 0.5]),
        ("raw", "relax", [-1.0, 2.0, 0.5], [-1.0, 2.0, 0.5]),
    ],
)
def test_weights_by_hand(scale: Scale, igm: Igm, raw: list[float], expected: list[float]) -> None:
    assert weights_of([raw], scale, igm)[0] == pytest.approx(expected)


def test_a_sum_near_zero_does_not_explode() -> None:
    """The design page's example: (1, -0.999, 0) divided by its sum would be (3000, -2997, 0)."""
    (row,) = weights_of([[1.0, -0.999, 0.0]], "sum_to_n", "relax")
    assert row == pytest.approx([3 / 1.999, -2.997 / 1.999, 0.0])


def test_q_tot_and_bias_by_hand() -> None:
    raw = [torch.tensor([[1.0, 3.0, 0.0]]), torch.tensor([[0.5]])]
    credit = apply_form(header(bias=True), raw, torch.tensor([[2.0, 4.0, 8.0]]))
    assert credit.q_tot.tolist() == [[0.75 * 2 + 2.25 * 4 + 0.5]]
    assert credit.weights is not None
    assert credit.weights.tolist() == [[0.75, 2.25, 0.0]]
    assert credit.bias is raw[1]


def test_clamped_share() -> None:
    raw = [torch.tensor([[-1.0, 1.0, 1.0], [0.0, -2.0, -0.5]])]
    assert apply_form(header(), raw, torch.ones(2, 3)).clamped_share == pytest.approx(0.5)
    assert apply_form(header(igm="relax"), raw, torch.ones(2, 3)).clamped_share == 0.0


def test_general_form_passes_through() -> None:
    general = Header("general", "sum_to_n", "enforce", n_agents=3, state_size=4, has_bias=False)
    q_tot = torch.tensor([[1.5]])
    credit = apply_form(general, [q_tot], torch.ones(1, 3))
    assert credit.q_tot is q_tot
    assert credit.weights is None
    assert credit.bias is None
    with pytest.raises(ValueError, match="dQ_tot"):
        credit_weights(general, [q_tot])


@pytest.mark.parametrize("form", ["shares", "value"])
def test_what_has_no_q_tot_says_so(form: Form) -> None:
    other = Header(form, "sum_to_n", "enforce", n_agents=3, state_size=11, has_bias=False)
    with pytest.raises(ValueError, match=f"the form `{form}` .*; it has no Q_tot"):
        apply_form(other, [torch.ones(1, 3)], torch.ones(1, 3))


def test_a_value_has_no_weights() -> None:
    value = Header("value", "sum_to_n", "enforce", n_agents=3, state_size=4, has_bias=False)
    with pytest.raises(ValueError, match="one number per state or transition; it has no weights"):
        credit_weights(value, [torch.ones(1, 1)])


@given(st.integers(1, 99), st.integers(1, 9), st.integers(1, 250), st.sampled_from(get_args(Form)))
def test_what_a_graph_reads_follows_from_its_size(size: int, n: int, own: int, form: Form) -> None:
    """Of a value exactly one size is that of a transition; no other form has a choice."""
    head = Header(form, "raw", "relax", n_agents=n, state_size=own, has_bias=False)
    expected = {"shares": True, "value": own == size + n + size}
    assert head.reads_transitions(size) is expected.get(form, False)


@pytest.mark.parametrize("n", [2, 3, 5, 7, 8, 10, 16, 33, 49, 100])
def test_uniform_weights_are_vdn_to_the_bit(n: int) -> None:
    """Ones, and 1/N, and any other positive constant; the trainer's VDN sums `[B, T, N]`. Strides do not matter."""
    dense = torch.randn(6, 43, n, generator=torch.Generator().manual_seed(n))
    vdn = dense.sum(dim=-1, keepdim=True).reshape(258, 1)
    flat = dense.reshape(258, n)
    for values in (flat, flat.t().contiguous().t(), flat.repeat_interleave(2, dim=1)[:, ::2]):
        for constant in (1.0, 1.0 / n, 0.1, 3e-20, 1e30):
            raw = [torch.full((258, n), constant)]
            assert torch.equal(apply_form(header(n=n), raw, values).q_tot, vdn)


numbers = st.floats(-(2.0**99), 2.0**99, width=32).map(lambda x: 0.0 if abs(x) < 1e-25 else x)
rows = st.lists(numbers, min_size=1, max_size=6)


@given(row=rows, igm=st.sampled_from(["enforce", "relax"]))
def test_magnitudes_sum_to_n(row: list[float], igm: Igm) -> None:
    (result,) = weights_of([row], "sum_to_n", igm)
    assert sum(map(abs, result)) == pytest.approx(len(row), rel=1e-5)
    if igm == "enforce":
        assert min(result) >= 0.0


@given(row=rows, factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_a_power_of_two_changes_nothing(row: list[float], factor: float) -> None:
    scaled = [x * factor for x in row]
    assert weights_of([row], "sum_to_n", "relax") == weights_of([scaled], "sum_to_n", "relax")


@given(row=st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=6))
@pytest.mark.parametrize("scale", ["sum_to_n", "raw"])
@pytest.mark.parametrize("igm", ["enforce", "relax"])
def test_gradients_are_finite(row: list[float], scale: Scale, igm: Igm) -> None:
    """For any finite raw weights: zeros, tiny and huge ones too."""
    raw = torch.tensor([row], requires_grad=True)
    values = torch.linspace(-1, 1, len(row)).unsqueeze(0).requires_grad_()
    credit = apply_form(header(scale, igm, n=len(row)), [raw], values)
    gradients = torch.autograd.grad(credit.q_tot.sum(), [raw, values])
    assert all(bool(torch.isfinite(g).all()) for g in gradients)


def test_gradient_by_hand() -> None:
    """d/dw of N (w . q) / sum(w) is N (q_i - mean) / sum(w), where mean is the weighted mean of q."""
    raw = torch.tensor([[1.0, 2.0, 5.0]], dtype=torch.float32, requires_grad=True)
    values = torch.tensor([[3.0, -1.0, 2.0]])
    (gradient,) = torch.autograd.grad(apply_form(header(), [raw], values).q_tot.sum(), [raw])
    mean = (1 * 3 - 2 + 10) / 8
    expected = [3 * (q - mean) / 8 for q in (3.0, -1.0, 2.0)]
    assert gradient[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_rows_are_independent() -> None:
    raw = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [5.0, -1.0, 1.0]])
    together: Tensor = credit_weights(header(), [raw])
    alone = torch.cat([credit_weights(header(), [raw[i : i + 1]]) for i in range(3)])
    assert torch.equal(together, alone)
