"""What the kinds that give credit share: the check in the jail, and the score by fidelity."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from qredit.graphs.kinds.kind import Assignment, Score, Scorer
from qredit.prompts import figure

if TYPE_CHECKING:
    from qredit.credit import CreditGraph
    from qredit.credit.schema import Form
    from qredit.credit.specialiser import SpecialisedGraph
    from qredit.sandbox import Accepted, Jail, Verdict


def verify_program(
    source: str, assignment: Assignment, jail: Jail, *, forms: Collection[Form] | None = None, gate: bool = True
) -> Verdict:
    """Check a tensor program for what it is written for; see `qredit.sandbox.verify`.

    Args:
        source: the module's text.
        assignment: what it is for.
        jail: where it runs.
        forms: which forms are wanted; by default all that give credit.
        gate: whether the syntax gate runs first.
    """
    from qredit.sandbox import verify

    subject = assignment.subject
    return verify(
        source,
        layout=subject.layout,
        n_agents=subject.n_agents,
        states=subject.states,
        transitions=subject.transitions,
        n_actions=subject.n_actions,
        exchangeable=subject.exchangeable,
        jail=jail,
        scale=assignment.scale,
        igm=assignment.igm,
        forms=forms,
        gate=gate,
    )


def check_form(form: Form) -> Callable[[str, Assignment, Jail], Verdict]:
    """A check that accepts programs of one form."""

    def check(source: str, assignment: Assignment, jail: Jail) -> Verdict:
        return verify_program(source, assignment, jail, forms=(form,))

    return check


@functools.lru_cache(maxsize=64)
def prepared(payload: bytes) -> tuple[CreditGraph, SpecialisedGraph]:
    """The credit graph of an accepted program, and the same specialised: measuring and scoring share both."""
    from qredit.credit import parse_graph, specialise

    graph = parse_graph(payload)
    return graph, specialise(graph)


def fidelity_scorer(assignment: Assignment) -> Scorer | None:
    """The score of a credit function: does it rank the agents as the simulator does? `None` if nobody knows the truth.

    Kendall's tau between credit and each agent's share in the variance of the return, mean over states.
    """
    from qredit.credit.fidelity import fidelity_of

    probes = assignment.subject.probes
    if probes.true_credit is None:
        return None

    def score(accepted: Accepted) -> Score:
        graph, run = prepared(accepted.payload)
        found = fidelity_of(graph, probes, run=run)
        if found is None:
            return Score(0.0, "score: not known, in no state does any agent's action matter")
        return Score(
            found.tau,
            f"score: {figure(found.tau)} (Kendall's tau with the measured truth, mean of {found.n_states} states, 95 % "
            f"interval {figure(found.tau_low)} to {figure(found.tau_high)}); the agent with the largest credit is the "
            f"one that matters most in {figure(100 * found.top1)} % of them, by chance in "
            f"{figure(100 / assignment.subject.n_agents)} %",
        )

    return score
