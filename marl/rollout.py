"""Playing episodes: all environments step together, one forward pass for all environments and agents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from qredit.errors import ConfigurationError
from qredit.marl.choosing import Choose, greedy
from qredit.marl.replay import Episodes
from qredit.marl.scoring import Scorer
from qredit.marl.streams import Stream, episode_seeds

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from qredit.marl.environment import BatchedEnvironment, TimeStep
    from qredit.marl.networks import AgentNetwork


class Collector:
    """Plays one episode per environment; its storage is used again by the next call.

    Args:
        environment: where to play.
        network: scores of the agents' actions.
        device: where the network is.
    """

    def __init__(self, environment: BatchedEnvironment, network: AgentNetwork, device: torch.device) -> None:
        self._environment = environment
        self._scorer = Scorer(network, device)
        self._episodes = Episodes.zeros(environment.n_environments, environment)
        self._arrays = {name: tensor.numpy() for name, tensor in self._episodes.tensors().items()}

    def collect(self, seeds: Sequence[int], *, choose: Choose, rng: np.random.Generator) -> Episodes:
        """One episode per seed; valid until the next call.

        Args:
            seeds: one per environment.
            choose: how scores become actions.
            rng: exploration's random numbers.

        Raises:
            ConfigurationError: the environment gave a reward or an observation that is not finite.
        """
        store = self._arrays
        for name in ("rewards", "agent_rewards", "terminated", "filled"):
            store[name].fill(0)
        now = self._environment.reset(seeds)
        self._scorer.reset()
        t = 0
        self._see(now, 0)
        while not (ended := now.ended).all():
            actions = choose(self._scorer.scores(now), now.available_actions, rng)
            alive = ~ended
            now = self._environment.step(actions)
            store["actions"][:, t] = actions
            store["rewards"][:, t] = now.rewards
            store["agent_rewards"][:, t] = now.agent_rewards
            store["terminated"][:, t] = now.terminated & alive
            store["filled"][:, t] = alive
            t += 1
            self._see(now, t)
        self._check(seeds, t)
        return replace(self._episodes)  # what the last ones remembered about themselves is no longer true

    def _see(self, now: TimeStep, t: int) -> None:
        self._arrays["observations"][:, t] = now.observations
        self._arrays["states"][:, t] = now.states
        self._arrays["available_actions"][:, t] = now.available_actions

    def _check(self, seeds: Sequence[int], steps: int) -> None:
        """A number that is not finite would spoil every weight of the networks, silently."""
        for name, what in _MUST_BE_FINITE.items():
            values = self._arrays[name][:, : steps + (name not in _PER_STEP)]
            if np.isfinite(values).all():
                continue
            episode, t = (int(k) for k in np.argwhere(~np.isfinite(values))[0][:2])
            raise ConfigurationError(
                f"{what} of the environment",
                cause=f"it is {values[episode, t].tolist()} at step {t} of the episode with seed {seeds[episode]}",
                remedy="Correct the environment; the last checkpoint stays, `--resume` goes on from there.",
            )


_PER_STEP = frozenset({"agent_rewards"})
_MUST_BE_FINITE = {"agent_rewards": "the reward", "observations": "the observation", "states": "the state"}


@dataclass(frozen=True)
class Played:
    """What evaluation episodes ended with."""

    returns: NDArray[np.float64]
    """Undiscounted team return, `[episodes]`."""
    completed: NDArray[np.bool_]
    """Whether the world had ended when the episode was over, and not the time, `[episodes]`."""


def evaluate(
    environment: BatchedEnvironment,
    network: AgentNetwork,
    *,
    episodes: int,
    device: torch.device,
    choose: Choose = greedy,
    rng: np.random.Generator | None = None,
) -> Played:
    """Play episodes on the seeds that all algorithms share.

    Args:
        environment: an environment of the evaluation's own.
        network: scores of the agents' actions.
        episodes: how many.
        device: where the network is.
        choose: how scores become actions; `greedy` needs no random numbers.
        rng: random numbers for `choose`.
    """
    scorer = Scorer(network, device)
    numbers = np.random.default_rng(0) if rng is None else rng
    returns: list[NDArray[np.float64]] = []
    completed: list[NDArray[np.bool_]] = []
    for first in range(0, episodes, environment.n_environments):
        count = min(environment.n_environments, episodes - first)
        now = environment.reset(episode_seeds(Stream.EVALUATION_EPISODES, 0, first, count))
        scorer.reset()
        total = np.zeros(environment.n_environments)
        while not now.ended.all():
            now = environment.step(choose(scorer.scores(now), now.available_actions, numbers))
            total += now.rewards
        returns.append(total[:count])
        completed.append(now.terminated[:count].copy())
    return Played(np.concatenate(returns), np.concatenate(completed))
