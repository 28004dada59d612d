"""MADDPG: each agent's policy follows a critic that knows the state and all agents' actions; for discrete actions."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.marl.algorithms.algorithm import Learned, Problem
from qredit.marl.algorithms.off_policy import OffPolicy
from qredit.marl.choosing import Choose, sampled
from qredit.marl.descent import ClippedAdam
from qredit.marl.losses import greedy_actions, td_loss, td_targets
from qredit.marl.mixers import StateScale
from qredit.marl.networks import move_towards, values_at
from qredit.marl.replay import taken
from qredit.marl.reward_scale import RewardScale
from qredit.marl.streams import Stream, generator

if TYPE_CHECKING:
    from qredit.layout import StateLayout
    from qredit.marl.checkpoint import Counters
    from qredit.marl.replay import Episodes


@dataclass(frozen=True)
class MADDPGOptions:
    """Options of MADDPG."""

    regularisation: float = 1e-3
    """Weight of the mean square of the actor's logits."""
    temperature: float = 1.0
    """Temperature of the Gumbel-softmax; the lower, the less biased and the noisier is the gradient."""

    def __post_init__(self) -> None:
        if not (self.regularisation >= 0 and self.temperature > 0):
            raise ConfigurationError(
                f"MADDPG options {self}",
                cause="regularisation must not be below 0, and temperature must be above it",
                remedy="Correct these options.",
            )


class MADDPG(OffPolicy):
    """Actors `mu_i(o_i)` and critics `Q_i(s, a_1, ..., a_N)`, each with parameters that the agents share.

    Made discrete as by Papoudakis et al. (2021): an action is drawn from the softmax of the actor's logits by the
    Gumbel-max trick, which is all the exploration there is; the target actor takes its best action.
    """

    title = "MADDPG"
    source = "Lowe et al. 2017, Multi-Agent Actor-Critic for Mixed Cooperative-Competitive Environments"
    stochastic = True
    rewards = ("team", "individual")
    Options = MADDPGOptions

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        sizes, settings = problem.sizes, problem.settings
        self.own: MADDPGOptions = self.options(settings)
        self.actor = problem.agent_network()
        self.critic = JointCritic(sizes.layout, sizes.n_agents, sizes.n_actions, settings.hidden_size)
        self.critic.to(problem.device)
        self.target_actor = deepcopy(self.actor).requires_grad_(False)
        self.target_critic = deepcopy(self.critic).requires_grad_(False)
        rate, clip = settings.step_size(), settings.gradient_clip
        self.actor_optimiser = ClippedAdam(self.actor, learning_rate=rate, clip=clip)
        self.critic_optimiser = ClippedAdam(self.critic, learning_rate=rate, clip=clip)
        self._reward_scale = RewardScale()
        self._updates = 0  # `learn` says how many there were

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Actor and critic, and their targets."""
        return {
            "actor": self.actor,
            "critic": self.critic,
            "target_actor": self.target_actor,
            "target_critic": self.target_critic,
        }

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """One for the actor, one for the critic."""
        return {"actor_adam": self.actor_optimiser, "critic_adam": self.critic_optimiser}

    @property
    def reward_scale(self) -> RewardScale:
        """Over the team's rewards, or over all agents'."""
        return self._reward_scale

    def explore(self, environment_steps: int) -> Choose:
        """Actions are drawn from the policy."""
        return sampled

    def learn(self, episodes: Episodes, done: Counters) -> Learned:
        """As all off-policy algorithms; the noise of an update depends on how many there were before it."""
        self._updates = done.updates
        return super().learn(episodes, done)

    def update(self, batch: Episodes, environment_steps: int) -> Tensor:
        """One step of the critic, then one of the actor; returns the critic's loss."""
        loss = self.critic_loss(batch)
        self.critic_optimiser.descend(loss)
        sizes = self.problem.sizes
        shape = (int(batch.filled.sum()), sizes.n_agents, sizes.n_actions)
        noise = gumbel_noise(shape, self.settings.seed, self._updates).to(self.problem.device)
        self.actor_optimiser.descend(self.actor_loss(batch, noise))
        self._updates += 1
        return loss.detach()

    def critic_loss(self, batch: Episodes) -> Tensor:
        """Mean squared error of all agents' values (Lowe et al. 2017, equation 6).

        `y_i = r_i + gamma Q_i'(s', a_1', ..., a_N')` with `a_j' = mu_j'(o_j')`.
        """
        settings, rows = self.settings, batch.rows
        q = self.critic(taken(batch.states, rows.before), self._one_hot(taken(batch.actions, rows.steps)))  # [M, N]
        with torch.no_grad():
            logits = values_at(self.target_actor, batch.observations, rows.after)  # [M, N, A]
            next_actions = self._one_hot(greedy_actions(logits, taken(batch.available_actions, rows.after)))
            next_q = self.target_critic(taken(batch.states, rows.after), next_actions)  # [M, N]
            over = taken(batch.over(time_limit=settings.time_limit_is_terminal), rows.steps)  # [M]
            targets = td_targets(self._rewards(batch), over.unsqueeze(-1), next_q, settings.gamma)  # [M, N]
        return td_loss(q, targets)

    def actor_loss(self, batch: Episodes, noise: Tensor) -> Tensor:
        """`-mean Q_i(s, a_1, ..., a_N)` plus the regularisation (Lowe et al. 2017, equation 5).

        All actions are drawn anew from the present policies, and `Q_i` passes its gradient on to agent `i` alone.
        In the paper the others' actions come from the replay buffer; the code of Papoudakis et al. draws them anew.

        Args:
            batch: episodes with `M` steps.
            noise: Gumbel noise, `[M, N, A]`.
        """
        before = batch.rows.before
        available = taken(batch.available_actions, before)  # [M, N, A]
        logits = values_at(self.actor, batch.observations, before)
        actions = gumbel_actions(logits, available, noise, self.own.temperature)
        q = self.critic(taken(batch.states, before), actions.detach(), own=actions)
        loss: Tensor = self.own.regularisation * logits.masked_fill(~available, 0.0).square().mean() - q.mean()
        return loss

    def update_target(self) -> None:
        """Move the target networks by `target_update_tau`."""
        tau = self.settings.target_update_tau
        move_towards(self.target_actor.parameters(), self.actor.parameters(), tau)
        move_towards(self.target_critic.parameters(), self.critic.parameters(), tau)

    def _rewards(self, batch: Episodes) -> Tensor:
        """What teaches each agent in training units, `[M, 1]` or `[M, N]`."""
        rewards = self.rewards_of(batch)[batch.filled]
        rewards = rewards if rewards.dim() == 2 else rewards.unsqueeze(-1)
        return self._reward_scale.apply(rewards) if self.settings.standardise_rewards else rewards

    def _one_hot(self, actions: Tensor) -> Tensor:
        return nn.functional.one_hot(actions, self.problem.sizes.n_actions).float()


class JointCritic(nn.Module):
    """`Q_i(s, a_1, ..., a_N)` for all agents at once; they share all parameters but an embedding of their number.

    Args:
        layout: layout of the state; its value ranges scale the input to [0, 1], where they are finite.
        n_agents: `N`.
        n_actions: `A`.
        hidden_size: width `H` of the two hidden layers.
    """

    def __init__(self, layout: StateLayout, n_agents: int, n_actions: int, hidden_size: int) -> None:
        super().__init__()
        self.scale = StateScale(layout, typical=True)
        self.first = nn.Linear(layout.size + n_agents * n_actions, hidden_size)
        self.identity = nn.Parameter(torch.empty(n_agents, hidden_size))
        nn.init.uniform_(self.identity, -(self.first.in_features**-0.5), self.first.in_features**-0.5)
        self.second = nn.Linear(hidden_size, hidden_size)
        self.head = nn.Linear(hidden_size, 1)

    def forward(self, states: Tensor, actions: Tensor, own: Tensor | None = None) -> Tensor:
        """`Q_i [M, N]` of `states [M, S]` and one-hot `actions [M, N, A]`.

        Args:
            states: the states.
            actions: the joint actions.
            own: in `Q_i` agent `i`'s action is `own_i` in place of `actions_i`, `[M, N, A]`.
        """
        x = self.first(torch.cat([self.scale(states), actions.flatten(1)], dim=-1)).unsqueeze(1)  # [M, 1, H]
        if own is not None:
            # The first layer is linear: one agent's change of action is added to what all agents have in common.
            by_agent = self.first.weight[:, states.shape[-1] :].reshape(-1, *actions.shape[1:])  # [H, N, A]
            x = x + torch.einsum("mna,hna->mnh", own - actions, by_agent)
        x = torch.relu(x + self.identity)  # [M, N, H]
        q: Tensor = self.head(torch.relu(self.second(x)))
        return q.squeeze(-1)


def gumbel_noise(shape: tuple[int, ...], seed: int, update: int) -> Tensor:
    """Noise of the standard Gumbel distribution, on the CPU: the same numbers for every device."""
    rng = torch.Generator().manual_seed(int(generator(Stream.POLICY_NOISE, seed, update).integers(2**63)))
    return torch.empty(shape).exponential_(generator=rng).log().neg()


def gumbel_actions(logits: Tensor, available: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Actions drawn from the softmax of the logits, one-hot, with the gradient of the softmax: straight through.

    (Jang et al. 2017, section 2.2.) All tensors and the result are `[..., A]`.
    """
    perturbed = (logits + noise).masked_fill(~available, -torch.inf)
    soft = (perturbed / temperature).softmax(dim=-1)
    hard = torch.zeros_like(soft).scatter(-1, perturbed.argmax(dim=-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())
