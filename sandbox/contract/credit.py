"""The part of the contract about credit: gradients, IGM, magnitude, and what the evaluator should know."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from qredit.credit.form import credit_weights
from qredit.credit.statistics import differs_from_vdn
from qredit.sandbox.contract.outputs import GUARD
from qredit.sandbox.contract.subject import SEED, ContractError, Subject, first

MAGNITUDE = 10.0
"""Largest weight per agent of the team: `|w| <= MAGNITUDE * N`."""
VDN_SHARE = 0.05
"""A function that differs from VDN in a smaller share of the rollout states gets a warning."""
CONSTANT = 1e-6
"""Outputs that vary less than this over all probe states count as constant."""
MAX_GRID_STATES = 256
"""On how many probe states the grid of Q is tried, in the general form."""


def q_grid(rows: int, n_agents: int) -> Iterator[tuple[str, Tensor]]:
    """The stated grid of `Q [rows, N]`: zeros, N(0, 1), and +-10 and +-100 in equal and in mixed signs."""
    generator = torch.Generator().manual_seed(SEED)
    shape = (rows, n_agents)
    yield "0", torch.zeros(shape)
    for _ in range(3):
        yield "N(0, 1)", torch.randn(shape, generator=generator)
    for size in (10.0, 100.0):
        yield f"{size:g}", torch.full(shape, size)
        yield f"{-size:g}", torch.full(shape, -size)
        signs = torch.randint(0, 2, shape, generator=generator).float() * 2 - 1
        yield f"+-{size:g}", signs * size


def check_gradients(subject: Subject) -> None:
    """`dQ_tot/dQ_i`: finite, of bounded magnitude, with IGM not negative, and for every agent not 0 everywhere."""
    rows = _grid_rows(subject)
    states = subject.probe.states[rows]
    moved = torch.zeros(subject.header.n_agents, dtype=torch.bool)
    for label, agents_q in q_grid(states.shape[0], subject.header.n_agents):
        known = subject.first_run.outputs if subject.header.form == "weights" else None  # then `rows` are all rows
        gradient = subject.gradient(states, agents_q, known)
        _check_gradient(subject, gradient, rows, agents_q, bounded=label in ("0", "N(0, 1)"))
        moved |= (gradient.abs() > 0).any(dim=0)
        if subject.header.form == "weights":
            break  # linear in Q: one point of the grid says all
    if not moved.all():
        agent = int(torch.nonzero(~moved)[0])
        raise ContractError(
            f"Agent {agent} gets no gradient: dQ_tot/dQ_{agent} is 0 in all {states.shape[0]} probe states, so it "
            "would never learn. Give every agent a positive weight in some states, for example by adding 0.1 to all "
            "weights, "
            "and use `agents_q` without `detach()`."
        )


def _grid_rows(subject: Subject) -> Tensor:
    """Indices of the probe states for the gradients: all in the weights form, evenly spaced ones in the general."""
    count = subject.probe.states.shape[0]
    step = max(1, -(-count // MAX_GRID_STATES)) if subject.header.form == "general" else 1
    return torch.arange(0, count, step)


def _check_gradient(subject: Subject, gradient: Tensor, rows: Tensor, agents_q: Tensor, *, bounded: bool) -> None:
    def place(mask: Tensor) -> tuple[int, float, str]:
        row, agent = first(mask)
        values = ", ".join(f"{v:.3g}" for v in agents_q[row].tolist())
        at = f" at agents_q=[{values}]" if subject.header.form == "general" else ""
        return agent, gradient[row, agent].item(), f"{subject.probe.describe(int(rows[row]))}{at}"

    bad = ~torch.isfinite(gradient)
    if bad.any():
        agent, value, where = place(bad)
        raise ContractError(f"dQ_tot/dQ_{agent} is {value} in {where}. {GUARD}")
    limit = MAGNITUDE * subject.header.n_agents
    large = gradient.abs() > limit
    if bounded and large.any():
        agent, value, where = place(large)
        raise ContractError(
            f"The weight of agent {agent} is {value:.4g}, beyond the bound 10 N = {limit:g}, in {where}. Normalise the "
            "weights, or bound them with `clamp`, `tanh` or `softmax`."
        )
    if subject.header.igm == "enforce" and (gradient < -CONSTANT).any():
        agent, value, where = place(gradient < -CONSTANT)
        raise ContractError(
            f"Q_tot falls when agent {agent}'s value rises: dQ_tot/dQ_{agent} = {value:.4g} in {where}. Keep Q_tot "
            "non-decreasing in every agent's value (sampled check): multiply values by non-negative weights only "
            "(`torch.relu`, `softmax`, `abs`)."
        )


def vdn_difference(subject: Subject) -> float:
    """Share of the rollout states in which the credit differs from VDN's.

    In the general form the credit is `dQ_tot/dQ_i`, and a state counts if it differs at some value of the grid.
    """
    if subject.header.form != "general":
        weights = credit_weights(subject.header, subject.rollout())
        return float(differs_from_vdn(weights, subject.header.scale).double().mean())
    count = subject.probe.n_rollout
    states = subject.probe.states[:count]
    differs = torch.zeros(count, dtype=torch.bool)
    for _, agents_q in q_grid(count, subject.header.n_agents):
        differs |= differs_from_vdn(subject.gradient(states, agents_q), "raw")
    return float(differs.double().mean())


def warnings_of(subject: Subject, difference: float) -> Iterator[str]:
    """What is no reason to reject but the evaluator should know."""
    if subject.header.form == "weights":
        yield from _warnings_of_weights(subject, subject.rollout()[0])
    elif subject.header.igm == "relax":
        share = _negative_share(subject)
        if share:
            yield f"dQ_tot/dQ_i is negative for some agent in {share:.1%} of the probes: IGM may not hold."
    outputs = subject.first_run.outputs
    if subject.header.form == "general":
        # The same Q everywhere, so that only the state can make a difference; not zeros, which most map to zero.
        outputs = subject.raw(subject.probe.states, subject.normal_q[:1].expand_as(subject.normal_q))
    if all(float((value - value[:1]).abs().max()) <= CONSTANT for value in outputs):
        yield "The function does not depend on the state: it gives the same credit everywhere."
    if difference < VDN_SHARE:
        yield f"The credit differs from VDN (equal weights) in only {difference:.1%} of the rollout states."


def _warnings_of_weights(subject: Subject, raw_weights: Tensor) -> Iterator[str]:
    share = float((raw_weights < 0).float().mean())
    if share and subject.header.igm == "enforce":
        yield f"{share:.1%} of the weights in rollout states are negative and were clamped at 0."
    elif share:
        yield f"{share:.1%} of the weights in rollout states are negative: IGM may not hold."
    silent = (credit_weights(subject.header, (raw_weights,)) == 0).all(dim=0)
    for agent in torch.nonzero(silent).flatten().tolist():
        yield f"Agent {agent} has weight 0 in every rollout state and gets a gradient in edge states only."


def _negative_share(subject: Subject) -> float:
    rows = _grid_rows(subject)
    states = subject.probe.states[rows]
    shares = [
        float((subject.gradient(states, agents_q) < -CONSTANT).any(dim=1).float().mean())
        for _, agents_q in q_grid(states.shape[0], subject.header.n_agents)
    ]
    return sum(shares) / len(shares)
