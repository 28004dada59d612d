"""States that came before are not asked about again."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from qredit.marl.mixers import known_credit
from qredit.marl.mixers.credit import CreditMixer
from qredit.marl.mixers.known_credit import KnownCredit
from tests.marl.conftest import Graphs


class Asked(CreditMixer):
    """Remembers how many states it was asked about, call by call."""

    def __init__(self, size: int = 5) -> None:
        super().__init__(Graphs(2, size).first_numbers(bias_of=2))
        self.counts: list[int] = []

    def outputs(self, states: Tensor) -> Tensor:
        """As ever."""
        self.counts.append(len(states))
        return super().outputs(states)


def whole_states(*firsts: int) -> Tensor:
    """States `[M, 5]` that begin with these numbers."""
    return torch.tensor([[first, 1.0, 2.0, 3.0, 4.0] for first in firsts])


def test_the_very_outputs_and_each_state_once() -> None:
    function = Asked()
    known = KnownCredit(function)
    first, second = whole_states(1, 2, 1, 3), whole_states(3, 4, 1)
    for states in (first, second, second):
        assert torch.equal(known.outputs(states), CreditMixer.outputs(function, states))
    assert function.counts == [3, 1]


def test_numbers_that_the_function_does_not_read_make_no_other_state() -> None:
    function = Asked()
    known = KnownCredit(function)
    states = whole_states(1, 1, 1)
    states[:, 3:] = torch.arange(6.0).reshape(3, 2)
    known.outputs(states)
    states[0, 2] = 7.0  # the bias is read
    known.outputs(states)
    assert function.counts == [1, 1]


def test_a_function_that_reads_nothing() -> None:
    mixer = CreditMixer(Graphs(2, 5).ones())
    known = KnownCredit(mixer)
    known._columns = known._columns[:0]
    assert torch.equal(known.outputs(whole_states(1, 2)), mixer.outputs(whole_states(1, 2)))


def test_where_no_state_comes_twice_nothing_is_remembered_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_credit, "TRIAL", 10)
    function = Asked()
    known = KnownCredit(function)
    for start in range(0, 20, 5):
        known.outputs(whole_states(*range(start, start + 5)))
    known.outputs(whole_states(0))
    assert function.counts == [5, 5, 5, 5, 1]
    assert len(known.contents()["states"]) == 10


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_credit, "LARGEST", 3)
    function = Asked()
    known = KnownCredit(function)
    known.outputs(whole_states(0, 1))
    assert torch.equal(known.outputs(whole_states(1, 2, 3)), function.outputs(whole_states(1, 2, 3)))
    known.outputs(whole_states(0, 1, 2))
    assert function.counts == [2, 2, 3, 1]
    assert len(known.contents()["states"]) == 3


def test_a_restored_one_gives_the_same_without_asking() -> None:
    known = KnownCredit(Asked())
    outputs = known.outputs(whole_states(1, 2))
    function = Asked()
    other = KnownCredit(function)
    other.restore(known.contents())
    assert torch.equal(other.outputs(whole_states(2, 1)), outputs.flip(0))
    assert function.counts == []
    assert other.contents()["counts"].tolist() == [4, 2]


def test_an_empty_one_can_be_kept_and_restored() -> None:
    known = KnownCredit(Asked())
    known.restore(KnownCredit(Asked()).contents())
    assert known.outputs(whole_states(1)).shape == (1, 3)
