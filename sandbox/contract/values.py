"""The part of the contract about values of states or transitions: they are added to rewards, so they are bounded."""

from __future__ import annotations

from collections.abc import Iterator

from qredit.sandbox.contract.credit import CONSTANT
from qredit.sandbox.contract.subject import ContractError, Subject, first

MAGNITUDE = 1e4
"""Largest value: `|value| <= MAGNITUDE`."""


def check_values(subject: Subject) -> None:
    """`|value| <= 1e4` on every probe."""
    (value,) = subject.first_run.outputs
    large = value.abs() > MAGNITUDE
    if large.any():
        row, column = first(large)
        raise ContractError(
            f"The value is {value[row, column].item():.6g}, beyond the bound |value| <= {MAGNITUDE:g}, in "
            f"{subject.probe.describe(row)}. Scale it down, or bound it with `clamp` or `tanh`."
        )


def warnings_of(subject: Subject) -> Iterator[str]:
    """What is no reason to reject but the evaluator should know."""
    (value,) = subject.first_run.outputs
    if float(value.max() - value.min()) <= CONSTANT:
        yield f"The function gives the same value in all probed {subject.probe.noun}s.{subject.probe.caveat}"
