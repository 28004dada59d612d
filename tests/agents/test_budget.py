"""The budget: nothing is asked that could exceed it, and what was set aside comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.agents import Message
from qredit.agents.budget import Budget, Ledger
from qredit.agents.messages import Identity, Role, Usage
from qredit.agents.prices import Price
from qredit.agents.team import ROLES
from qredit.errors import BudgetSpentError, ConfigurationError

HOSTED = Identity("https://api.example.org/v1", "m", {})
ALL_HOSTED = dict.fromkeys(ROLES, HOSTED)


def text(characters: int) -> tuple[Message, ...]:
    """A context of this length, in two messages."""
    return (Message("system", "x" * (characters // 2)), Message("user", "y" * (characters - characters // 2)))


def total(usage: Usage) -> int:
    """All its tokens."""
    return usage.input_tokens + usage.output_tokens


def spent(ledger: Ledger) -> int:
    """All tokens that were spent."""
    return sum(map(total, ledger.spent.values()))


# The ledger


def test_a_call_reserves_its_input_and_the_output_to_be_expected() -> None:
    ledger = Ledger(Budget(max_tokens=10_000), ALL_HOSTED)
    tickets = [ledger.reserve("coder", text(398)) for _ in range(2)]  # 398 / 4 = 99.5 and 4000
    assert ledger.reserved == Usage(200, 8000, estimated=True)
    with pytest.raises(BudgetSpentError) as caught:
        ledger.reserve("coder", text(400))
    assert str(caught.value) == (
        "budget of 10000 tokens: 0 are spent, 8200 are reserved for calls in flight, and the next call needs about "
        "4100. Raise it with `--max-tokens` and go on with `--resume RUN`."
    )
    ledger.land(tickets[0], Usage(90, 500))
    assert (ledger.spent, ledger.reserved) == ({"coder": Usage(90, 500)}, Usage(100, 4000, estimated=True))
    ledger.reserve("evaluator", text(400))  # now the largest output so far is expected
    assert ledger.reserved == Usage(200, 4500, estimated=True)


@pytest.mark.parametrize(("limit", "fits"), [(4101, True), (4100, True), (4099, False)])
def test_the_limit_itself_may_be_reached(limit: int, fits: bool) -> None:
    ledger = Ledger(Budget(max_tokens=limit), ALL_HOSTED)
    if fits:
        ledger.reserve("coder", text(400))
    else:
        with pytest.raises(BudgetSpentError):
            ledger.reserve("coder", text(400))
    assert total(ledger.reserved) == (4100 if fits else 0)


def test_a_limit_on_replies_bounds_what_is_expected() -> None:
    limited: dict[Role, Identity] = {"coder": replace(HOSTED, parameters={"max_tokens": 50}), "evaluator": HOSTED}
    ledger = Ledger(Budget(), limited)

    def expected(role: Role) -> int:
        before = ledger.reserved.output_tokens
        ticket = ledger.reserve(role, ())
        after = ledger.reserved.output_tokens
        ledger.release(ticket)
        return after - before

    assert (expected("coder"), expected("evaluator")) == (50, 4000)
    ledger.enter("evaluator", Usage(0, 800))
    assert (expected("coder"), expected("evaluator")) == (50, 800)
    ledger.enter("evaluator", Usage(0, 30))
    assert (expected("coder"), expected("evaluator")) == (50, 800)


def test_dollars() -> None:
    prices: dict[Role, Price] = {"coder": Price(1.0, 10.0), "evaluator": Price(100.0, 0.0)}
    ledger = Ledger(Budget(max_usd=0.05, prices=prices), ALL_HOSTED)
    ledger.enter("coder", Usage(2000, 2000))  # 0.002 + 0.02
    assert ledger.cost() == pytest.approx(0.022)
    ledger.reserve("coder", text(0))  # 2000 to write: 0.02
    with pytest.raises(BudgetSpentError) as caught:
        ledger.reserve("evaluator", text(400))  # 100 to read: 0.01
    assert str(caught.value) == (
        "budget of 0.05 USD: 0.0220 are spent, 0.0200 are reserved for calls in flight, and the next call needs about "
        "0.0100. Raise it with `--max-usd` and go on with `--resume RUN`."
    )
    ledger.reserve("evaluator", text(280))  # 70 to read: 0.007


def test_dollars_need_a_price() -> None:
    mixed: dict[Role, Identity] = {"coder": Identity("http://127.0.0.1:1/v1", "m", {}), "evaluator": HOSTED}
    with pytest.raises(ConfigurationError) as caught:
        Ledger(Budget(max_usd=1.0), mixed)
    assert caught.value.what == "`--max-usd` with model `m` at https://api.example.org/v1"
    assert "--max-tokens" in caught.value.remedy
    assert "--price-in" in caught.value.remedy
    assert Ledger(Budget(max_usd=1.0, prices={"evaluator": Price(1, 1)}), mixed).cost() == 0
    unlimited = Ledger(Budget(), mixed)
    unlimited.enter("evaluator", Usage(1, 0))
    assert unlimited.cost() is None


def test_no_figure_earns_anything() -> None:
    """An endpoint, or a stranger's run folder, says that a call had fewer than no tokens."""
    ledger = Ledger(Budget(max_tokens=5000), ALL_HOSTED)
    ledger.enter("coder", Usage(-1_000_000, -1_000_000))
    assert ledger.spent == {"coder": Usage(0, 0)}


@pytest.mark.parametrize("limits", [{"max_tokens": 0}, {"max_usd": 0.0}, {"max_usd": -1.0}, {"max_usd": float("nan")}])
def test_a_budget_is_more_than_nothing(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="more than 0"):
        Budget(**limits)  # type: ignore[arg-type]


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "land", "fail"]), st.sampled_from(ROLES), st.integers(0, 8000), st.floats(0, 1)),
    max_size=60,
)


def play(
    ledger: Ledger,
    steps: Sequence[tuple[str, Role, int, float]],
    *,
    beyond: int = 0,
    watch: Callable[[int], None],
) -> None:
    """Calls that are made, answered and lost; after each step `watch` is told by how much replies were too long.

    A reply has a share of what was reserved for it, and every other one `beyond` tokens more than that.
    """
    flying: dict[int, Usage] = {}
    excess = landings = 0
    for action, role, size, share in steps:
        if action == "ask":
            before = ledger.reserved
            with suppress(BudgetSpentError):
                ticket, after = ledger.reserve(role, text(size)), ledger.reserved
                flying[ticket] = Usage(
                    after.input_tokens - before.input_tokens, after.output_tokens - before.output_tokens
                )
        elif flying:
            ticket = list(flying)[size % len(flying)]
            need = flying.pop(ticket)
            if action == "fail":
                ledger.release(ticket)
            else:
                landings += 1
                more = beyond * (landings % 2)
                output = need.output_tokens + more if more else int(need.output_tokens * share)
                ledger.land(ticket, Usage(int(need.input_tokens * share), output))
                excess += more
        watch(excess)
    for ticket in flying:
        ledger.release(ticket)
        ledger.release(ticket)  # once more does no harm
    assert ledger.reserved == Usage()


@given(STEPS, st.integers(1, 40_000), st.sampled_from([0, 1, 5000]))
def test_never_more_than_the_limit_is_committed(
    steps: list[tuple[str, Role, int, float]], limit: int, beyond: int
) -> None:
    """But for what replies exceed their reservations by."""
    ledger = Ledger(Budget(max_tokens=limit), ALL_HOSTED)

    def watch(excess: int) -> None:
        assert spent(ledger) + total(ledger.reserved) <= limit + excess

    play(ledger, steps, beyond=beyond, watch=watch)


@given(STEPS, st.floats(0.001, 0.2))
def test_never_more_dollars_than_the_limit(steps: list[tuple[str, Role, int, float]], limit: float) -> None:
    prices: dict[Role, Price] = {"coder": Price(1.0, 3.0), "evaluator": Price(0.5, 20.0)}
    ledger = Ledger(Budget(max_usd=limit, prices=prices), ALL_HOSTED)

    def watch(excess: int) -> None:
        assert (ledger.cost() or 0.0) <= limit + 1e-12

    play(ledger, steps, watch=watch)


@given(st.lists(st.tuples(st.sampled_from(ROLES), st.integers(0, 3000)), max_size=8), st.randoms())
def test_the_order_of_landing_does_not_matter(calls: list[tuple[Role, int]], random: Random) -> None:
    def landed(order: Sequence[int]) -> tuple[dict[Role, Usage], float | None, Usage]:
        prices: dict[Role, Price] = {"coder": Price(0.1, 0.7), "evaluator": Price(0.3, 1.1)}
        ledger = Ledger(Budget(max_tokens=1_000_000, prices=prices), ALL_HOSTED)
        tickets = [ledger.reserve(role, text(size)) for role, size in calls]
        for number in order:
            ledger.land(tickets[number], Usage(calls[number][1] // 4, calls[number][1]))
        ledger.reserve("coder", text(100))
        return ledger.spent, ledger.cost(), ledger.reserved

    order = list(range(len(calls)))
    first = landed(order)
    random.shuffle(order)
    assert landed(order) == first


class SlowPrice(Price):
    """Takes its time, so that threads meet between the look at what is left and the reservation."""

    def of(self, usage: Usage) -> float:
        time.sleep(0.005)
        return super().of(usage)


def test_threads_do_not_reserve_the_same_dollars() -> None:
    prices: dict[Role, Price] = {"coder": SlowPrice(0.0, 1.0)}
    free = Identity("scripted", "scripted", {})
    ledger = Ledger(Budget(max_usd=0.013, prices=prices), dict.fromkeys(ROLES, free))
    start, got = threading.Barrier(8), list[int]()

    def ask() -> None:
        start.wait()
        with suppress(BudgetSpentError):
            got.append(ledger.reserve("coder", text(0)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(got)) == len(got) == 3  # 3 x 0.004
    assert ledger.reserved == Usage(0, 12_000, estimated=True)
