"""The credit that each agent truly has in a state, measured in the simulator by asking what else it could have done.

In a saved state, agent `i` takes each of its available actions while the others do what they did; the team then goes on
under a fixed policy. With `G_k(a_i)` the discounted return of continuation `k`,

    V_i = Var_{a_i ~ uniform} E_k[G_k(a_i)],    share_i = V_i / sum_j V_j,

where `V_i` is estimated without the upward bias of noise (`action_variance`) and 0 where that estimate is negative.

All alternatives of a state share the random numbers of the continuing policy: explored actions, who explores when, and
the script's own generator. The simulator's randomness is part of the saved state and thus the same in all
continuations: credit is measured GIVEN the chance events that the simulator would have drawn next, and is not averaged
over them. Not covered: joint deviations of several agents.

Shapes: `M` states, `N` agents, `A` actions, `K` continuations, `H` steps of a continuation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from qredit.marl.action_variance import ActionVariance, action_variance, standard_error
from qredit.marl.adapters import make_simulator
from qredit.marl.probing import EPSILON, mixed_actions, probes_of, sample_situations
from qredit.marl.random_policy import largest_available
from qredit.marl.streams import Stream, generator
from qredit.marl.truth_settings import TruthSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.marl.environments.simulator import Simulator, Snapshot
    from qredit.probes import Probes
    from qredit.task import Task

INDIFFERENT = 1e-3
"""Where actions move the expected return by a smaller part of its size than this, none matters."""
SURE = 2.0
"""Standard errors by which the variance must differ from 0, so that its shares are more than noise."""
MORE = 4
"""How many times as many continuations there are where the first ones leave a state open."""


@dataclass(frozen=True)
class MeasuredProbes:
    """Probes with the true credit of some."""

    probes: Probes
    """All states of rollouts that were kept; the true credit of those that were not measured is NaN."""
    measured: int
    """How many were measured, decisive or not."""
    decisive: int
    """In how many of these some agent's action is seen to matter."""
    simulator_steps: int
    """What that cost, all together."""
    alternatives: tuple[Alternatives, ...]
    """What the agents could have done in each decisive state."""


@dataclass(frozen=True)
class Alternatives:
    """What the agents could have done in a state, one at a time, and what came of it: `J` pairs of agent and action."""

    state: NDArray[np.float32]
    """Where it was, `[S]`."""
    egos: NDArray[np.int64]
    """Who does otherwise, `[J]`."""
    actions: NDArray[np.int64]
    """What all do then, `[J, N]`."""
    next_states: NDArray[np.float32]
    """What follows, `[J, S]`."""
    returns: NDArray[np.float64]
    """Mean over the continuations, `[J]`."""
    shares: NDArray[np.float32]
    """Each agent's share in the variance of the return, `[N]`."""


def measure_probes(
    task: Task, settings: TruthSettings, on_progress: Callable[[int, int], None] = lambda measured, decisive: None
) -> MeasuredProbes:
    """Sample probes and measure the true credit in random ones until enough of them were decisive.

    The probes are those of `sample_probes(task, settings.visited, settings.seed)`.

    Args:
        task: a task with an environment.
        settings: how much, and how.
        on_progress: told of (states measured, decisive ones among them) after each state.

    Raises:
        QreditError: see `make_simulator`.
    """
    simulator = make_simulator(task)
    situations = sample_situations(simulator, settings.visited, settings.seed)
    shares = np.full((len(situations), simulator.n_agents), np.nan, dtype=np.float32)
    measured = steps = 0
    alternatives: list[Alternatives] = []
    for row in generator(Stream.COUNTERFACTUAL, settings.seed).permutation(len(situations)).tolist():
        if len(alternatives) == settings.states or (settings.most_steps and steps >= settings.most_steps):
            break
        credit = credit_in(simulator, situations[row].snapshot, situations[row].actions.tolist(), settings, row)
        shares[row] = credit.shares
        measured += 1
        steps += credit.simulator_steps
        if credit.alternatives is not None:
            alternatives.append(credit.alternatives)
        on_progress(measured, len(alternatives))
    probes = replace(probes_of(situations), true_credit=shares)
    return MeasuredProbes(probes, measured, len(alternatives), steps, tuple(alternatives))


@dataclass(frozen=True)
class TrueCredit:
    """Each agent's true credit in some states."""

    shares: NDArray[np.float32]
    """Share in the variance of the return, `[M, N]`; a row of NaN where no agent's action is seen to matter."""
    simulator_steps: NDArray[np.int64]
    """What each state cost, `[M]`."""


def true_credit(
    simulator_factory: Callable[[], Simulator],
    snapshots: Sequence[Snapshot],
    actions: NDArray[np.integer],
    settings: TruthSettings | None = None,
) -> TrueCredit:
    """Measure the true credit in saved states; `credit_in` says how.

    Args:
        simulator_factory: makes a simulator of the environment in which the states were saved.
        snapshots: the saved states, `M`.
        actions: what the agents did there, `[M, N]`.
        settings: how to measure; the defaults if left out.
    """
    simulator, settings = simulator_factory(), settings or TruthSettings()
    found = [
        credit_in(simulator, snapshot, joint, settings, row)
        for row, (snapshot, joint) in enumerate(zip(snapshots, actions.tolist(), strict=True))
    ]
    shares = np.stack([credit.shares for credit in found])
    return TrueCredit(shares, np.array([credit.simulator_steps for credit in found]))


@dataclass(frozen=True)
class StateCredit:
    """Each agent's true credit in one state."""

    shares: NDArray[np.float32]
    """Share in the variance of the return, `[N]`; NaN where no agent's action is seen to matter."""
    simulator_steps: int
    """What it cost."""
    alternatives: Alternatives | None
    """What it was found from; `None` where no agent's action is seen to matter."""


def credit_in(
    simulator: Simulator, snapshot: Snapshot, actions: Sequence[int], settings: TruthSettings, row: int
) -> StateCredit:
    """Measure the true credit in one saved state.

    Where the continuations leave open whether any action matters, there are `MORE` times as many.

    Args:
        simulator: a simulator of the environment in which the state was saved.
        snapshot: the saved state.
        actions: what the agents did there, `[N]`.
        settings: how to measure.
        row: number of the state; states of different numbers have different random numbers.
    """
    few, many = settings.continuations, MORE * settings.continuations
    chances = [_Chance.draw(simulator, settings, row * many + k) for k in range(many)]
    tried = _Tried(simulator, snapshot, actions)
    tried.play(chances[:few], settings.discount)
    verdict = tried.verdict()
    if verdict == "open":
        tried.play(chances[few:], settings.discount)
        verdict = tried.verdict()
    if verdict != "decisive":
        return StateCredit(np.full(simulator.n_agents, np.nan, dtype=np.float32), tried.steps, None)
    alternatives = tried.alternatives()
    return StateCredit(alternatives.shares, tried.steps, alternatives)


class _Tried:
    """What came of all alternatives in one saved state."""

    def __init__(self, simulator: Simulator, snapshot: Snapshot, actions: Sequence[int]) -> None:
        self.steps = 0
        self._simulator, self._snapshot = simulator, snapshot
        simulator.restore(snapshot)
        self._state = simulator.state().astype(np.float32)
        self._options = [
            [(*actions[:agent], int(action), *actions[agent + 1 :]) for action in np.flatnonzero(available)]
            for agent, available in enumerate(simulator.available_actions())
        ]
        """Joint actions that one agent may bring about alone, for each agent."""
        # What was really done is an option of every agent, and played once.
        self._returns: dict[tuple[int, ...], list[float]] = {
            joint: [] for options in self._options for joint in options
        }
        self._next_states: dict[tuple[int, ...], NDArray[np.float32]] = {}

    def play(self, chances: Sequence[_Chance], discount: float) -> None:
        """Play further continuations of every option."""
        for joint, returns in self._returns.items():
            for chance in chances:
                played = _play(self._simulator, self._snapshot, joint, chance, discount)
                returns.append(played.value)
                self._next_states[joint] = played.next_state  # the same in all continuations
                self.steps += played.steps

    def verdict(self) -> Literal["decisive", "indifferent", "open"]:
        """Whether the return depends on what any agent does."""
        variances = self._variances()
        total = sum(variance.value for variance in variances)
        size = np.square(list(self._returns.values())).mean()
        if total <= INDIFFERENT**2 * size:
            return "indifferent"
        return "decisive" if total > SURE * standard_error(variances) else "open"

    def alternatives(self) -> Alternatives:
        """All of them, where some agent's action matters."""
        values = np.array([max(0.0, variance.value) for variance in self._variances()])
        pairs = [(agent, joint) for agent, options in enumerate(self._options) for joint in options]
        return Alternatives(
            state=self._state,
            egos=np.array([agent for agent, _ in pairs]),
            actions=np.array([joint for _, joint in pairs]),
            next_states=np.stack([self._next_states[joint] for _, joint in pairs]),
            returns=np.array([np.mean(self._returns[joint]) for _, joint in pairs]),
            shares=(values / values.sum()).astype(np.float32),
        )

    def _variances(self) -> list[ActionVariance]:
        columns = ([self._returns[joint] for joint in options] for options in self._options)
        return [action_variance(np.array(returns).T) for returns in columns]


@dataclass(frozen=True)
class _Chance:
    """The random numbers of one continuation, drawn before it is played, so that no alternative can shift them."""

    explores: NDArray[np.bool_]
    """Which agents act at random, `[H, N]`."""
    numbers: NDArray[np.float64]
    """Uniform numbers, the largest of which chooses among the available actions, `[H, N, A]`."""
    seed: int
    """Seed of what the script draws."""

    @staticmethod
    def draw(simulator: Simulator, settings: TruthSettings, number: int) -> _Chance:
        """Draw the random numbers of the continuation `number`."""
        rng = generator(Stream.COUNTERFACTUAL, settings.seed, number)
        shape = (settings.horizon, simulator.n_agents)
        epsilon = EPSILON if settings.continuation == "scripted" else 1.0
        return _Chance(rng.random(shape) < epsilon, rng.random((*shape, simulator.n_actions)), int(rng.integers(2**32)))


@dataclass(frozen=True)
class _Play:
    """One continuation."""

    value: float
    """Its discounted return."""
    steps: int
    """Its length."""
    next_state: NDArray[np.float32]
    """What follows its first step, `[S]`."""


def _play(simulator: Simulator, snapshot: Snapshot, joint: Sequence[int], chance: _Chance, discount: float) -> _Play:
    """Take the joint action `[N]` in a saved state and go on with these random numbers."""
    simulator.restore(snapshot)
    rng = np.random.default_rng(chance.seed)
    result = simulator.step(joint)
    next_state = simulator.state().astype(np.float32)
    value, weight, steps = float(sum(result.agent_rewards)), 1.0, 1
    for explores, numbers in zip(chance.explores, chance.numbers, strict=True):
        if result.terminated or result.truncated:
            break
        explored = largest_available(simulator.available_actions(), numbers)
        result = simulator.step(mixed_actions(simulator, explores, explored, rng))
        weight *= discount
        value += weight * float(sum(result.agent_rewards))
        steps += 1
    return _Play(value, steps, next_state)
