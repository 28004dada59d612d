"""Can a credit graph represent a matrix game? A supervised fit, without exploration or bootstrapping.

Each agent of a repeated matrix game sees nothing but which agent it is, so that all it can learn is one value per
action, `Q_i(a_i)`. The fit gives these values the best chance: what it cannot reach, no training can.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qredit.credit import CreditGraph, apply_form, specialise
from qredit.marl.environments.matrix import N_ACTIONS, N_AGENTS, NO_ACTION_YET, TIME_LIMIT, payoff_matrix

STEPS = 600
LEARNING_RATE = 1.0
"""At first; it falls to 0 in a straight line. Payoffs are tens, and so are the values that fit them."""
INITIAL_SPREAD = 3.0


def payoff_fit(graph: CreditGraph, task_id: str, seed: int, restarts: int = 5) -> float:
    """The best `R^2 = 1 - MSE / variance` over the restarts, clipped at 0 below; 1 is a perfect representation.

    `Q_tot(s, a)` is fitted to the payoff of `a`, in all states `s` that a random policy visits and as often as it
    visits them, for all joint actions `a` alike.

    Args:
        graph: of the weights or the general form, for two agents and the state of a matrix game.
        task_id: the game's environment id, such as `climbing`.
        seed: of the first values, `Q_i(a) ~ N(0, 3^2)`.
        restarts: how many fits run side by side.

    Raises:
        UnknownNameError: no such game.
        ValueError: a graph of another form or size.
    """
    if graph.header.n_agents != N_AGENTS:
        raise ValueError(f"the graph is about {graph.header.n_agents} agents, a matrix game has {N_AGENTS}")
    rows = _rows(task_id)
    generator = torch.Generator().manual_seed(seed)
    start = INITIAL_SPREAD * torch.randn(restarts, N_AGENTS, N_ACTIONS, generator=generator)  # [R, N, A]
    q = start.requires_grad_()
    run = specialise(graph)

    def unexplained() -> Tensor:
        """Share of the payoffs' variance that is left over, `[R]`."""
        chosen = torch.stack([q[:, i, rows.actions[:, i]] for i in range(N_AGENTS)], dim=-1)  # [R, M, N]
        agents_q = chosen.flatten(0, 1)  # [R * M, N]
        raw = run(state=rows.states.repeat(restarts, 1), agents_q=agents_q)
        q_tot = apply_form(graph.header, raw, agents_q).q_tot.view(restarts, -1)  # [R, M]
        mean = (rows.weights * rows.payoffs).sum()
        variance = (rows.weights * (rows.payoffs - mean) ** 2).sum()
        return (rows.weights * (q_tot - rows.payoffs) ** 2).sum(dim=-1) / variance

    adam = torch.optim.Adam([q], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, STEPS)
    for _ in range(STEPS):
        loss = unexplained().sum()
        if not loss.requires_grad:
            break  # the graph does not look at the values
        (q.grad,) = torch.autograd.grad(loss, q)
        q.grad.nan_to_num_(0, 0, 0)  # a restart that ran away stops there and leaves the others alone
        adam.step()
        schedule.step()
    with torch.no_grad():
        return max(0.0, float((1 - unexplained()).nan_to_num(0, 0, 0).max()))


@dataclass(frozen=True)
class _Rows:
    """Each of the `M` pairs of a state that a random policy visits and a joint action."""

    states: Tensor
    """`[M, S]`"""
    actions: Tensor
    """`[M, N]`"""
    payoffs: Tensor
    """`[M]`"""
    weights: Tensor
    """How often a random policy is there, `[M]`; they sum to 1."""


def _rows(task_id: str) -> _Rows:
    payoff = torch.from_numpy(payoff_matrix(task_id))
    joint = torch.cartesian_prod(torch.arange(N_ACTIONS), torch.arange(N_ACTIONS))  # [A * A, N]
    states = torch.cat([torch.tensor([NO_ACTION_YET]), joint]).float()  # [1 + A * A, S]
    visits = torch.tensor([1 / TIME_LIMIT] + [(1 - 1 / TIME_LIMIT) / len(joint)] * len(joint))
    actions = joint.repeat(len(states), 1)
    return _Rows(
        states=states.repeat_interleave(len(joint), dim=0),
        actions=actions,
        payoffs=payoff[actions[:, 0], actions[:, 1]],
        weights=visits.repeat_interleave(len(joint)) / len(joint),
    )
