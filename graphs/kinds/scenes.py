"""A few situations of a task, by their numbers, that measurements and prompts refer to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.graphs.kinds.kind import Assignment
from qredit.prompts import figure

if TYPE_CHECKING:
    from qredit.contracts import States
    from qredit.layout import StateLayout
    from qredit.probes import Probes

SCENES = 3


def scene_rows(probes: Probes) -> list[int]:
    """Rows of the probes that serve as scenes, at most three.

    Where the true credit is known: the states in which it is least even, if possible with another agent ahead in each.
    Else states spread over the probes.
    """
    from qredit.credit.fidelity import known_rows

    known = known_rows(probes)
    if not len(known):
        return sorted({len(probes.states) * k // (SCENES + 1) for k in range(1, SCENES + 1)})
    assert probes.true_credit is not None
    truth = probes.true_credit[known]  # [K, N]
    by_unevenness = np.argsort(-truth.max(axis=1), kind="stable")
    rows: list[int] = []
    for new_leader in (True, False):
        leaders = {int(truth[list(known).index(row)].argmax()) for row in rows}
        for k in by_unevenness.tolist():
            leader, row = int(truth[k].argmax()), int(known[k])
            if len(rows) == SCENES:
                return rows
            if row not in rows and (leader not in leaders or not new_leader):
                rows.append(row)
                leaders.add(leader)
    return rows


def state_scenes(assignment: Assignment) -> str:
    """The scenes in words and numbers, for kinds that read the state alone."""
    return _scenes(assignment, transitions=False)


def transition_scenes(assignment: Assignment) -> str:
    """The scenes with what the agents did there and what followed, for kinds that read transitions."""
    return _scenes(assignment, transitions=True)


def _scenes(assignment: Assignment, *, transitions: bool) -> str:
    subject, probes = assignment.subject, assignment.subject.probes
    lines = []
    fields = _Fields(subject.layout, probes.states)
    for number, row in enumerate(scene_rows(probes), 1):
        lines += [f"Scene {number}", *fields.lines(probes.states[row])]
        if transitions and probes.actions is not None and probes.next_states is not None:
            lines.append(f"  actions: {_numbers(probes.actions[row])}")
            if probes.rewards is not None:
                lines.append(f"  reward of the team: {figure(float(probes.rewards[row]))}")
            changed = fields.lines(probes.next_states[row], unlike=probes.states[row])
            lines.append("  afterwards, where different:" if changed else "  afterwards, nothing is different")
            lines += [f"  {line}" for line in changed]
        if probes.true_credit is not None and not np.isnan(probes.true_credit[row]).any():
            shares = ", ".join(f"agent {i} {figure(float(s))}" for i, s in enumerate(probes.true_credit[row]))
            lines.append(f"  measured truth, each agent's part in the variance of the return: {shares}")
    return "\n".join([*fields.notes, *lines])


class _Fields:
    """The fields of a state as lines; those that are the same in all probes are told once."""

    def __init__(self, layout: StateLayout, states: States) -> None:
        self._layout = layout
        parts = [(field.name, states[:, part]) for field, part in layout.slices()]
        constant = [name for name, values in parts if len(states) > SCENES and (values == values[:1]).all()]
        told = ", ".join(self._line(states[0], name) for name in constant)
        self.notes = [f"The same in all situations: {told}"] if constant else []
        """What is said before the scenes."""
        self._varying = [name for name, _ in parts if name not in constant]

    def lines(self, state: States, *, unlike: States | None = None) -> list[str]:
        """The fields that vary, of one state; those alone in which it differs from another, if one is given."""
        named = self._layout.named(state)
        before = self._layout.named(unlike) if unlike is not None else None
        shown = [n for n in self._varying if before is None or not np.array_equal(named[n], before[n])]
        return [f"  {self._line(state, name)}" for name in shown]

    def _line(self, state: States, name: str) -> str:
        return f"{name}: {_numbers(self._layout.named(state)[name])}"


def _numbers(value: Any) -> str:
    if np.ndim(value):
        return "[" + ", ".join(_numbers(part) for part in value) + "]"
    number = float(value)
    return str(int(number)) if number == int(number) else figure(number)
