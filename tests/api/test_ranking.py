"""`qredit rank` from end to end with scripted models: writing, trying, ranking, teaching, and useless models."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from qredit.agents.messages import Message, Position
from qredit.agents.scripted import ScriptedModel
from qredit.agents.team import Models
from qredit.api import models
from qredit.api import ranking as under_test
from qredit.api.ranking import Ranked, rank
from qredit.api.ranking_settings import RankingSettings
from qredit.api.settings import Request
from qredit.artifact import load_artifact
from qredit.errors import ConfigurationError, NoUsableReplyError, UnreliableRankerError
from qredit.graphs import GenerationSettings
from qredit.graphs.trace import read_trace
from qredit.marl.potentials import load_potentials

MODULE = '''```python
GUIDE = """The team turns on both switches, then one agent enters the target. Whoever is nearer takes a
switch; the part of the ego is further along where it has fewer steps to go. Teammates do their best."""


def describe(observation, ego):
    row, column = observation["agent_position"][ego]
    on = observation["switch_on"]
    return f"at row {row}, column {column}; switches on: {on[0] + on[1]}"
```'''
CHOICE = '```json\n{"choice": 1, "reason": "the only one", "tips": "none"}\n```'
SMALL = RankingSettings(pairs=24, probe_pairs=16, pairs_per_prompt=6)
ONE = GenerationSettings(candidates=1, rounds=1)
Rule = Callable[[str, str], str]
"""From the texts A and B to an answer."""


def honest(a: str, b: str) -> str:
    """More switches are better; then the way to the western one, and to the target once both are on."""
    values = []
    for text in (a, b):
        row, column, on = map(int, re.findall(r"\d+", text))
        values.append((on, row if on == 2 else -abs(row - 3) - column))
    return "A" if values[0] > values[1] else "B" if values[1] > values[0] else "unsure"


def scripted(rule: Rule, module: str = MODULE) -> ScriptedModel:
    def say(messages: Sequence[Message], position: Position) -> str:
        if position.role == "coder":
            return module
        if position.role == "evaluator":
            return CHOICE
        texts = re.findall(r"\n([AB]):\n\n```\n(.*?)\n```", messages[-1].text, re.DOTALL)
        pairs = [(texts[k][1], texts[k + 1][1]) for k in range(0, len(texts), 2)]
        return "\n".join(f"{number}: {rule(a, b)}" for number, (a, b) in enumerate(pairs, 1))

    return ScriptedModel(say)


@pytest.fixture
def ranked_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ranked]:
    monkeypatch.setenv("QREDIT_RUNS", str(tmp_path / "runs"))

    def run(model: ScriptedModel, settings: RankingSettings = SMALL, **more: object) -> Ranked:
        monkeypatch.setattr(under_test, "open_models", lambda *args, **kwargs: Models(model))
        request = Request("two-switch", model="scripted", base_url="http://127.0.0.1:9")
        return rank(request, ranking=settings, settings=ONE, **more)  # type: ignore[arg-type]

    return run


@pytest.mark.usefixtures("lockdown")
def test_from_a_task_to_potentials(ranked_by: Callable[..., Ranked]) -> None:
    model = scripted(honest)
    ranked = ranked_by(model)
    records = [json.loads(line) for line in (ranked.run.path / "rankings.jsonl").read_text().splitlines()]
    assert len(records) == 24
    for record in records:
        truth = honest(record["before"], record["after"])
        assert record["answers"] == [{"A": 0.0, "B": 1.0, "unsure": 0.5}[truth]]
    assert sorted(record["ego"] for record in records) == 12 * [0] + 12 * [1]
    potentials = load_potentials(ranked.potentials)
    assert potentials(torch.zeros(1, potentials.layout.size)).shape == (1, 2)
    assert ranked.reliability.consistency == ranked.reliability.agreement == 1.0
    assert ranked.reliability.known_right == 1.0
    positions = [position for position, _ in model.calls]
    assert {p.role for p in positions} == {"coder", "evaluator", "ranker"}
    asked = next(messages for position, messages in model.calls if position.role == "coder")
    assert "`switch_on` [0, 0] ->" in asked[-1].text  # a key step
    traced = [r for r in read_trace(ranked.run.trace_path) if r["type"] == "message"]
    assert sorted(r["id"] for r in traced) == sorted(map(str, positions))  # every call, those of the ranker too
    assert "majorities met on held-out pairs" in load_artifact(ranked.potentials).files["CARD.md"].decode()
    judged = next(messages for position, messages in model.calls if position.role == "evaluator")
    assert "right on known pairs: 100 %" in judged[-1].text


@pytest.mark.usefixtures("lockdown")
def test_an_interrupted_ranking_goes_on(ranked_by: Callable[..., Ranked], tmp_path: Path) -> None:
    asked = 0

    def stubborn(a: str, b: str) -> str:
        nonlocal asked
        asked += 1
        return honest(a, b)

    model = scripted(stubborn)
    full_set = 24

    def breaking(messages: Sequence[Message], position: Position) -> str:
        if position.role == "ranker" and position.round == 0 and position.candidate == 3:
            return "I would rather not."
        return str(model._script(messages, position))  # type: ignore[operator]

    with pytest.raises(NoUsableReplyError, match="no usable rankings in 3 replies") as caught:
        ranked_by(ScriptedModel(breaking))
    assert "--ranking-attempts 6" in str(caught.value)
    (folder,) = (tmp_path / "runs").glob("rank-*")
    before = asked
    ranked = ranked_by(model, replace(SMALL, ranking_attempts=4), resume=folder)
    assert asked - before == 6  # the pairs of the one prompt
    assert len((ranked.run.path / "rankings.jsonl").read_text().splitlines()) == full_set


@pytest.mark.usefixtures("lockdown")
@pytest.mark.parametrize(
    ("rule", "cause"),
    [
        (lambda a, b: "A", "names the situation that comes first in 100 %"),
        (lambda a, b: {"A": "B", "B": "A"}.get(honest(a, b), "unsure"), "right in 0 % of its answers to known pairs"),
        (lambda a, b: "unsure", "nearly always unsure"),
    ],
)
def test_a_ranker_that_is_no_good_is_noticed_before_the_full_set(
    ranked_by: Callable[..., Ranked], rule: Rule, cause: str, tmp_path: Path
) -> None:
    model = scripted(rule)
    with pytest.raises(UnreliableRankerError, match=cause):
        ranked_by(model)
    assert not [p for p, _ in model.calls if p.role == "ranker" and p.round == 0]
    (folder,) = (tmp_path / "runs").glob("rank-*")
    assert re.search(cause, read_trace(folder / "trace.jsonl")[-1]["message"])  # what `qredit inspect` shows


@pytest.mark.usefixtures("lockdown")
def test_a_module_without_a_guide_is_sent_back(ranked_by: Callable[..., Ranked]) -> None:
    def say(messages: Sequence[Message], position: Position) -> str:
        if position.role == "coder" and position.attempt == 1:
            return MODULE.replace("GUIDE = ", "HINTS = ")
        return str(good._script(messages, position))  # type: ignore[operator]

    good = scripted(honest)
    model = ScriptedModel(say)
    ranked_by(model)
    repair = next(messages for p, messages in model.calls if p == Position("coder", 1, 1, 2))
    assert "0 assignments of a plain string to `GUIDE`" in repair[-1].text


@pytest.mark.usefixtures("lockdown")
def test_a_module_that_judges_rarely_is_sent_back(ranked_by: Callable[..., Ranked]) -> None:
    """Only where both switches are on, which the probe states of the task need not show."""
    judges = MODULE.replace("return f", "word = ', a good state' if on == [1, 1] else ''\n    return word[2:] + f")

    def say(messages: Sequence[Message], position: Position) -> str:
        return judges if (position.role, position.attempt) == ("coder", 1) else str(good._script(messages, position))  # type: ignore[operator]

    good = scripted(honest)
    model = ScriptedModel(say)
    ranked_by(model)
    repair = next(messages for p, messages in model.calls if p == Position("coder", 1, 1, 2))
    assert 'A text says "good"' in repair[-1].text


def test_what_goes_on_keeps_its_settings() -> None:
    noted = asdict(RankingSettings(pairs=60, queries=2))
    settled = RankingSettings(accept_unreliable=True).after(noted, where="the run")
    assert settled == RankingSettings(pairs=60, queries=2, accept_unreliable=True)
    with pytest.raises(ConfigurationError, match="`pairs` was 60 and is 80"):
        RankingSettings(pairs=80).after(noted, where="the run")
    with pytest.raises(ConfigurationError, match="does not have: words"):
        RankingSettings().after({**noted, "words": 3}, where="the run")


@pytest.mark.usefixtures("lockdown")
def test_a_recording_is_replayed_with_its_own_settings(ranked_by: Callable[..., Ranked], tmp_path: Path) -> None:
    ranked = ranked_by(scripted(honest), record=tmp_path / "recording")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(under_test, "open_models", models.open_models)
        again = rank(Request("two-switch", model="replay"), recording=tmp_path / "recording" / "recording.jsonl")
    assert (again.potentials / "potentials.safetensors").read_bytes() == (
        ranked.potentials / "potentials.safetensors"
    ).read_bytes()
    assert again.calls == ranked.calls


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="`queries` = 0"):  # before anything is paid for
        RankingSettings(queries=0)
    with pytest.raises(ConfigurationError, match="`pairs` = 1"):
        RankingSettings(pairs=1)
