"""Settings of a measurement of true credit. Defaults stand here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qredit.errors import ConfigurationError


@dataclass(frozen=True)
class TruthSettings:
    """How the credit that each agent truly has is measured in a simulator."""

    states: int = 64
    """Decisive states to find: those in which some agent's action matters."""
    visited: int = 256
    """States of rollouts among which decisive ones are looked for."""
    most_steps: int = 0
    """Simulator steps after which no further state is measured; 0 is no limit."""
    continuations: int = 8
    """Continuations of each alternative, and four times as many where these leave open whether any action matters; all
    alternatives of a state share their random numbers."""
    horizon: int = 50
    """Steps of a continuation after the step that is varied."""
    discount: float = 0.99
    """Discount of the return per step."""
    continuation: Literal["scripted", "random"] = "scripted"
    """Who goes on: the scripted team with 30 % random actions, so that what an action leads to shows; or chance."""
    seed: int = 0
    """Seed of the rollouts and of the continuations."""

    def __post_init__(self) -> None:
        least = {"states": 1, "visited": 1, "most_steps": 0, "continuations": 3, "horizon": 0, "seed": 0}
        problems = [
            f"`{n}` is {getattr(self, n)}, at least {m} is needed" for n, m in least.items() if getattr(self, n) < m
        ]
        if not 0 <= self.discount <= 1:
            problems.append(f"`discount` is {self.discount}, not in [0, 1]")
        if problems:
            raise ConfigurationError(
                "measurement of credit", cause="; ".join(problems), remedy="Correct these settings."
            )
