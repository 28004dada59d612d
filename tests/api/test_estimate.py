"""The estimate of a dry run, against figures computed by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.agents import Message
from qredit.agents.messages import Role
from qredit.agents.prices import Price
from qredit.api.estimate import Bill, estimate
from qredit.api.generation import estimate_generation
from qredit.api.ranking_estimate import estimate_ranking, ranker_usage
from qredit.api.ranking_settings import RankingSettings
from qredit.api.settings import Request, Spending
from qredit.graphs import GenerationSettings
from qredit.graphs.kinds.ranking import RANKING

REQUEST = (Message("system", "x" * 400), Message("user", "y" * 600))  # 250 tokens; 875 with one source


def test_two_rounds_of_two_candidates() -> None:
    settings = GenerationSettings(candidates=2, rounds=2, attempts=2, evaluator_attempts=3)
    prices: dict[Role, Price | None] = {"coder": Price(1.0, 10.0), "evaluator": Price(2.0, 20.0)}
    done = estimate(REQUEST, settings, prices)
    # coder: 2 x 250 + 2 x 875 = 2250; evaluator: (1000 + 2 x 2500) / 4 + (1000 + 3 x 2500) / 4 = 3625
    assert replace(done.at_least, usd=None) == Bill(6, 5875, 13_000, None)
    assert done.at_least.usd == pytest.approx(0.00225 + 0.1 + 0.00725 + 0.06)
    # coder: 2 x 2 x 250 + 2 x 875, and 6 repairs x 875 = 8000; evaluator: 3 x 3625 = 10875
    assert replace(done.at_most, usd=None) == Bill(18, 18_875, 39_000, None)
    assert done.at_most.usd == pytest.approx(0.008 + 0.3 + 0.02175 + 0.18)


def test_without_an_evaluator_its_price_does_not_matter() -> None:
    settings = GenerationSettings(candidates=3, rounds=0, attempts=1)
    prices: dict[Role, Price | None] = {"coder": Price(0.0, 1.0), "evaluator": None}
    done = estimate(REQUEST, settings, prices)
    assert done.at_least == Bill(3, 750, 7500, 0.0075)
    assert done.at_most == Bill(6, 1500, 15_000, 0.015)


def test_an_unknown_price_is_no_price() -> None:
    done = estimate(REQUEST, GenerationSettings(), {"coder": Price(1.0, 1.0), "evaluator": None})
    assert (done.at_least.usd, done.at_most.usd) == (None, None)
    assert done.at_least.calls == GenerationSettings().least_calls == 12


def test_as_json() -> None:
    done = estimate(REQUEST, GenerationSettings(), {})
    data = json.loads(json.dumps(done.to_json()))
    assert data["at_least"] == {
        "calls": 12,
        "input_tokens": done.at_least.input_tokens,
        "output_tokens": 9 * 2500 + 3 * 1500,
        "usd": None,
    }
    assert any("2500 tokens per reply of the coder" in assumption for assumption in data["assumptions"])


@given(st.integers(1, 8), st.integers(0, 6), st.integers(1, 4), st.integers(1, 3), st.integers(0, 20_000))
def test_calls(candidates: int, rounds: int, attempts: int, evaluator_attempts: int, length: int) -> None:
    settings = GenerationSettings(
        candidates=candidates, rounds=rounds, attempts=attempts, evaluator_attempts=evaluator_attempts
    )
    done = estimate((Message("user", "x" * length),), settings, {})
    assert done.at_least.calls == settings.least_calls
    assert done.at_most.calls == candidates * attempts * (max(1, rounds) + 1) + rounds * evaluator_attempts
    assert done.at_most.input_tokens >= done.at_least.input_tokens
    assert done.at_most.output_tokens > done.at_least.output_tokens


def test_the_rankers_part_by_hand() -> None:
    settings = GenerationSettings(candidates=2, rounds=2)
    ranking = RankingSettings(pairs=250, queries=2, pairs_per_prompt=100, probe_pairs=30)
    # Trials: 2, then 3 with the one chosen before, and the last look: 6, each 3 x 30 pairs in 3 x 2 prompts.
    prompts, pairs = 6 * 6 + 2 * 3, 6 * 90 + 2 * 250
    usage, calls = ranker_usage(ranking, settings)
    assert calls == prompts
    assert (usage.input_tokens, usage.output_tokens) == ((prompts * 6000 + pairs * 650) / 4, 5 * pairs)


def test_a_ranking_costs_what_writing_and_ranking_cost() -> None:
    spending = Spending(price_in=1, price_out=2)
    request = Request("two-switch", model="toy", base_url="http://127.0.0.1:9", spending=spending)
    settings, ranking = GenerationSettings(candidates=1, rounds=1), RankingSettings(pairs=40)
    found = estimate_ranking(request, ranking, settings)
    writing = estimate_generation(request, settings=settings, kind=RANKING)
    usage, calls = ranker_usage(ranking, settings)
    assert found.at_least.calls == writing.at_least.calls + calls
    assert found.at_least.usd is not None
    assert writing.at_least.usd is not None
    dollars = (usage.input_tokens + 2 * usage.output_tokens) / 1e6
    assert found.at_least.usd - writing.at_least.usd == pytest.approx(dollars)
    unknown = estimate_ranking(Request("two-switch"), ranking, settings)
    assert unknown.at_least.usd is None
