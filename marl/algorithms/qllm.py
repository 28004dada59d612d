"""QLLM: a credit function that a language model wrote stands in place of the mixing network (QLLM, algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.value_decomposition import ValueDecomposition
from qredit.marl.mixers import Mixer, QLLMMixer

if TYPE_CHECKING:
    from torch import Tensor

    from qredit.marl.checkpoint import Counters
    from qredit.marl.settings import TrainSettings

VISITED_STATES = 10_000
_KNOWN = "credit."


class QLLM(ValueDecomposition):
    """Value decomposition by a fixed, verified credit function."""

    title = "QLLM"
    source = "QLLM: Do We Really Need a Mixing Network for Credit Assignment in MARL?, arXiv 2504.12961"
    mixer: QLLMMixer

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

    def more_tensors(self) -> dict[str, Tensor]:
        """Also the credit of the states so far."""
        known = self.mixer.known.contents() if self.mixer.known else {}
        return {**super().more_tensors(), **{f"{_KNOWN}{name}": tensor for name, tensor in known.items()}}

    def restore_more(self, tensors: Mapping[str, Tensor], counters: Counters) -> None:
        """Take that back as well."""
        super().restore_more(tensors, counters)
        known = {name.removeprefix(_KNOWN): t for name, t in tensors.items() if name.startswith(_KNOWN)}
        if self.mixer.known and known:  # checkpoints from before 2026-11-22 have none
            self.mixer.known.restore(known)

    def vdn_difference(self) -> float | None:
        """In the weights form, of the states in the replay buffer."""
        return self.mixer.vdn_difference(self.replay.visited_states(VISITED_STATES))


def qllm_mixer(problem: Problem) -> QLLMMixer:
    """The problem's credit function as a mixer, which actor-critic methods use too."""
    assert problem.credit is not None  # `credit_forms` asks for it
    return QLLMMixer(problem.credit, problem.sizes.layout, problem.settings, potentials=problem.potentials)
