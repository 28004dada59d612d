"""What the contract checks work on: one function, its probe states, and the ways in which it can break."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from qredit.credit.form import apply_form
from qredit.credit.schema import Header
from qredit.sandbox.contract.probe_states import SEED as SEED
from qredit.sandbox.contract.probe_states import ProbeStates
from qredit.sandbox.verdict import quoted

RawFunction = Callable[[Tensor, Tensor | None], tuple[Tensor, ...]]
"""`(state [B, S], agents_q [B, N] | None) -> raw outputs`, as `qredit.credit.interpret` computes them."""

_FAILURES = (RuntimeError, IndexError, TypeError, ValueError, ArithmeticError)
"""What running a graph can raise: torch's errors, and integer arithmetic on sizes."""


class ContractError(Exception):
    """The function breaks the contract; the text is for the coder, and becomes a `Rejected`."""


class ContractResourceError(ContractError):
    """The function takes more memory than the jail gives."""


@dataclass(frozen=True)
class FirstRun:
    """What a function gave for all probe states, and what became of its inputs."""

    outputs: tuple[Tensor, ...]
    """Raw outputs."""
    state: Tensor
    """The states that it was given, afterwards, `[K, S]`."""
    agents_q: Tensor
    """The values that it was given, afterwards, `[K, N]`."""


@dataclass(frozen=True)
class Subject:
    """One function under check."""

    header: Header
    """Form, scale, igm and sizes, as the graph declares them."""
    run: RawFunction
    """The graph's raw outputs."""
    probe: ProbeStates
    """Rollout states and edge states, `K` in all."""
    normal_q: Tensor
    """Values of the agents' actions for the checks that need any, N(0, 1), `[K, N]`."""

    @property
    def outputs(self) -> list[tuple[str, int]]:
        """Name and width of each raw output."""
        if self.header.form == "general":
            return [("Q_tot", 1)]
        if self.header.form == "shares":
            return [("shares", self.header.n_agents)]
        if self.header.form == "value":
            return [("value", 1)]
        return [("weights", self.header.n_agents), *([("bias", 1)] if self.header.has_bias else [])]

    def raw(self, state: Tensor, agents_q: Tensor) -> tuple[Tensor, ...]:
        """Raw outputs for `[B, S]` and `[B, N]`; whatever running the graph raises becomes a `ContractError`."""
        try:
            return self.run(state, agents_q if self.header.form == "general" else None)
        except _FAILURES as error:
            if "allocate memory" in str(error):
                raise ContractResourceError(
                    f"The function runs out of memory on {state.shape[0]} states. Use smaller intermediate tensors."
                ) from error
            raise ContractError(
                f"The function fails on a batch of {state.shape[0]} states: {quoted(str(error), 300)}. It must accept "
                "every batch size, also 1: take sizes from `x.shape[0]`, give `squeeze` a `dim`, clamp indices."
            ) from error

    @cached_property
    def first_run(self) -> FirstRun:
        """The outputs for all probe states, which most checks look at: found once, since a run can take 0.1 s."""
        state, agents_q = self.probe.states.clone(), self.normal_q.clone()
        return FirstRun(self.raw(state, agents_q), state, agents_q)

    def rollout(self) -> tuple[Tensor, ...]:
        """Raw outputs for the rollout states, the first of the probe states."""
        return tuple(value[: self.probe.n_rollout] for value in self.first_run.outputs)

    def gradient(self, states: Tensor, agents_q: Tensor, raw: tuple[Tensor, ...] | None = None) -> Tensor:
        """`dQ_tot/dQ_i` at `[B, S]` and `[B, N]`, `[B, N]`; zeros where `Q_tot` does not depend on `Q_i`.

        Args:
            states: where.
            agents_q: at which values.
            raw: the raw outputs there, if they do not depend on these values and are known.
        """
        values = agents_q.clone().requires_grad_(True)
        outputs = self.raw(states, values) if raw is None else raw
        q_tot = apply_form(self.header, outputs, values).q_tot
        if not q_tot.requires_grad:
            return torch.zeros_like(agents_q)
        (gradient,) = torch.autograd.grad(q_tot.sum(), values, allow_unused=True)
        return torch.zeros_like(agents_q) if gradient is None else gradient


def first(mask: Tensor) -> tuple[int, int]:
    """Row and column of the first true entry of a mask `[B, C]`."""
    row, column = torch.nonzero(mask)[0].tolist()
    return row, column
