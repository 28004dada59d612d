"""The part of the contract about raw outputs: shape, dtype, finite, pure, one row per state."""

from __future__ import annotations

import torch
from torch import Tensor

from qredit.sandbox.contract.subject import SEED, ContractError, Subject, first

GUARD = "Guard divisions (`x / y.clamp(min=1e-6)`), logarithms, square roots and exponentials."
_REDUCE = {
    "weights": "Return one weight per agent: reduce entities and coordinates with `.sum(dim=-1)`, keep the agents.",
    "shares": "Return one share per agent: reduce entities and coordinates with `.sum(dim=-1)`, keep the agents.",
    "bias": "Reduce to one number per state with `.sum(dim=1, keepdim=True)`.",
    "value": "Reduce to one number per state or transition with `.sum(dim=1, keepdim=True)`.",
    "Q_tot": "Reduce over the agents with `.sum(dim=1, keepdim=True)`.",
}


def check_shapes(subject: Subject) -> None:
    """Number, shape and dtype of the outputs, for a large batch, for two states and for one."""
    expected = subject.outputs
    for size in (subject.probe.states.shape[0], 2, 1):
        whole = size == subject.probe.states.shape[0]
        states, agents_q = subject.probe.states[:size], subject.normal_q[:size]
        raw = subject.first_run.outputs if whole else subject.raw(states, agents_q)
        if len(raw) != len(expected):
            names = ", ".join(name for name, _ in expected)
            raise ContractError(f"The function returns {len(raw)} tensors instead of {len(expected)} ({names}).")
        for (name, width), value in zip(expected, raw, strict=True):
            if tuple(value.shape) != (size, width):
                letters = "[B, N]" if width == subject.header.n_agents > 1 else "[B, 1]"
                raise ContractError(
                    f"`{name}` has shape {list(value.shape)} for a batch of {size} states instead of {letters} = "
                    f"[{size}, {width}]. {_REDUCE[name]}"
                )
            if value.dtype != torch.float32:
                dtype = str(value.dtype).removeprefix("torch.")
                raise ContractError(f"`{name}` has dtype {dtype} instead of float32. Convert it with `.float()`.")


def check_finite(subject: Subject) -> None:
    """No NaN and no infinity in any probe state."""
    for (name, _), value in zip(subject.outputs, subject.first_run.outputs, strict=True):
        bad = ~torch.isfinite(value)
        if bad.any():
            row, column = first(bad)
            whose = f" of agent {column}" if name in ("weights", "shares") else ""
            where = subject.probe.describe(row)
            raise ContractError(f"`{name}`{whose} is {value[row, column].item()} in {where}. {GUARD}")


def check_inputs_unchanged(subject: Subject) -> None:
    """No in-place change of the inputs."""
    run = subject.first_run
    given = (("state", subject.probe.states, run.state), ("agents_q", subject.normal_q, run.agents_q))
    for name, before, after in given:
        if not torch.equal(before, after):
            raise ContractError(
                f"The function changes its input `{name}` in place. Work on a copy (`x = x.clone()`): no "
                "`x[...] = ...` and no method that ends in `_` on an input."
            )


def check_repeatable(subject: Subject) -> None:
    """Same input, same output, bit by bit."""
    once_more = subject.raw(subject.probe.states, subject.normal_q)
    for (name, _), once, again in zip(subject.outputs, subject.first_run.outputs, once_more, strict=True):
        if not torch.equal(once, again):
            row, _ = first(once != again)
            raise ContractError(
                f"Two calls with the same input give a different `{name}` in {subject.probe.describe(row)}. Remove "
                "randomness, and values that are kept between calls."
            )


def check_rows(subject: Subject) -> None:
    """The output for a state depends on that state alone: other rows reordered, dropped, or none at all."""
    whole, count = subject.first_run.outputs, subject.probe.states.shape[0]
    generator = torch.Generator().manual_seed(SEED)
    changes = [
        ("when the batch is reordered", torch.randperm(count, generator=generator)),
        ("when every second state is dropped", torch.arange(0, count, 2)),
    ]
    changes += [("when it is alone in the batch", torch.tensor([row])) for row in (0, count // 2, count - 1)]
    for words, index in changes:
        part = subject.raw(subject.probe.states[index], subject.normal_q[index])
        for (name, _), before, after in zip(subject.outputs, whole, part, strict=True):
            _compare_rows(subject, name, words, index, before[index], after)


def _compare_rows(subject: Subject, name: str, words: str, index: Tensor, before: Tensor, after: Tensor) -> None:
    # A sum may be taken in another order in another batch, hence a tolerance.
    differs = ~torch.isclose(before, after, rtol=1e-3, atol=1e-5)
    if not differs.any():
        return
    row, column = first(differs)
    raise ContractError(
        f"`{name}` of a state depends on the other states of the batch: {before[row, column].item():.4g} becomes "
        f"{after[row, column].item():.4g} {words}, in {subject.probe.describe(int(index[row]))}. Reduce over agents or "
        "entities (`dim=1` or later), never over the batch (`dim=0`, or no `dim`)."
    )
