"""Shares of the team's reward: `share(state, actions, next_state) -> [B, N]`, for policy gradients."""

from __future__ import annotations

from qredit.graphs.kinds.credit_checks import check_form, fidelity_scorer
from qredit.graphs.kinds.credit_figures import credit_figures
from qredit.graphs.kinds.kind import Assignment, Kind, Scorer
from qredit.graphs.kinds.scenes import transition_scenes
from qredit.prompts import kind_templates


def _scorer(assignment: Assignment) -> Scorer | None:
    """The score by fidelity, which needs to know what the agents did in the measured states."""
    return fidelity_scorer(assignment) if assignment.subject.transitions is not None else None


SHARES = Kind(
    name="shares",
    title="each agent's share of the team's reward per transition, for policy gradients",
    functions=("share",),
    templates=kind_templates("shares"),
    check=check_form("shares"),
    measure=credit_figures,
    scorer=_scorer,
    scenes=transition_scenes,
    artifact="credit",
    source_file="credit.py",
    payload_file="credit.graph.json",
)
