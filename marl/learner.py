"""One update of value decomposition: whatever mixes the agents' values, the rest is the same for all algorithms."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.marl.losses import chosen_values, greedy_actions, td_loss, td_targets
from qredit.marl.mixers import CreditMixer

if TYPE_CHECKING:
    from qredit.marl.networks import AgentNetwork
    from qredit.marl.replay import Episodes
    from qredit.marl.settings import TrainSettings


class RewardScale:
    """Running mean and deviation of the team reward over the steps that were collected, each counted once."""

    def __init__(self) -> None:
        self.count, self.total, self.total_square = 0, 0.0, 0.0

    def see(self, rewards: Tensor, filled: Tensor) -> None:
        """Count new rewards `[E, T]` where `filled [E, T]`."""
        seen = rewards[filled].double()
        self.count += seen.numel()
        self.total += float(seen.sum())
        self.total_square += float(seen.square().sum())

    def apply(self, rewards: Tensor) -> Tensor:
        """Standardised rewards."""
        standardised: Tensor = (rewards - self.mean) / self.deviation
        return standardised

    @property
    def mean(self) -> float:
        """Mean reward per step."""
        return self.total / max(self.count, 1)

    @property
    def deviation(self) -> float:
        """Standard deviation of the reward per step, at least 1e-4."""
        return max(self.total_square / max(self.count, 1) - self.mean**2, 1e-8) ** 0.5  # type: ignore[no-any-return]


class Learner:
    """Online and target networks with their optimiser.

    Args:
        network: the agents' network.
        mixer: from the agents' values to the team's.
        settings: the settings.
    """

    def __init__(self, network: AgentNetwork, mixer: nn.Module, settings: TrainSettings) -> None:
        self.online = nn.ModuleDict({"agents": network, "mixer": mixer})
        self.target = nn.ModuleDict({"agents": deepcopy(network), "mixer": deepcopy(mixer)})
        self.target.requires_grad_(False)
        self.reward_scale = RewardScale()
        self._settings = settings
        self._parameters: list[Tensor] = list(self.online.parameters())
        self._target_parameters: list[Tensor] = list(self.target.parameters())
        self.optimiser = torch.optim.Adam(self._parameters, lr=settings.learning_rate, fused=True)

    def update(self, episodes: Episodes) -> Tensor:
        """Take one step on a batch of episodes; returns the loss, a scalar that nobody has waited for."""
        loss = self.loss(episodes)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._parameters, self._settings.gradient_clip, foreach=True)
        self.optimiser.step()
        return loss.detach()

    @torch.no_grad()
    def update_target(self) -> None:
        """Move the target network towards the online network."""
        torch._foreach_lerp_(self._target_parameters, self._parameters, self._settings.target_update_tau)

    def loss(self, episodes: Episodes) -> Tensor:
        """The TD loss of a batch of episodes, over the `M` steps that took place (QLLM, equation 9)."""
        settings = self._settings
        rewards = self._in_training_units(episodes.rewards)
        steps = _Steps(episodes.filled, episodes.reached)
        values = steps.of_reached(self.online["agents"], episodes.observations)  # [R, N, A]
        taken = chosen_values(values[steps.before], episodes.actions[steps.filled])  # [M, N]
        q_tot = self._mixed(self.online, taken, episodes, steps.starts)
        with torch.no_grad():
            target_values = steps.of_reached(self.target["agents"], episodes.observations)[steps.after]  # [M, N, A]
            deciding = values[steps.after] if settings.double_q else target_values
            best = greedy_actions(deciding, episodes.available_actions[:, 1:][steps.filled])  # [M, N]
            next_q_tot = self._mixed(self.target, chosen_values(target_values, best), episodes, steps.ends)
            ended = episodes.terminated[steps.filled]
            targets = td_targets(rewards[steps.filled], ended, next_q_tot, settings.gamma)
        return td_loss(q_tot, targets)

    @staticmethod
    def _mixed(networks: nn.ModuleDict, values: Tensor, episodes: Episodes, at: Tensor) -> Tensor:
        """`Q_tot [M]` of `values [M, N]`, at the time points where the mask `at [B, T + 1]` is true."""
        mixer = networks["mixer"]
        if isinstance(mixer, CreditMixer) and episodes.credit.shape[-1]:
            q_tot: Tensor = mixer.mix(values, episodes.credit[at])
        else:
            q_tot = mixer(values.unsqueeze(1), episodes.states[at].unsqueeze(1))
        return q_tot.reshape(-1)

    def _in_training_units(self, rewards: Tensor) -> Tensor:
        """Rewards `[B, T]` as the networks see them; a credit function's bias is brought to the same units."""
        if not self._settings.standardise_rewards:
            return rewards
        for networks in (self.online, self.target):
            if isinstance(mixer := networks["mixer"], CreditMixer):
                mixer.bias_unit = 1.0 / self.reward_scale.deviation
        return self.reward_scale.apply(rewards)


class _Steps:
    """Which steps of padded episodes took place, so that no work is spent on the padding.

    `M` steps took place; they lead from and to `R` reached time points, one more per episode.
    """

    def __init__(self, filled: Tensor, reached: Tensor) -> None:
        none = torch.zeros_like(filled[:, :1])
        self.filled = filled
        """`[B, T]`"""
        self.starts = torch.cat([filled, none], dim=1)
        """Whether a step starts at this time point, `[B, T + 1]`."""
        self.ends = torch.cat([none, filled], dim=1)
        """Whether a step has led to this time point, `[B, T + 1]`."""
        self._reached = reached
        self.before = self.starts[reached]
        """Whether a step starts at this reached point, `[R]`."""
        self.after = self.ends[reached]
        """Whether a step has led to this reached point, `[R]`."""

    def of_reached(self, network: nn.Module, observations: Tensor) -> Tensor:
        """Action values `[R, N, A]` at the reached points of `observations [B, T + 1, N, O]`."""
        if network.recurrent:  # a sequence cannot be cut up
            values: Tensor = network(observations.transpose(0, 1))[0].transpose(0, 1)[self._reached]
        else:
            values = network(observations[self._reached].unsqueeze(0))[0].squeeze(0)
        return values
