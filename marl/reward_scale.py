"""The units of the rewards that networks are trained with."""

from __future__ import annotations

from torch import Tensor


class RewardScale:
    """Running mean and deviation of the reward over the steps that were collected, each counted once."""

    def __init__(self) -> None:
        self.count, self.total, self.total_square = 0, 0.0, 0.0

    def see(self, rewards: Tensor, filled: Tensor) -> None:
        """Count new rewards `[E, T]` or `[E, T, N]` where `filled [E, T]`."""
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
