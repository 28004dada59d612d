"""The part of the contract about agents that are exchangeable: renumber them, and their credit moves along.

A value, which is no agent's, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from qredit.credit.form import credit_weights
from qredit.sandbox.contract.subject import SEED, Subject, first

TOLERANCE = 1e-3
"""Credit that changes by less, per agent whose share is 1, counts as the same: sums are taken in another order."""
RENUMBERINGS = 3
"""How many are tried: a rotation and random ones."""
_WORDS = {
    "credit": ("who gets what", "What an agent gets must depend on its situation, never on its number."),
    "value": ("the value", "It must depend on the agents' situations, never on their numbers."),
}
"""What changes, and the remedy."""


def warnings_of(subject: Subject) -> Iterator[str]:
    """Warn if renumbering the agents changes who gets how much, or the value, in some rollout state.

    Only fields whose layout names their `agent_axes` are renumbered; without any, nothing can be said.
    """
    layout = subject.probe.layout
    if not any(field.agent_axes for field in layout.fields):
        return
    states = subject.probe.states[: subject.probe.n_rollout]
    agents_q = subject.normal_q[: len(states)]
    before = _result(subject, states, agents_q, subject.rollout())
    changes = torch.zeros_like(before)
    for order in _orders(subject.header.n_agents):
        after = _result(subject, layout.renumbered(states, order.tolist()), agents_q[:, order])
        expected = _moved(subject, before, order)
        scale = expected.abs().clamp(min=1.0)
        changes = torch.maximum(changes, (after - expected).abs() / scale)
    differs = changes > TOLERANCE
    if differs.any():
        share = float(differs.any(dim=1).float().mean())
        what, remedy = _WORDS["value" if subject.header.form == "value" else "credit"]
        yield (
            f"The agents are exchangeable, but giving them other numbers changes {what} in {share:.1%} of the rollout "
            f"{subject.probe.noun}s, for example in {subject.probe.describe(first(differs)[0])}. {remedy}"
        )


def _result(subject: Subject, states: Tensor, agents_q: Tensor, known: tuple[Tensor, ...] | None = None) -> Tensor:
    """Weights and bias `[B, N + 1]`, shares `[B, N]`, a value `[B, 1]`; in the general form `dQ_tot/dQ_i` `[B, N]`."""
    if subject.header.form == "general":
        return subject.gradient(states, agents_q)
    raw = subject.raw(states, agents_q) if known is None else known
    if subject.header.form == "value":
        return raw[0]
    return torch.cat([credit_weights(subject.header, raw), *raw[1:]], dim=1)


def _moved(subject: Subject, result: Tensor, order: Tensor) -> Tensor:
    """What the result must be once agent `i` is the one that was agent `order[i]`: what is no agent's stays."""
    if subject.header.form == "value":
        return result
    return torch.cat([result[:, order], result[:, subject.header.n_agents :]], dim=1)


def _orders(n_agents: int) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(SEED)
    yield torch.arange(n_agents).roll(1)
    for _ in range(RENUMBERINGS - 1):
        yield torch.randperm(n_agents, generator=generator)
