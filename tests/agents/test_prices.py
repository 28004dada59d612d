"""Prices: none is better than a wrong one."""

from __future__ import annotations

from datetime import date

import pytest

from qredit.agents import prices
from qredit.agents.messages import Identity, Role, Usage
from qredit.agents.prices import FREE, Price, PriceTable, cost, price_of, price_table, prices_of, unlisted
from qredit.errors import ConfigurationError

OPENAI = "https://api.openai.com/v1"
COUNTED = Usage(1_000_000, 500_000)


def test_the_price_of_tokens() -> None:
    assert Price(2.0, 8.0).of(COUNTED) == pytest.approx(6.0)
    assert Price(0.3, 1.2).of(Usage(10, 1)) == pytest.approx(4.2e-6)


@pytest.mark.parametrize(
    ("model", "usd"),
    [
        ("gpt-4.1", (2.0, 8.0)),
        ("GPT-4.1", (2.0, 8.0)),
        ("gpt-4.1-2025-04-14", (2.0, 8.0)),
        ("gpt-4.1-mini", (0.4, 1.6)),
        ("gpt-4.1-mini-2025-04-14", (0.4, 1.6)),
        ("gpt-5-pro", (15.0, 120.0)),
        ("gpt-5", (1.25, 10.0)),
    ],
)
def test_the_longest_name_counts(model: str, usd: tuple[float, float]) -> None:
    price = price_of(model, OPENAI)
    assert price is not None
    assert (price.input_usd, price.output_usd) == usd


def test_a_snapshot_with_a_price_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = Price(2.0, 6.0), Price(0.5, 1.5)
    for names in (("large", "large-2512"), ("large-2512", "large")):
        known = {name: new if "2512" in name else old for name in names}
        table = PriceTable(date(2026, 1, 1), {"api.example.org": known})
        monkeypatch.setattr(prices, "price_table", lambda table=table: table)
        found = [price_of(name, "https://api.example.org/v1") for name in ("large", "large-2411", "large-2512")]
        assert found == [old, old, new]


@pytest.mark.parametrize("model", ["gpt-5-ultra", "gpt-4.1-mini-audio", "gpt-4", "gpt-4.10", "", "my-gpt-5"])
def test_another_model_of_the_family_has_no_price(model: str) -> None:
    assert price_of(model, OPENAI) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://openrouter.ai/api/v1",
        "https://api.deepseek.com/v1",
        "https://api.openai.com.example.org/v1",
        "http://192.168.1.5:8000/v1",
        "http://localhost.example.org/v1",
    ],
)
def test_only_the_provider_itself_takes_the_list_price(endpoint: str) -> None:
    assert price_of("gpt-4.1", endpoint) is None


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:11434/v1",
        "http://127.8.8.8/v1",
        "http://localhost:8000/v1",
        "http://[::1]:8000/v1",
        "recording:lbf-5x5-2p-1f",
        "scripted",
        "human",
    ],
)
def test_what_answers_here_costs_nothing(endpoint: str) -> None:
    assert price_of("gpt-4.1", endpoint) == FREE


def test_the_table() -> None:
    """Every row is found by its own name, dated, and no cheaper to write than to read."""
    table = price_table()
    assert table.as_of > date(2026, 1, 1)
    for host, models in table.models.items():
        assert host == host.lower()
        for name, price in models.items():
            assert price_of(name, f"https://{host}/v1") is price
            assert price.checked is not None
            assert date(2025, 1, 1) < price.checked < date(2027, 1, 1)
            assert 0 < price.input_usd < price.output_usd < 1000
    assert sum(map(len, table.models.values())) >= 20


def test_given_prices_come_first() -> None:
    identities: dict[Role, Identity] = {
        "coder": Identity(OPENAI, "gpt-4.1", {}),
        "evaluator": Identity(OPENAI, "?", {}),
    }
    mine = Price(1.0, 2.0)
    assert prices_of(identities) == {"coder": price_of("gpt-4.1", OPENAI), "evaluator": None}
    assert prices_of(identities, {"evaluator": mine})["evaluator"] is mine
    assert prices_of(identities, {"coder": mine}) == {"coder": mine, "evaluator": None}


def test_which_roles_a_given_price_is_for() -> None:
    def roles(coder: Identity, evaluator: Identity) -> tuple[Role, ...]:
        return unlisted({"coder": coder, "evaluator": evaluator})

    known, unknown = Identity(OPENAI, "gpt-4.1", {}), Identity(OPENAI, "gpt-99", {})
    here, recorded = Identity("http://localhost:1/v1", "m", {}), Identity("recording:t", "m", {})
    assert roles(known, unknown) == ("evaluator",)
    assert roles(here, known) == ("coder",)
    assert roles(recorded, recorded) == ()


def test_the_cost_of_a_run() -> None:
    known: dict[Role, Price | None] = {"coder": Price(2.0, 8.0), "evaluator": None}
    assert cost({"coder": COUNTED}, known) == pytest.approx(6.0)
    assert cost({"coder": COUNTED, "evaluator": Usage()}, known) == pytest.approx(6.0)
    assert cost({"coder": COUNTED, "evaluator": Usage(1, 0)}, known) is None
    assert cost({"coder": COUNTED, "evaluator": Usage(0, 1)}, known) is None
    assert cost({"coder": COUNTED, "evaluator": COUNTED}, {**known, "evaluator": Price(1.0, 0.0)}) == pytest.approx(7)
    assert cost({}, {}) == 0


@pytest.mark.parametrize("price", [(-1.0, 1.0), (1.0, -0.1), (float("nan"), 1.0), (1.0, float("inf"))])
def test_a_price_is_a_figure(price: tuple[float, float]) -> None:
    with pytest.raises(ConfigurationError, match="--price-in"):
        Price(*price)
