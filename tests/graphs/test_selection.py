"""Who selects, who may win, and when a run ends: scores stand in the modules themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.agents import Message, Position, ScriptedModel
from qredit.errors import ConfigurationError
from qredit.graphs import Event, GenerationSettings, read_trace
from qredit.graphs.ballot import Ballot, has_converged
from tests.graphs.support import SCORED, code, module, new_run, run_it, verdict
from tests.graphs.test_generate import prompts_of, sha_of

SCORES = {(1, 1): 0.2, (1, 2): 0.5, (1, 3): 0.1, (2, 1): 0.4, (2, 2): 0.6, (2, 3): 0.5, (3, 1): 0.3, (3, 2): 0.2}
"""(round, candidate) -> score; 0.1 elsewhere."""


def idea(round_number: int, candidate: int) -> str:
    """What a planned module says."""
    return f"idea {round_number}.{candidate} score={SCORES.get((round_number, candidate), 0.1)}"


def writes(messages: Sequence[Message], position: Position) -> str:
    """A coder that never fails; the evaluator takes the last number that it may choose."""
    if position.role == "coder":
        return code(idea(position.round, position.candidate))
    line = next(line for line in messages[1].text.splitlines() if line.startswith("Choose one of the candidates"))
    numbers = [
        int(n) for n in line.split(":")[0].split(".")[0].removeprefix("Choose one of the candidates ").split(",")
    ]
    return verdict(numbers[-1])


def test_no_round_makes_it_worse(tmp_path: Path) -> None:
    """Round 1 takes 1.3 (0.1), the last one; round 2 may take all, takes 2.3 (0.5); nobody of round 3 is as good."""
    run, model = new_run(tmp_path), ScriptedModel(writes)
    result = run_it(run, model, GenerationSettings(patience=0), kind=SCORED)
    assert [r.chosen for r in result.rounds] == [sha_of(idea(1, 3)), sha_of(idea(2, 3)), sha_of(idea(2, 3))]
    assert result.score == 0.5
    assert [c.score for c in result.rounds[1].candidates] == [0.4, 0.6, 0.5]
    asked = prompts_of(model, Position("evaluator", 3, 0, 1))
    assert "Choose one of the candidates 1: the others score lower than the one chosen in the round before" in asked
    assert "score: 0.3" in asked
    choices = [r for r in read_trace(run.trace_path) if r["type"] == "choice"]
    assert [(c["eligible"], c["scores"]) for c in choices][2] == ([1], {"1": 0.5, "2": 0.3, "3": 0.2, "4": 0.1})


def test_a_choice_that_scores_lower_is_sent_back(tmp_path: Path) -> None:
    def stubborn(messages: Sequence[Message], position: Position) -> str:
        if position.role == "evaluator":
            return verdict({(1, 1): 2, (2, 1): 2}.get((position.round, position.attempt), 3))
        return code(idea(position.round, position.candidate))

    model = ScriptedModel(stubborn)
    result = run_it(new_run(tmp_path), model, GenerationSettings(rounds=2), kind=SCORED)
    assert result.chosen == sha_of(idea(2, 2))
    assert "There is no candidate '2'; the candidates are 1, 3, 4." in prompts_of(model, Position("evaluator", 2, 0, 2))


def test_without_an_evaluator_the_score_selects(tmp_path: Path) -> None:
    run, model = new_run(tmp_path), ScriptedModel(writes)
    result = run_it(run, model, GenerationSettings(selection="score", rounds=2), kind=SCORED)
    assert [r.chosen for r in result.rounds] == [sha_of(idea(1, 2)), sha_of(idea(2, 2))]
    assert {where.role for where, _ in model.calls} == {"coder"}
    assert len(model.calls) == 6
    refine = prompts_of(model, Position("coder", 2, 1, 1))
    assert "This is the best candidate so far, by what was measured:" in refine
    assert module(idea(1, 2)).strip() in refine
    assert "tips" not in refine.lower()


def test_a_tie_goes_to_the_incumbent() -> None:
    assert Ballot(("a", "b", "c"), (0.5, 0.5, 0.4), incumbent=True).by_score() == 1
    assert Ballot(("a", "b", "c"), (None, None, None), incumbent=False).by_score() == 1
    assert Ballot(("a", "b", "c"), (None, 0.1, None), incumbent=True).by_score() == 2


def test_chance_selects_the_same_again(tmp_path: Path) -> None:
    chosen = []
    for seed in (0, 0, 1, 2, 3, 4, 5):
        settings = GenerationSettings(selection="random", selection_seed=seed, rounds=1)
        model = ScriptedModel(writes)
        chosen.append(run_it(new_run(tmp_path), model, settings, kind=SCORED).chosen)
        assert {where.role for where, _ in model.calls} == {"coder"}
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) > 1


def test_no_rounds_of_refinement(tmp_path: Path) -> None:
    """L = 0: candidates are written once, the score selects."""
    model = ScriptedModel(writes)
    result = run_it(new_run(tmp_path), model, GenerationSettings(rounds=0), kind=SCORED)
    assert result.chosen == sha_of(idea(1, 2))
    assert len(model.calls) == 3


def test_best_of_k_spends_as_many_calls(tmp_path: Path) -> None:
    settings = GenerationSettings(candidates=2, rounds=2)
    assert settings.least_calls == 6
    baseline = settings.best_of_k()
    assert (baseline.candidates, baseline.rounds, baseline.selector) == (6, 0, "score")
    model = ScriptedModel(writes)
    run_it(new_run(tmp_path), model, baseline, kind=SCORED)
    assert len(model.calls) == 6
    with pytest.raises(ConfigurationError, match="candidates"):
        GenerationSettings(candidates=20, rounds=4).best_of_k()


def test_a_score_that_stops_rising_ends_the_run(tmp_path: Path) -> None:
    """Round 2 is the best; with a patience of 1, round 3 is one too many and round 4 is never written."""
    run, events, model = new_run(tmp_path), list[Event](), ScriptedModel(writes)
    result = run_it(run, model, GenerationSettings(rounds=6, patience=1, selection="score"), events.append, kind=SCORED)
    assert len(result.rounds) == 3
    assert (result.chosen, result.stopped) == (sha_of(idea(2, 2)), "converged")
    assert [e.kind for e in events].count("converged") == 1
    assert read_trace(run.trace_path)[-1]["stopped"] == "converged"


def test_kept_rounds_count_as_not_rising(tmp_path: Path) -> None:
    """After round 1 nothing passes: with a patience of 2 the run ends after round 3, not after round 6."""

    def script(messages: Sequence[Message], position: Position) -> str:
        return code(idea(1, position.candidate) if position.round == 1 else f"BROKEN {position}")

    settings = GenerationSettings(rounds=6, patience=2, selection="score", attempts=1)
    result = run_it(new_run(tmp_path), ScriptedModel(script), settings, kind=SCORED)
    assert len(result.rounds) == 3
    assert result.stopped == "converged"


def test_without_a_score_nothing_converges(tmp_path: Path) -> None:
    def script(messages: Sequence[Message], position: Position) -> str:
        return verdict(1) if position.role == "evaluator" else code(f"idea {position}")

    result = run_it(new_run(tmp_path), ScriptedModel(script), GenerationSettings(rounds=4, patience=1))
    assert (len(result.rounds), result.stopped, result.score) == (4, "", None)


@given(st.lists(st.one_of(st.none(), st.floats(-1, 1)), min_size=1, max_size=6), st.booleans())
def test_nobody_below_the_incumbent_is_eligible(scores: list[float | None], incumbent: bool) -> None:
    ballot = Ballot(tuple(map(str, range(len(scores)))), tuple(scores), incumbent)
    assert ballot.eligible
    if incumbent:
        assert 1 in ballot.eligible
    for number in ballot.eligible:
        score, bar = scores[number - 1], scores[0]
        assert not incumbent or score is None or bar is None or score >= bar
    assert ballot.by_chance(3, 2) in ballot.eligible
    best = ballot.by_score()
    assert best in range(1, len(scores) + 1)
    assert all(s is None or (scores[best - 1] is not None and s <= (scores[best - 1] or 0.0)) for s in scores)


@given(st.lists(st.floats(-1, 1), max_size=8), st.integers(0, 5))
def test_convergence_is_about_the_last_rounds(rises: list[float], patience: int) -> None:
    best: list[float] = []
    for value in rises:
        best.append(max([value, *best[-1:]]))
    expected = 0 < patience < len(best) and len(set(best[-patience - 1 :])) == 1
    assert has_converged(best, patience) == expected


@pytest.mark.parametrize("settings", [{"selection": "score", "play_off": 10}, {"rounds": 0, "play_off": 10}])
def test_a_play_off_needs_a_reader(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="play_off"):
        GenerationSettings(**settings)  # type: ignore[arg-type]
