"""A credit function in a training: its weights or placebos in their place, their strength, and a bias.

The plain function is `qredit.marl.mixers.credit.CreditMixer`; this is what an experiment varies about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from qredit.credit.statistics import differs_from_vdn
from qredit.errors import ConfigurationError
from qredit.marl.mixers.credit import CreditMixer
from qredit.marl.mixers.known_credit import KnownCredit
from qredit.marl.mixers.mixer import Mixer, Steps
from qredit.marl.mixers.placebos import placebo_weights
from qredit.marl.mixers.state_scale import StateScale
from qredit.marl.streams import Stream, generator

if TYPE_CHECKING:
    from qredit.credit import CreditGraph
    from qredit.layout import StateLayout
    from qredit.marl.potentials import Potentials
    from qredit.marl.replay import Episodes
    from qredit.marl.settings import TrainSettings


class QLLMMixer(Mixer):
    """`Q_tot = sum_i w_i(s) Q_i + b(s)` with `w = 1 + lambda (f_w - 1)` (QLLM, equation 3; lambda = 1).

    The general form is brought towards VDN in the same way: `Q_tot = (1 - lambda) sum_i Q_i + lambda f(Q, s)`.

    Args:
        graph: the credit graph, of the form `weights` or `general`.
        layout: layout of the state.
        settings: strength, bias, placebo.
        potentials: the agents' potentials, for a bias out of them.

    Raises:
        ConfigurationError: a placebo for a function without weights.
    """

    def __init__(
        self,
        graph: CreditGraph,
        layout: StateLayout,
        settings: TrainSettings,
        *,
        potentials: Potentials | None = None,
    ) -> None:
        super().__init__()
        self.function = CreditMixer(graph, bias="function" if settings.bias == "function" else "none")
        self.credit_size = self.function.output_size
        self.known = KnownCredit(self.function) if self.credit_size else None
        self.strength = settings.credit_strength
        self._settings = settings
        check_placebo(settings.placebo, graph)
        self.bias: nn.Module | None = None
        if settings.bias == "learned":
            self.bias = _learned_bias(layout, settings.mixing_size)
        elif settings.bias == "potentials":
            assert potentials is not None  # `takes_potentials` asks for them
            self.bias = PotentialBias(potentials, self.function, units=settings.potential_units)

    def forward(self, agent_qs: Tensor, states: Tensor) -> Tensor:
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]`, placebos left aside."""
        credit = self.function.outputs(states) if self.credit_size else agent_qs[..., :0]
        return self.mix(agent_qs, states, credit)

    def of_steps(self, steps: Steps) -> Tensor:
        """`Q_tot [M, 1]`; kept credit and nothing else, where that is enough."""
        credit = steps.credit
        if credit.shape[-1] and self.bias is None:
            return self.function.mix(steps.values, self._weakened(credit))
        return self.mix(steps.values, steps.states, credit)

    def mix(self, values: Tensor, states: Tensor, credit: Tensor) -> Tensor:
        """`[..., 1]` of `values [..., N]`, `states [..., S]` and, in the weights form, `credit [..., C]`."""
        if self.credit_size:
            if not credit.shape[-1]:
                credit = self.function.outputs(states)
            q_tot = self.function.mix(values, self._weakened(credit))
        else:
            q_tot = self.function(values, states)
            if self.strength != 1:
                q_tot = torch.lerp(values.sum(dim=-1, keepdim=True), q_tot, self.strength)
        return q_tot if self.bias is None else q_tot + self.bias(states)

    def keep(self, episodes: Episodes, collection: int) -> Tensor:
        """Weights, or what stands in their place, and bias `[E, T + 1, C]`; the padding means nothing."""
        credit = episodes.rewards.new_zeros(*episodes.states.shape[:-1], self.credit_size)
        if self.known is None:
            return credit
        reached = episodes.reached
        credit[reached] = self.known.outputs(episodes.states[reached])
        n = self.function.n_agents
        rng = generator(Stream.PLACEBO, self._settings.seed, collection)
        credit[..., :n] = placebo_weights(self._settings.placebo, credit[..., :n], reached, rng)
        return credit

    def prepare(self, *, environment_steps: int, reward_deviation: float) -> None:
        """Bring the bias to the units of the rewards, and the strength to where it should be by now."""
        self.function.bias_unit = 1.0 / reward_deviation
        self.strength = self._settings.strength(environment_steps)

    def vdn_difference(self, states: Tensor) -> float | None:
        """Share of `states [M, S]` in which the function's weights differ from VDN's.

        `None` in the general form, with a placebo in the function's place, and without states.
        """
        header = self.function.graph.header
        if header.form != "weights" or self._settings.placebo != "none" or not len(states):
            return None
        return float(differs_from_vdn(self.function.credit(states), header.scale).double().mean())

    def _weakened(self, credit: Tensor) -> Tensor:
        """`1 + lambda (w - 1)` for the weights among `credit [..., C]`."""
        if self.strength == 1:  # and not a bit is changed
            return credit
        weights, bias = credit.tensor_split([self.function.n_agents], dim=-1)
        return torch.cat([1 + self.strength * (weights - 1), bias], dim=-1)


class PotentialBias(nn.Module):
    """`f_b(s) = c (p(s) - level) / deviation`, `p(s)` the mean of the agents' potentials (LCA in QLLM).

    A bias that never learns shapes the reward by `gamma f_b(s') - f_b(s)`. Potentials are logarithms of odds, tens
    of them from the worst state to the best: as they are, they drown the reward. Their zero means nothing either, yet
    it matters what the state after the last, worth 0, is compared with (`docs/results/lca.md`).

    Args:
        potentials: `sigma`.
        function: knows the unit of rewards, in which a function's own bias is, too.
        units: `c`, the bias's standard deviation over the ranked states, in units of return.
    """

    def __init__(self, potentials: Potentials, function: CreditMixer, *, units: float) -> None:
        super().__init__()
        self._units = units
        self._fixed = (potentials, function)  # a tuple, so that they are no modules of this one, whose weights learn

    @torch.no_grad()
    def forward(self, states: Tensor) -> Tensor:
        """`[..., 1]` of `states [..., S]`."""
        potentials, function = self._fixed
        above = potentials(states).mean(dim=-1, keepdim=True) - potentials.level
        bias: Tensor = function.bias_unit * self._units * above / potentials.deviation.clamp(min=1e-6)
        return bias


def _learned_bias(layout: StateLayout, size: int) -> nn.Module:
    scale = StateScale(layout, typical=True)
    return nn.Sequential(scale, nn.Linear(layout.size, size), nn.ReLU(), nn.Linear(size, 1))


def check_placebo(placebo: str, graph: CreditGraph) -> None:
    """Whether a placebo can stand in for a credit function.

    Raises:
        ConfigurationError: the function has no weights.
    """
    if placebo != "none" and graph.header.form == "general":
        raise ConfigurationError(
            f"placebo `{placebo}` for a function of the form `general`",
            cause="it has no weights that could be replaced",
            remedy="Give an artifact with a function `credit`, or compare with VDN and QMIX.",
        )
