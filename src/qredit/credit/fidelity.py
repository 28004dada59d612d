"""Fidelity: does a credit function rank the agents as the simulator does?

Compared are its credit `w(s)` `[N]` and each agent's share in the variance of the return, found by varying its action
in the simulator. Only ranks count: top-1 agreement asks whether the agent with the most credit is the one that matters
most, Kendall's tau-b whether the whole order is right (1), opposite (-1) or unrelated (0). A negative weight counts by
its magnitude, since a share of variance has no sign.

Shapes: `M` states, `N` agents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from qredit.credit.form import apply_form, credit_weights
from qredit.credit.specialiser import SpecialisedGraph, specialise
from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.credit.schema import CreditGraph, Header
    from qredit.probes import Probes

    Floats = NDArray[np.float64]

SEED = 20_250_418
RESAMPLES = 2_000
"""Of the bootstrap."""
DIGITS = 6
"""Credit that agrees in so many digits, relative to the largest of its state, is a tie."""
DRAWS = 8
"""Draws of `Q ~ N(0, 1)` at which the credit of the general form is read, besides `Q = 0`."""
SHUFFLES = 20
"""Draws of the placebos that are random."""


@dataclass(frozen=True)
class Fidelity:
    """Agreement between credit and truth: means over states with 95 % bootstrap intervals."""

    top1: float
    """Share of states in which the agent with the most credit is the one that matters most; ties share the point."""
    top1_low: float
    top1_high: float
    tau: float
    """Kendall's tau-b, in [-1, 1]; 0 for equal credit."""
    tau_low: float
    tau_high: float
    n_states: int
    """How many states: those in which the truth is known."""


@dataclass(frozen=True)
class ActionFidelity:
    """Whether an agent's better actions earn it more; top-1 and tau are over actions, not over agents."""

    rewards: Fidelity
    """Of what actions earn."""
    uniform: Fidelity
    """Where all actions earn the same: chance."""


@dataclass(frozen=True)
class Placebos:
    """The fidelity of credit that knows nothing, or has forgotten what it knew."""

    uniform: Fidelity
    """Equal credit: VDN."""
    agents_permuted: Fidelity
    """The function's credit, given to other agents: mean over all cyclic shifts."""
    time_shuffled: Fidelity
    """The function's credit in another state: mean over random pairings of the states."""
    random: Fidelity
    """Symmetric Dirichlet weights whose expected entropy is the mean entropy of the function's credit."""


def fidelity_of(graph: CreditGraph, probes: Probes, *, run: SpecialisedGraph | None = None) -> Fidelity | None:
    """Fidelity of a credit function; `None` where the probes hold no true credit.

    Raises:
        ConfigurationError: see `credit_of`.
    """
    known = known_rows(probes)
    if not len(known):
        return None
    assert probes.true_credit is not None
    return compare(credit_of(graph, probes, run=run).numpy()[known], probes.true_credit[known])


def known_rows(probes: Probes) -> NDArray[np.int64]:
    """Rows of the probes whose true credit is known."""
    if probes.true_credit is None:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(~np.isnan(probes.true_credit).any(axis=1))


def credit_of(graph: CreditGraph, probes: Probes, *, run: SpecialisedGraph | None = None) -> Tensor:
    """The credit `[M, N]` that a function gives in the probes: weights, shares, or `|dQ_tot/dQ_i|`.

    The general form's gradient is averaged over `Q = 0` and a few draws of `Q ~ N(0, 1)`, the same each time.

    Args:
        graph: the function.
        probes: where it is asked.
        run: the same graph, specialised before: for who asks often.

    Raises:
        ConfigurationError: the function gives no credit, or reads transitions and the probes are none.
    """
    header, run = graph.header, run or specialise(graph)
    if header.form == "general":
        return _gradients(header, run, torch.tensor(probes.states))
    if header.form not in ("weights", "shares"):
        raise ConfigurationError(
            f"a function of the form `{header.form}`", cause="it gives no credit", remedy="Give a credit function."
        )
    inputs = torch.tensor(need_transitions(probes) if header.form == "shares" else probes.states)
    with torch.no_grad():
        return credit_weights(header, run(state=inputs))


def compare(weights: NDArray[np.floating], truth: NDArray[np.floating]) -> Fidelity:
    """Fidelity of credit `[M, N]` against true shares `[M, N]` without NaN, `M >= 1`."""
    return _summary(_scores(weights, truth))


@dataclass(frozen=True)
class Choice:
    """What one agent could do in one state, `[A]` actions."""

    rewards: NDArray[np.floating]
    """What each would earn it, `[A]`."""
    returns: NDArray[np.floating]
    """What the team's expected return would be, `[A]`."""
    share: float
    """How much of the variance of the return is this agent's."""

    @property
    def scores(self) -> tuple[float, float]:
        """Whether the action that earns most returns most, ties sharing the point; and Kendall's tau-b."""
        from scipy.stats import kendalltau  # type: ignore[import-untyped]

        earned, returned = (_rounded(values[None])[0] * np.sign(values) for values in (self.rewards, self.returns))
        most, best = earned == earned.max(), returned == returned.max()
        return float((most & best).sum() / most.sum()), float(np.nan_to_num(kendalltau(earned, returned).statistic))


def compare_actions(states: Sequence[Sequence[Choice]]) -> Fidelity:
    """Do an agent's better actions earn it more? Each state is the mean over its agents, weighted by their shares."""
    found = [np.sum([choice.share * np.array(choice.scores) for choice in choices], axis=0) for choices in states]
    top1, tau = np.array(found).T
    return _summary(_Scores(top1, tau))


def placebos(weights: NDArray[np.floating], truth: NDArray[np.floating]) -> Placebos:
    """The placebos beside a function with the credit `weights [M, N]`, for true shares `[M, N]` without NaN."""
    rng = np.random.default_rng(SEED)
    n_states, n_agents = weights.shape
    permuted = (np.roll(weights, shift, axis=1) for shift in range(1, n_agents))
    shuffled = (weights[_other_rows(n_states, rng)] for _ in range(SHUFFLES))
    alpha = dirichlet_of_entropy(_mean_entropy(weights), n_agents)
    drawn = (rng.dirichlet(np.full(n_agents, alpha), size=n_states) for _ in range(SHUFFLES))
    return Placebos(
        uniform=compare(np.ones_like(weights), truth),
        agents_permuted=_mean_of(permuted, weights, truth),
        time_shuffled=_mean_of(shuffled, weights, truth),
        random=_mean_of(drawn, weights, truth),
    )


def dirichlet_of_entropy(entropy: float, n_agents: int) -> float:
    """The `alpha` of the symmetric Dirichlet distribution over `N` agents whose expected entropy (in nats) this is.

    `E[H] = digamma(N alpha + 1) - digamma(alpha + 1)`; entropies that no distribution has give the nearest `alpha` in
    `[1e-3, 1e6]`.
    """
    # Late: scipy takes a second to load. It ships no types.
    from scipy.optimize import brentq  # type: ignore[import-untyped]
    from scipy.special import digamma  # type: ignore[import-untyped]

    def excess(log_alpha: float) -> float:
        alpha = np.exp(log_alpha)
        return float(digamma(n_agents * alpha + 1) - digamma(alpha + 1) - entropy)

    low, high = np.log(1e-3), np.log(1e6)
    if excess(low) >= 0:
        return 1e-3
    return 1e6 if excess(high) <= 0 else float(np.exp(brentq(excess, low, high)))


def _gradients(header: Header, run: SpecialisedGraph, states: Tensor) -> Tensor:
    """Mean of `|dQ_tot/dQ_i|` `[M, N]` over `Q = 0` and draws of `Q`, on states `[M, S]`."""
    generator = torch.Generator().manual_seed(SEED)
    shape = (len(states), header.n_agents)
    points = [torch.zeros(shape), *(torch.randn(shape, generator=generator) for _ in range(DRAWS))]
    found = torch.zeros(shape)
    for point in points:
        values = point.requires_grad_()
        q_tot = apply_form(header, run(state=states, agents_q=values), values).q_tot
        if q_tot.requires_grad:
            (gradient,) = torch.autograd.grad(q_tot.sum(), values, allow_unused=True)
            found += 0 if gradient is None else gradient.abs()
    return found / len(points)


def need_transitions(probes: Probes) -> NDArray[np.float32]:
    """State, actions and next state of the probes in one row, `[M, S + N + S]`.

    Raises:
        ConfigurationError: only states are known.
    """
    transitions = probes.transitions
    if transitions is None:
        raise ConfigurationError(
            "credit for what was done",
            cause="it reads transitions, and only states are known",
            remedy="Add the arrays `actions` [M, N] and `next_states` [M, S] to the file of sample states.",
        )
    return transitions


@dataclass(frozen=True)
class _Scores:
    """Agreement per state."""

    top1: Floats
    """`[M]`"""
    tau: Floats
    """`[M]`"""


def _scores(weights: NDArray[np.floating], truth: NDArray[np.floating]) -> _Scores:
    from scipy.stats import kendalltau

    if weights.shape[1] == 1:
        return _Scores(np.ones(len(weights)), np.zeros(len(weights)))  # one agent has no order
    credit, shares = _rounded(weights), _rounded(truth)
    most, best = credit == credit.max(axis=1, keepdims=True), shares == shares.max(axis=1, keepdims=True)
    tau = [kendalltau(c, s).statistic for c, s in zip(credit, shares, strict=True)]
    # A row of ties has no order, and scipy gives NaN; it agrees with any order as often as not.
    return _Scores((most & best).sum(axis=1) / most.sum(axis=1), np.nan_to_num(np.array(tau, dtype=np.float64)))


def _rounded(values: NDArray[np.floating]) -> Floats:
    """Magnitudes relative to the largest of each row, without the last digits, so that ties are ties, `[M, N]`."""
    sizes = np.abs(values.astype(np.float64))
    rounded: Floats = np.round(sizes / np.maximum(sizes.max(axis=1, keepdims=True), 1e-300), DIGITS)
    return rounded


def _mean_of(
    versions: Iterator[NDArray[np.floating]], weights: NDArray[np.floating], truth: NDArray[np.floating]
) -> Fidelity:
    """Fidelity with each state's agreement averaged over versions of the credit, or its own where there are none."""
    scores = [_scores(version, truth) for version in versions] or [_scores(weights, truth)]
    return _summary(_Scores(np.mean([s.top1 for s in scores], axis=0), np.mean([s.tau for s in scores], axis=0)))


def _summary(scores: _Scores) -> Fidelity:
    n_states = len(scores.tau)
    drawn = np.random.default_rng(SEED).integers(n_states, size=(RESAMPLES, n_states))
    top1_low, top1_high = np.percentile(scores.top1[drawn].mean(axis=1), (2.5, 97.5)).tolist()
    tau_low, tau_high = np.percentile(scores.tau[drawn].mean(axis=1), (2.5, 97.5)).tolist()
    top1, tau = float(scores.top1.mean()), float(scores.tau.mean())
    return Fidelity(top1, top1_low, top1_high, tau, tau_low, tau_high, n_states)


def _other_rows(n_states: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """For each state another one, `[M]`: along a random cycle through all."""
    cycle = rng.permutation(n_states)
    others = np.empty_like(cycle)
    others[cycle] = np.roll(cycle, 1)
    return others


def _mean_entropy(weights: NDArray[np.floating]) -> float:
    """Mean over states of the entropy of the credit's shares, in nats, of weights `[M, N]`."""
    sizes = np.abs(weights.astype(np.float64))
    shares = sizes / np.maximum(sizes.sum(axis=1, keepdims=True), 1e-300)
    return float(-(shares * np.log(np.maximum(shares, 1e-300))).sum(axis=1).mean())
