"""What the candidates of a run are scored by: measured true credit, or what a task's simulator tells besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from qredit.graphs import Event

if TYPE_CHECKING:
    from qredit.graphs.kinds import Kind
    from qredit.graphs.kinds.kind import Scorer
    from qredit.subject import Subject

MOST_TRUTH_STEPS = 500_000
"""Simulator steps that the measurement of true credit may take before a run: a few minutes."""


def with_true_credit(subject: Subject, kind: Kind, wanted: int, on_event: Callable[[Event], None]) -> Subject:
    """The subject with the true credit of some states, if its kind is scored by it and the task has a simulator.

    Args:
        subject: the subject, perhaps with true credit that ships with its task.
        kind: what is generated.
        wanted: states that tell the agents apart to look for; 0 measures none.
        on_event: told of the progress, and of how it ended.
    """
    task = subject.task
    known = (
        subject.probes.true_credit is not None or kind.artifact_kind != "credit" or scorer_of(kind, subject) is not None
    )
    if known or task is None or task.environment is None or wanted == 0:
        return subject
    from qredit.marl.counterfactual import measure_probes
    from qredit.marl.truth_settings import TruthSettings

    def tell(states: int, decisive: int) -> None:
        if states % 8 == 0:
            text = f"{decisive} of {states} states tell the agents apart; {wanted} are wanted"
            on_event(Event("measuring", text=text))

    settings = TruthSettings(states=wanted, visited=len(subject.states), most_steps=MOST_TRUTH_STEPS)
    found = measure_probes(task, settings, tell)
    if not found.decisive:
        text = f"in none of {found.measured} states does any agent's action matter: there is no score"
        on_event(Event("measuring", text=text))
        return subject
    if found.decisive < wanted:
        text = f"only {found.decisive} of {found.measured} states tell the agents apart: the score is uncertain"
        on_event(Event("measuring", text=text))
    return replace(subject, probes=found.probes)


def scorer_of(kind: Kind, subject: Subject) -> Scorer | None:
    """The score that the task's simulator gives, where it has one of its own: can a matrix game be represented?"""
    task = subject.task
    if kind.name != "general" or task is None or task.environment is None or task.environment.adapter != "matrix":
        return None
    from qredit.graphs.kinds import Score
    from qredit.prompts import figure
    from qredit.sandbox import Accepted

    game = task.environment.id

    def score(accepted: Accepted) -> Score:
        from qredit.graphs.kinds.credit_checks import prepared
        from qredit.marl.payoff_fit import payoff_fit

        fit = payoff_fit(prepared(accepted.payload)[0], game, seed=0)
        return Score(fit, f"score: {figure(fit)} (R squared of the best fit of all payoffs of the game; 1 is exact)")

    return score
