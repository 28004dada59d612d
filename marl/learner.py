"""One update of value decomposition: whatever mixes the agents' values, the rest is the same for all algorithms."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.marl.descent import ClippedAdam
from qredit.marl.losses import chosen_values, greedy_actions, td_loss, td_targets
from qredit.marl.mixers import Mixer, Steps
from qredit.marl.networks import move_towards, values_at
from qredit.marl.replay import taken
from qredit.marl.reward_scale import RewardScale

if TYPE_CHECKING:
    from qredit.marl.networks import AgentNetwork
    from qredit.marl.replay import Episodes
    from qredit.marl.settings import TrainSettings


class Learner:
    """Online and target networks with their optimiser.

    Args:
        network: the agents' network.
        mixer: from the agents' values to the team's, or to those that are learnt independently.
        settings: the settings.
    """

    def __init__(self, network: AgentNetwork, mixer: Mixer, settings: TrainSettings) -> None:
        self.online = nn.ModuleDict({"agents": network, "mixer": mixer})
        self.target = nn.ModuleDict({"agents": deepcopy(network), "mixer": deepcopy(mixer)})
        self.target.requires_grad_(False)
        # Listed once: finding the parameters takes longer than moving them.
        self._followers, self._leaders = list(self.target.parameters()), list(self.online.parameters())
        self.reward_scale = RewardScale()
        self._settings = settings
        self.optimiser = ClippedAdam(self.online, learning_rate=settings.step_size(), clip=settings.gradient_clip)

    def update(self, episodes: Episodes, environment_steps: int = 0) -> Tensor:
        """Take one step on a batch of episodes; returns the loss, a scalar that nobody has waited for."""
        loss = self.loss(episodes, environment_steps)
        self.optimiser.descend(loss)
        return loss.detach()

    def update_target(self) -> None:
        """Move the target network towards the online network."""
        move_towards(self._followers, self._leaders, self._settings.target_update_tau)

    def loss(self, episodes: Episodes, environment_steps: int = 0) -> Tensor:
        """The TD loss of a batch of episodes, over the `M` steps that took place (QLLM, equation 9).

        `G` values are compared with their targets per step: the team's (`G = 1`) or each agent's (`G = N`).
        """
        settings, rows = self._settings, episodes.rows
        rewards = self._in_training_units(episodes, environment_steps)  # [M, 1] or [M, N]
        values = self._values(self.online, episodes)  # [R, N, A], at the reached time points
        actions = taken(episodes.actions, rows.steps)  # [M, N]
        q = self._mixed(self.online, values.index_select(0, rows.starts), actions, episodes, rows.before)  # [M, G]
        with torch.no_grad():
            target_values = self._values(self.target, episodes).index_select(0, rows.ends)  # [M, N, A]
            deciding = values.detach().index_select(0, rows.ends) if settings.double_q else target_values
            best = greedy_actions(deciding, taken(episodes.available_actions, rows.after))  # [M, N]
            next_q = self._mixed(self.target, target_values, best, episodes, rows.after)  # [M, G]
            ended = taken(episodes.over(time_limit=settings.time_limit_is_terminal), rows.steps)  # [M]
            targets = td_targets(rewards, ended.unsqueeze(-1), next_q, settings.gamma)
        return td_loss(q, targets)

    @staticmethod
    def _values(networks: nn.ModuleDict, episodes: Episodes) -> Tensor:
        """Values of all actions at the `R` reached time points, `[R, N, A]`."""
        network: AgentNetwork = networks["agents"]  # type: ignore[assignment]
        return values_at(network, episodes.observations, episodes.rows.reached)

    @staticmethod
    def _mixed(networks: nn.ModuleDict, values: Tensor, actions: Tensor, episodes: Episodes, rows: Tensor) -> Tensor:
        """`[M, G]` of all `values [M, N, A]` and `actions [M, N]` at the time points of numbers `rows [M]`."""
        mixer = networks["mixer"]
        assert isinstance(mixer, Mixer)
        return mixer.of_steps(
            Steps(
                values=chosen_values(values, actions),
                actions=actions,
                all_values=values,
                episodes=episodes,
                rows=rows,
            )
        )

    def _in_training_units(self, episodes: Episodes, environment_steps: int) -> Tensor:
        """Rewards `[M, 1]`, or the agents' own `[M, N]`, as the networks see them; the mixers are told the units."""
        own, n = self._settings.rewards == "individual", episodes.actions.shape[-1]
        rewards = taken(n * episodes.agent_rewards if own else episodes.rewards.unsqueeze(-1), episodes.rows.steps)
        standardise = self._settings.standardise_rewards
        for networks in (self.online, self.target):
            mixer = networks["mixer"]
            assert isinstance(mixer, Mixer)
            deviation = self.reward_scale.deviation if standardise else 1.0
            mixer.prepare(environment_steps=environment_steps, reward_deviation=deviation)
        return self.reward_scale.apply(rewards) if standardise else rewards
