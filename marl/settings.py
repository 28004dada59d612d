"""Settings of a training. Defaults stand here and nowhere else; the command line's options are made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from qredit.errors import ConfigurationError


@dataclass(frozen=True)
class TrainSettings:
    """How one algorithm trains on one task with one seed.

    The defaults are those with which VDN, QMIX and QLLM all solve `lbf-5x5-2p-1f` in a minute (`docs/log.md`).
    """

    algorithm: str = "vdn"
    """Algorithm: a name out of `qredit algorithms`."""
    seed: int = 0
    """Seed of the initialisation, of exploration and of the environment's episodes."""
    total_steps: int = 150_000
    """Environment steps to train, all environments together."""
    n_environments: int = 8
    """Environments that step together."""
    buffer_episodes: int = 5_000
    """Off-policy: episodes that the replay buffer holds, but no more than fit into 250 000 environment steps."""
    batch_episodes: int = 16
    """Off-policy: episodes per update."""
    updates_per_collection: int = 8
    """Off-policy: updates after each collection of one episode per environment; as many as environments: one per
    episode."""
    hidden_size: int = 64
    """Width of the agents' network."""
    recurrent: bool = False
    """Whether the networks have a GRU, so that they remember earlier observations."""
    mixing_size: int = 32
    """Mixing networks: their width."""
    hypernet_size: int = 64
    """Mixing networks: width of their hypernetworks."""
    learning_rate: float | None = None
    """Step size of Adam; by default 0.001, and 0.0005 for algorithms that learn on-policy: with more they break down on
    some seeds (`docs/log.md`)."""
    gamma: float = 0.99
    """Discount per environment step."""
    epsilon_start: float = 1.0
    """Exploration rate at the start: the probability of a random action."""
    epsilon_end: float = 0.05
    """Exploration rate after annealing."""
    epsilon_anneal_steps: int = 50_000
    """Environment steps over which the exploration rate falls linearly."""
    double_q: bool = True
    """Whether the online network chooses the action whose target value is taken."""
    target_update_tau: float = 0.01
    """Share of the online network that enters the target network; 1 copies it."""
    target_update_interval: int = 1
    """Updates between two changes of the target network; 200 with a share of 1 is the classic hard update."""
    gradient_clip: float = 10.0
    """Largest norm of the gradient."""
    standardise_rewards: bool = True
    """Whether team rewards are shifted and scaled by their running mean and deviation over collected steps. Where
    reward is sparse and time costs nothing, the shift makes it cost something: see `docs/log.md`."""
    reward_statistics: Literal["collected", "batches"] = "collected"
    """Off-policy: over what mean and deviation run: every collected step once; or every sampled batch, so that steps
    count as often as they are drawn, and padding counts as reward 0, as other code bases do."""
    rewards: Literal["team", "individual", "shares", "potentials"] = "team"
    """Whose reward teaches an agent: the team's; its own, times the number of agents, as the environment gives it; its
    share of the team's, by an artifact of the kind `shares`; or how much its step raised its potential, by one of the
    kind `potentials`."""
    team_share: float = 0.0
    """With rewards other than the team's: how much of the team's is mixed in, from 0 (none) to 1 (nothing else)."""
    potential_gamma: float = 1.0
    """Potentials: discount of the next state's; 1 as in LCA, `gamma` for the form of Ng et al. 1999."""
    potential_units: float = 1.0
    """Potentials as a bias: its standard deviation over the ranked states, in units of return."""
    still: Literal["noop", "unchanged", "never"] = "noop"
    """Potentials: who earns nothing because it stays still: who chooses the action that does nothing; whose own part of
    the state stays as it is; nobody."""
    bias: Literal["function", "learned", "potentials", "none"] = "function"
    """Credit functions: their own bias `f_b(s)`, if they have one; in its place a small network of the state, or the
    mean of the agents' potentials, by an artifact of the kind `potentials`; or none."""
    credit_strength: float = 1.0
    """Credit functions: lambda in `w = 1 + lambda (w_LLM - 1)`; 0 is VDN with the function's bias."""
    credit_strength_end: float | None = None
    """Credit functions: lambda after annealing; without it lambda stays as it is."""
    credit_anneal_steps: int = 50_000
    """Credit functions: environment steps over which lambda moves linearly."""
    placebo: Literal["none", "uniform", "agents-permuted", "time-shuffled", "random"] = "none"
    """Credit functions: weights that know nothing, or have forgotten what they knew, in place of the function's: ones;
    given to the next agent; from another step of the episode; random, as concentrated as the function's."""
    mask_actions: bool = True
    """Whether agents choose among available actions only. Other code bases let them choose all, where the environment
    takes an unavailable one for doing nothing."""
    time_limit_is_terminal: bool = False
    """Whether no value follows the time limit, as if the world had ended. Other code bases do so; it costs return."""
    evaluation_interval: int = 25_000
    """Environment steps between two greedy evaluations."""
    evaluation_episodes: int = 100
    """Greedy episodes per evaluation, on seeds that all algorithms share."""
    evaluation_epsilon: float = 0.0
    """Exploration rate during greedy evaluation. A team without memory may block itself for ever, which a little of it
    unties; what is called greedy is then epsilon-greedy, and comparable with its like only."""
    checkpoint_interval: int = 25_000
    """Environment steps between two checkpoints."""
    device: str = "cpu"
    """Where the networks are: cpu, cuda or cuda:N."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """Options of the algorithm's own that differ from their defaults, by name."""

    def __post_init__(self) -> None:
        positive = (
            "total_steps",
            "n_environments",
            "batch_episodes",
            "updates_per_collection",
            "hidden_size",
            "mixing_size",
            "hypernet_size",
            "epsilon_anneal_steps",
            "credit_anneal_steps",
            "potential_units",
            "target_update_interval",
            "gradient_clip",
            "evaluation_interval",
            "evaluation_episodes",
            "checkpoint_interval",
        )
        problems = [f"`{n}` is {getattr(self, n)}, it must be above 0" for n in positive if not getattr(self, n) > 0]
        if self.learning_rate is not None and not self.learning_rate > 0:
            problems.append(f"`learning_rate` is {self.learning_rate}, it must be above 0")
        shares = ["gamma", "epsilon_start", "epsilon_end", "evaluation_epsilon", "target_update_tau"]
        shares += ["team_share", "potential_gamma", "credit_strength"]
        shares += ["credit_strength_end"] if self.credit_strength_end is not None else []
        problems += [f"`{n}` is {getattr(self, n)}, not in [0, 1]" for n in shares if not 0 <= getattr(self, n) <= 1]
        if self.seed < 0:
            problems.append(f"`seed` is {self.seed}, it must not be negative")
        if self.buffer_episodes < max(self.batch_episodes, self.n_environments):
            problems.append(f"`buffer_episodes` is {self.buffer_episodes}, less than one batch or one collection")
        if problems:
            raise ConfigurationError("training settings", cause="; ".join(problems), remedy="Correct these settings.")

    def step_size(self, *, on_policy: bool = False) -> float:
        """Step size of Adam, for what learns on-policy or from replay."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 5e-4 if on_policy else 1e-3

    def epsilon(self, environment_steps: int) -> float:
        """Exploration rate after so many environment steps."""
        return _linear(self.epsilon_start, self.epsilon_end, environment_steps / self.epsilon_anneal_steps)

    def strength(self, environment_steps: int) -> float:
        """Credit strength lambda after so many environment steps."""
        end = self.credit_strength if self.credit_strength_end is None else self.credit_strength_end
        return _linear(self.credit_strength, end, environment_steps / self.credit_anneal_steps)


def _linear(start: float, end: float, done: float) -> float:
    return start + min(1.0, done) * (end - start)
