"""Potentials learn from rankings: Adam, early stopping, and what held-out pairs say."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from qredit.errors import ConfigurationError
from qredit.layout import StateLayout
from qredit.marl.potentials.encoding import whole_fields
from qredit.marl.potentials.losses import preference_loss, probability_better
from qredit.marl.potentials.model import Potentials
from qredit.marl.potentials.rankings import Rankings

SMALLEST_STEP = 0.01
"""Change of what an agent sees in one step, below which smaller ones are treated alike."""
_BINS = 10


@dataclass(frozen=True)
class FitSettings:
    """How potentials learn. The paper gives none of these."""

    seed: int = 0
    """Seed of the split and of the order of the batches; that of the weights is whoever's makes the potentials."""
    validation_share: float = 0.2
    """Share of the pairs that is held out."""
    batch_pairs: int = 256
    """Pairs per update, at most."""
    least_updates: int = 12
    """Updates per pass, at least: few pairs go in smaller batches, or it would end before it has begun."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    weight_decay: float = 1e-4
    """Decoupled weight decay: scores of pairs on which all answers agree would grow for ever."""
    most_epochs: int = 300
    """Passes over the pairs, at most."""
    patience: int = 20
    """Passes without a lower loss on held-out pairs after which it ends."""

    def __post_init__(self) -> None:
        wrong = [
            f"`{n}` is {getattr(self, n)}, it must be above 0"
            for n in ("batch_pairs", "least_updates", "learning_rate", "most_epochs", "patience")
            if not getattr(self, n) > 0
        ]
        if not 0 < self.validation_share < 1:
            wrong.append(f"`validation_share` is {self.validation_share}, not in (0, 1)")
        if not self.weight_decay >= 0:
            wrong.append(f"`weight_decay` is {self.weight_decay}, it must not be negative")
        if wrong:
            raise ConfigurationError("fit settings", cause="; ".join(wrong), remedy="Correct these settings.")


@dataclass(frozen=True)
class Fit:
    """What held-out pairs say about potentials."""

    pairs: int
    """Pairs that were learnt from."""
    validation_pairs: int
    """Pairs that were held out."""
    epochs: int
    """Passes until the lowest loss on held-out pairs."""
    loss: float
    """On pairs that were learnt from (LCA, equation 3), in nats."""
    validation_loss: float
    """On held-out pairs."""
    validation_accuracy: float | None
    """Share of held-out pairs with a majority whose majority the potentials follow; `None` if there is no such pair."""
    calibration_error: float
    """Expected calibration error on held-out pairs: mean distance between predicted and answered share, in ten bins of
    the prediction, weighted by their pairs."""


def fit_potentials(potentials: Potentials, rankings: Rankings, settings: FitSettings) -> Fit:
    """Teach potentials, in place; they end with the weights that had the lowest loss on held-out pairs.

    Args:
        potentials: the models; agents of one group learn from one another's pairs.
        rankings: the pairs.
        settings: how.

    Raises:
        ConfigurationError: fewer than two pairs, or an ego that the potentials do not know.
    """
    _check(potentials, rankings)
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(rankings), generator=generator)
    held_out = min(len(rankings) - 1, max(1, round(settings.validation_share * len(rankings))))
    pairs = _seen(potentials, rankings)
    validation, training = pairs.at(order[:held_out]), pairs.at(order[held_out:])
    optimiser = torch.optim.AdamW(
        potentials.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    batch = max(1, min(settings.batch_pairs, len(training) // settings.least_updates))
    best, lowest, best_epoch = deepcopy(potentials.state_dict()), _loss(potentials, validation), 0
    for epoch in range(1, settings.most_epochs + 1):
        order = torch.randperm(len(training), generator=generator)
        for rows in torch.split(order, batch):
            optimiser.zero_grad()
            drawn = training.at(rows)
            before, after = drawn.scores(potentials)
            preference_loss(after, before, drawn.confidence).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        loss = _loss(potentials, validation)
        if loss < lowest:
            best, lowest, best_epoch = deepcopy(potentials.state_dict()), loss, epoch
        elif epoch - best_epoch >= settings.patience:
            break
    potentials.load_state_dict(best)
    fit = _fit(potentials, training, validation, best_epoch)
    with torch.no_grad():
        potentials.multiply(pairs.sharpness)
        potentials.measure(torch.cat([rankings.states, rankings.next_states]))
    return fit


def best_potentials(
    layout: StateLayout, groups: Sequence[Sequence[int]], rankings: Rankings, settings: FitSettings
) -> tuple[Potentials, Fit]:
    """Potentials of the form that held-out pairs prefer: whole numbers as they are, or one-hot in a wider network.

    Boards with walls want the second, what moves freely or is seen in few pairs the first.

    Args:
        layout: layout of the state.
        groups: agents that share a model.
        rankings: the pairs.
        settings: how each learns; its seed is that of the weights, too.

    Raises:
        ConfigurationError: see `fit_potentials` and `Potentials`.
    """
    found: list[tuple[Potentials, Fit]] = []
    whole = whole_fields(layout, torch.cat([rankings.states, rankings.next_states]))
    for names, hidden_size in (((), 128), (whole, 256)) if whole else (((), 128),):
        torch.manual_seed(settings.seed)
        potentials = Potentials(layout, groups, hidden_size=hidden_size, whole=names)
        found.append((potentials, fit_potentials(potentials, rankings, settings)))
    return min(found, key=lambda one: one[1].validation_loss)


def _check(potentials: Potentials, rankings: Rankings) -> None:
    if len(rankings) < 2:
        raise ConfigurationError(
            f"{len(rankings)} ranked pairs", cause="one part is held out", remedy="Rank more transitions."
        )
    lowest, highest = int(rankings.egos.min()), int(rankings.egos.max())
    if lowest < 0 or highest >= potentials.n_agents:
        raise ConfigurationError(
            f"rankings for agents {lowest} to {highest}",
            cause=f"the potentials are for {potentials.n_agents} agents, from 0 on",
            remedy="Use the rankings of the same task.",
        )


@dataclass(frozen=True)
class _Pairs:
    """Pairs as the egos see them."""

    before: Tensor
    """`[M, E]`"""
    after: Tensor
    """`[M, E]`"""
    egos: Tensor
    """`[M]`"""
    confidence: Tensor
    """`[M]`"""
    sharpness: float
    """What potentials are multiplied by while they learn. Where a step changes little of what is seen, they would have
    to be steep to tell before from after, and early stopping would find them flat (`docs/log.md`)."""

    def __len__(self) -> int:
        return len(self.egos)

    def at(self, rows: Tensor) -> _Pairs:
        return _Pairs(self.before[rows], self.after[rows], self.egos[rows], self.confidence[rows], self.sharpness)

    def scores(self, potentials: Potentials) -> tuple[Tensor, Tensor]:
        """Sharpened potentials before and after, `[M]` each."""
        both = self.sharpness * potentials.score(torch.cat([self.before, self.after]), self.egos.repeat(2))
        before, after = both.chunk(2)
        return before, after


def _seen(potentials: Potentials, rankings: Rankings) -> _Pairs:
    before, after = (potentials.encoding.of(s, rankings.egos) for s in (rankings.states, rankings.next_states))
    change = float((after - before).norm(dim=1).median())
    return _Pairs(before, after, rankings.egos, rankings.confidence, sharpness=max(1.0, 1 / max(change, SMALLEST_STEP)))


@torch.no_grad()
def _loss(potentials: Potentials, pairs: _Pairs) -> float:
    before, after = pairs.scores(potentials)
    return float(preference_loss(after, before, pairs.confidence))


@torch.no_grad()
def _fit(potentials: Potentials, training: _Pairs, validation: _Pairs, epochs: int) -> Fit:
    before, after = validation.scores(potentials)
    confidence = validation.confidence
    predicted = probability_better(after, before)
    decided = confidence != 0.5
    right = (predicted > 0.5) == (confidence > 0.5)
    return Fit(
        pairs=len(training),
        validation_pairs=len(validation),
        epochs=epochs,
        loss=_loss(potentials, training),
        validation_loss=_loss(potentials, validation),
        validation_accuracy=float(right[decided].double().mean()) if decided.any() else None,
        calibration_error=calibration_error(predicted, confidence),
    )


def calibration_error(predicted: Tensor, answered: Tensor) -> float:
    """Expected calibration error (Naeini et al. 2015) of predicted shares `[M]` against answered ones `[M]`."""
    bins = (predicted * _BINS).long().clamp(max=_BINS - 1)
    distance = torch.zeros(_BINS, dtype=torch.float64).index_add_(0, bins, (predicted - answered).double())
    return float(distance.abs().sum() / len(predicted))
