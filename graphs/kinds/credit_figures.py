"""What the evaluator is told about an accepted credit function besides its code: figures measured on probe states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from qredit.graphs.kinds.credit_checks import prepared
from qredit.graphs.kinds.kind import Assignment
from qredit.graphs.kinds.scenes import scene_rows
from qredit.prompts import figure

if TYPE_CHECKING:
    from torch import Tensor

    from qredit.contracts import States
    from qredit.credit.specialiser import SpecialisedGraph
    from qredit.layout import StateField, StateLayout
    from qredit.probes import Probes
    from qredit.sandbox import Accepted
    from qredit.subject import Subject

SEED = 0
_NAMES = {"weights": "weight", "general": "|dQ_tot/dQ|", "shares": "share"}


def credit_figures(accepted: Accepted, assignment: Assignment) -> str:
    """Figures about a credit function on the probes, one per line.

    Per agent: mean, spread and range of its credit; the share of states that differ from VDN; how even the credit is;
    the bias; how strongly the credit reacts to each field of the state; the credit in the scenes.
    """
    from qredit.credit.fidelity import credit_of
    from qredit.credit.statistics import weight_statistics

    graph, run = prepared(accepted.payload)
    header = graph.header
    probes, note = _complete(assignment.subject, header.form)

    def credit_in(changed: Probes) -> Tensor:
        return credit_of(graph, changed, run=run)

    weights = credit_in(probes)
    found = weight_statistics(weights, header.scale if header.form != "general" else "raw")
    lines = [*note]
    lines += [
        f"{_NAMES[header.form]} of agent {i}: mean {figure(found.mean[i])}, standard deviation {figure(found.std[i])}, "
        f"from {figure(found.minimum[i])} to {figure(found.maximum[i])}"
        for i in range(header.n_agents)
    ]
    lines.append(f"differs from {_equal(header.form)} in {figure(100 * found.vdn_difference)} % of the states")
    lines.append(
        f"evenness (entropy, 1 is equal credit, 0 all credit to one agent): {figure(found.entropy)}; "
        f"largest share of one agent, on average: {figure(found.concentration)}"
    )
    if header.has_bias:
        bias = _bias(run, probes.states)
        lines.append(f"bias: mean {figure(bias.mean())}, from {figure(bias.min())} to {figure(bias.max())}")
    changes = _sensitivities(header.form, credit_in, assignment.subject.layout, probes, weights.numpy())
    reactions = [f"{name} {figure(change)}" for name, change in changes]
    lines.append(f"sensitivity (mean change of an agent's credit when a field is shuffled): {', '.join(reactions)}")
    for number, row in enumerate(scene_rows(probes), 1):
        credit = ", ".join(f"agent {i} {figure(float(w))}" for i, w in enumerate(weights[row]))
        lines.append(f"in scene {number}: {credit}")
    return "\n".join(lines)


def _equal(form: str) -> str:
    return "equal shares" if form == "shares" else "VDN"


def _bias(run: SpecialisedGraph, states: States) -> States:
    """Bias `[M, 1]` on states `[M, S]`."""
    import torch

    values: States = run(state=torch.tensor(states))[1].numpy()
    return values


def _complete(subject: Subject, form: str) -> tuple[Probes, tuple[str, ...]]:
    """The probes, with transitions made up of real states where some are needed and none are known; and a note."""
    probes = subject.probes
    if form != "shares" or (probes.actions is not None and probes.next_states is not None):
        return probes, ()
    rng = np.random.default_rng(SEED)
    actions = rng.integers(0, subject.n_actions or 1, (len(probes.states), subject.n_agents))
    made_up = replace(probes, actions=actions, next_states=np.roll(probes.states, 1, axis=0))
    return made_up, ("measured on made-up transitions: real states, random actions, another real state afterwards",)


def _sensitivities(
    form: str, credit_in: Callable[[Probes], Tensor], layout: StateLayout, probes: Probes, before: States
) -> Iterator[tuple[str, float]]:
    """For each field, how much the credit `[M, N]` changes on average when its values go to other states."""
    order = np.random.default_rng(SEED).permutation(len(probes.states))
    for field, part in layout.slices():
        changed = _shuffled(probes, part, order)
        yield _shown(field), float(np.abs(credit_in(changed).numpy() - before).mean())
    if form == "shares" and probes.actions is not None:
        changed = replace(probes, actions=probes.actions[order])
        yield "actions", float(np.abs(credit_in(changed).numpy() - before).mean())


def _shuffled(probes: Probes, part: slice, order: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Probes:
    """The probes with one field of each state, and of the state after it, taken from another row."""
    states = probes.states.copy()
    states[:, part] = states[order, part]
    if probes.next_states is None:
        return replace(probes, states=states)
    after = probes.next_states.copy()
    after[:, part] = after[order, part]
    return replace(probes, states=states, next_states=after)


def _shown(field: StateField) -> str:
    return f"`{field.name}`"
