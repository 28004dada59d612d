"""What every algorithm is to the training loop: a network that acts, and something that learns from episodes.

Shapes: `B` environments or episodes, `T` steps, `N` agents, `O` observation, `S` state, `A` actions.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.networks import AgentNetwork

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from qredit.credit import CreditGraph
    from qredit.marl.checkpoint import Counters
    from qredit.marl.choosing import Choose
    from qredit.marl.environment import Sized
    from qredit.marl.potentials import Potentials
    from qredit.marl.replay import Episodes
    from qredit.marl.reward_scale import RewardScale
    from qredit.marl.settings import TrainSettings


@dataclass(frozen=True)
class Problem:
    """What an algorithm is made for."""

    sizes: Sized
    """The environment's sizes and the layout of its state."""
    settings: TrainSettings
    """How it trains."""
    device: torch.device
    """Where its networks are."""
    credit: CreditGraph | None
    """The credit function, for algorithms that take one."""
    potentials: Potentials | None = None
    """The agents' potentials, where rewards or a bias come from them."""
    noop: int | None = None
    """Number of the action that does nothing, if there is one."""

    def agent_network(self, *, inputs: int | None = None, outputs: int | None = None) -> AgentNetwork:
        """A network with shared parameters, `[T, B, N, inputs] -> [T, B, N, outputs]`.

        Args:
            inputs: numbers that each agent's copy reads; by default its observation, `O`.
            outputs: numbers that it gives; by default one per action, `A`.
        """
        return AgentNetwork(
            observation_size=self.sizes.observation_size if inputs is None else inputs,
            n_agents=self.sizes.n_agents,
            n_actions=self.sizes.n_actions if outputs is None else outputs,
            hidden_size=self.settings.hidden_size,
            recurrent=self.settings.recurrent,
        ).to(self.device)


@dataclass(frozen=True)
class Learned:
    """What learning from a collection of episodes brought."""

    loss: Tensor
    """Loss of the latest update, a scalar that nobody has waited for; not a number where there was no update."""
    updates: int
    """Optimiser steps so far, over the whole training."""


@dataclass(frozen=True)
class NoOptions:
    """An algorithm without options of its own."""


class Algorithm(ABC):
    """One algorithm with its networks.

    A subclass declares what it can do in its class attributes, makes its networks in `__init__`, and learns in `learn`.
    All that a checkpoint needs is found through `networks`, `optimisers`, `reward_scale` and `more_tensors`.
    """

    title: ClassVar[str]
    """What people call it."""
    source: ClassVar[str]
    """The paper that it comes from."""
    family: ClassVar[str]
    """Algorithms of one family learn in the same way, so comparisons insist on equal settings; by default the title."""
    on_policy: ClassVar[bool] = False
    """Whether it learns from what its present policy has just played, and from nothing else."""
    stochastic: ClassVar[bool] = False
    """Whether its policy is a distribution over actions: its sampled return is measured beside the greedy one."""
    rewards: ClassVar[tuple[str, ...]] = ("team",)
    """What `TrainSettings.rewards` may be."""
    Options: ClassVar[type] = NoOptions
    """Frozen dataclass of the options that this algorithm alone has, with a docstring under each field."""

    actor: AgentNetwork
    """The network whose scores choose the actions."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "family") and hasattr(cls, "title"):
            cls.family = cls.title

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.settings = problem.settings

    @classmethod
    def credit_forms(cls, settings: TrainSettings) -> tuple[str, ...]:
        """Forms of credit functions of which it needs one; none for an algorithm without."""
        return ("shares",) if settings.rewards == "shares" else ()

    @classmethod
    def takes_potentials(cls, settings: TrainSettings) -> bool:
        """Whether it needs the agents' potentials."""
        return settings.rewards == "potentials"

    @classmethod
    def options(cls, settings: TrainSettings) -> Any:
        """Its own options, as the settings have them.

        Raises:
            UnknownNameError: there is no option of this name.
            ConfigurationError: a value of the wrong type, or that the options refuse.
        """
        defaults = {field.name: getattr(cls.Options(), field.name) for field in dataclasses.fields(cls.Options)}
        for name, value in settings.own.items():
            if name not in defaults:
                raise UnknownNameError(f"option of `{settings.algorithm}`", name, list(defaults))
            kind = type(defaults[name])
            if not isinstance(value, (int, float) if kind is float else kind) or (kind is int and value is True):
                raise ConfigurationError(
                    f"option `{name}` of `{settings.algorithm}`",
                    cause=f"{value!r} is no `{kind.__name__}`",
                    remedy=f"Its default is {defaults[name]!r}.",
                )
        return cls.Options(**settings.own)

    @classmethod
    def complete(cls, settings: TrainSettings) -> TrainSettings:
        """The settings with all that they leave to the algorithm, as a record needs them.

        Raises:
            UnknownNameError, ConfigurationError: as of `options`.
        """
        own = dataclasses.asdict(cls.options(settings))
        return dataclasses.replace(settings, learning_rate=settings.step_size(on_policy=cls.on_policy), own=own)

    @property
    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module]:
        """All networks, target networks included, by name."""

    @property
    @abstractmethod
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """All optimisers by name."""

    @property
    @abstractmethod
    def reward_scale(self) -> RewardScale:
        """Running mean and deviation of the rewards."""

    @abstractmethod
    def explore(self, environment_steps: int) -> Choose:
        """How its scores become actions while it collects, after so many environment steps."""

    @abstractmethod
    def learn(self, episodes: Episodes, done: Counters) -> Learned:
        """Learn from newly collected episodes; they are valid during the call only.

        Args:
            episodes: one per environment.
            done: how far the training was before these episodes.
        """

    def more_tensors(self) -> dict[str, Tensor]:
        """What a checkpoint must hold besides networks and optimisers, such as replay."""
        return {}

    def restore_more(self, tensors: Mapping[str, Tensor], counters: Counters) -> None:
        """Take back what `more_tensors` gave."""
        return

    def vdn_difference(self) -> float | None:
        """Share of lately visited states in which the credit differs from VDN's; `None` without a credit function."""
        return None
