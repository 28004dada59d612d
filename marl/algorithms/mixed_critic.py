"""Actor-critics whose critic is mixed out of the agents' values: what VMIX and RIIT share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.marl.algorithms.algorithm import Learned, Problem
from qredit.marl.algorithms.on_policy import OnPolicy
from qredit.marl.algorithms.qllm import qllm_mixer
from qredit.marl.algorithms.qmix import qmix_mixer
from qredit.marl.mixers import Mixer, QLLMMixer
from qredit.marl.networks import values_at
from qredit.marl.policies import log_policy
from qredit.marl.replay import taken

if TYPE_CHECKING:
    from qredit.marl.checkpoint import Counters
    from qredit.marl.replay import Episodes
    from qredit.marl.settings import TrainSettings


class MixedCritic(OnPolicy):
    """Actors of their own observations; the critic is the agents' values and a mixer."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.actor = problem.agent_network()
        self.agent_critic = self.make_agent_critic(problem)
        self.mixer = self.make_mixer(problem)
        self.critic = nn.ModuleDict({"agents": self.agent_critic, "mixer": self.mixer}).to(problem.device)
        self.make_optimisers(self.critic)

    @abstractmethod
    def make_agent_critic(self, problem: Problem) -> nn.Module:
        """What values each agent."""

    def make_mixer(self, problem: Problem) -> Mixer:
        """QMIX's mixing network."""
        return qmix_mixer(problem)

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Actor and critic."""
        return {"actor": self.actor, "critic": self.critic}

    def learn(self, episodes: Episodes, done: Counters) -> Learned:
        """Ask the mixer once what depends on states alone, then learn."""
        episodes = replace(episodes, credit=self.mixer.keep(episodes, done.collections))
        self.remember(episodes)
        return super().learn(episodes, done)

    def remember(self, episodes: Episodes) -> None:
        """Told of every collection, with credit, before anything is learnt from it."""
        return

    def prepare(self, mixer: Mixer, done: Counters) -> None:
        """Tell a mixer how far the training is, and the units of its rewards."""
        deviation = self.reward_scale.deviation if self.settings.standardise_rewards else 1.0
        mixer.prepare(environment_steps=done.environment_steps, reward_deviation=deviation)

    def log_pi(self, episodes: Episodes, rows: Tensor) -> Tensor:
        """`log pi(. | tau_i)`, `[M, N, A]`, at the time points of numbers `rows [M]`."""
        logits = values_at(self.actor, episodes.observations, rows)
        return log_policy(logits, taken(episodes.available_actions, rows))


class CreditCritic(MixedCritic):
    """Put before another of these classes: a credit function stands in place of the mixing network."""

    mixer: QLLMMixer

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._visited = torch.zeros(0, problem.sizes.layout.size)

    @classmethod
    def credit_forms(cls, settings: TrainSettings) -> tuple[str, ...]:
        """Weights per agent, or a function of the agents' values."""
        return ("weights", "general")

    @classmethod
    def takes_potentials(cls, settings: TrainSettings) -> bool:
        """Also as the bias."""
        return settings.bias == "potentials" or super().takes_potentials(settings)

    def make_mixer(self, problem: Problem) -> Mixer:
        """The credit function."""
        return qllm_mixer(problem)

    def remember(self, episodes: Episodes) -> None:
        """Copy the states that were visited."""
        super().remember(episodes)
        self._visited = episodes.states[:, :-1][episodes.filled]

    def vdn_difference(self) -> float | None:
        """In the weights form, of the states of the latest collection."""
        return self.mixer.vdn_difference(self._visited)

    def more_tensors(self) -> dict[str, Tensor]:
        """The states of the latest collection besides."""
        return {**super().more_tensors(), "visited": self._visited}

    def restore_more(self, tensors: Mapping[str, Tensor], counters: Counters) -> None:
        """Take back what `more_tensors` gave."""
        super().restore_more(tensors, counters)
        self._visited = tensors["visited"]
