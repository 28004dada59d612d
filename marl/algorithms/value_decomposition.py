"""Value decomposition: a mixer makes the team's value of the agents'; algorithms differ in the mixer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from qredit.marl.algorithms.off_policy import OffPolicy
from qredit.marl.learner import Learner

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from qredit.marl.algorithms.algorithm import Problem
    from qredit.marl.mixers import Mixer
    from qredit.marl.replay import Episodes
    from qredit.marl.reward_scale import RewardScale


class ValueDecomposition(OffPolicy):
    """Q-learning with `Q_tot = mixer(Q_1, ..., Q_N, s)`; a subclass says which mixer."""

    family = "value decomposition"

    def __init__(self, problem: Problem) -> None:
        self.actor = problem.agent_network()
        self.mixer = self.make_mixer(problem).to(problem.device)
        self.learner = Learner(self.actor, self.mixer, problem.settings)
        super().__init__(problem, credit_size=self.mixer.credit_size)

    @abstractmethod
    def make_mixer(self, problem: Problem) -> Mixer:
        """The mixer of this algorithm."""

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Online and target networks."""
        return {"online": self.learner.online, "target": self.learner.target}

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """One for agents and mixer."""
        return {"adam": self.learner.optimiser}

    @property
    def reward_scale(self) -> RewardScale:
        """The learner's."""
        return self.learner.reward_scale

    def update(self, batch: Episodes, environment_steps: int) -> Tensor:
        """One step on the TD loss."""
        return self.learner.update(batch, environment_steps)

    def update_target(self) -> None:
        """Move the target networks by `target_update_tau`."""
        self.learner.update_target()

    def credit_of(self, episodes: Episodes, collection: int) -> Tensor:
        """What the mixer wants kept."""
        return self.mixer.keep(episodes, collection)
