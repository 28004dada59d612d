"""Every exception of ours, in three families: who has to act?

    QreditError
    ├── UserError                  the user's input; exit code 2
    │   ├── UnknownNameError       a name that does not exist, with the nearest ones
    │   ├── TaskFileError          a task file that cannot be used
    │   ├── ArtifactError          an artifact that is damaged, forged or of another version
    │   ├── RunFolderError         a run folder that cannot be used or is in use
    │   ├── RecordingError         no recorded reply for what is asked
    │   └── ConfigurationError     settings that do not fit together, no model configured
    ├── ModelError                 the language model's misbehaviour; exit code 1
    │   ├── NoUsableReplyError     no reply that can be used within the retry budget
    │   ├── UnreliableRankerError  a ranker's answers to probes contradict each other
    │   ├── BudgetSpentError       the next call could cost more than the user allows
    │   └── NothingAcceptedError   every candidate failed
    └── InfrastructureError        ours or the machine's; exit code 2
        ├── JailUnavailableError   no jail works on this machine
        ├── JailError              the jail broke, not the program in it
        ├── EndpointError          the model endpoint is down or refuses
        └── StorageError           disk full, no permission

A program under test that fails is no exception: it is the value `qredit.sandbox.Rejected`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar, Literal

Family = Literal["user", "model", "infrastructure"]


class QreditError(Exception):
    """Base of all exceptions that qredit raises on purpose.

    Args:
        what: what could not be done, with the offending value.
        cause: why.
        remedy: what to do about it, as an instruction.
    """

    family: ClassVar[Family] = "infrastructure"
    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, *, cause: str, remedy: str) -> None:
        super().__init__(what, cause, remedy)
        self.what = what
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}: {self.cause.rstrip('.')}. {self.remedy}"


class UserError(QreditError):
    """The input cannot be used as it is."""

    family = "user"


class UnknownNameError(UserError):
    """A name that does not exist.

    Args:
        kind: what was looked for, such as `task`.
        name: the name as given.
        known: the names that exist; the nearest are suggested.
        forms: forms of further names, such as `lbf-inert-K`.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], forms: Iterable[str] = ()) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or names[:8]
        listed = ", ".join(f"`{n}`" for n in near)
        remedy = f"Did you mean {listed}?" if near else f"There is no {kind} yet."
        if spelled := ", ".join(f"`{form}`" for form in forms):
            remedy += f" Names of this form exist too: {spelled}."
        super().__init__(f"unknown {kind} `{name}`", cause=f"no {kind} has this name", remedy=remedy)
        self.suggestions = tuple(near)


class TaskFileError(UserError):
    """A task file that cannot be used."""


class ArtifactError(UserError):
    """An artifact that is damaged, forged or of another version."""


class RunFolderError(UserError):
    """A run folder that cannot be used, or that another process uses."""


class RecordingError(UserError):
    """The recording holds no reply for what is asked."""


class ConfigurationError(UserError):
    """Settings that do not fit together, or a setting that is missing."""


class ModelError(QreditError):
    """The language model misbehaved: it ran, and the answer is no."""

    family = "model"
    exit_code = 1


class NoUsableReplyError(ModelError):
    """No usable reply within the retry budget."""


class UnreliableRankerError(ModelError):
    """The ranker's answers to probes show that the full set would be wasted on it."""


class BudgetSpentError(ModelError):
    """The next call could cost more than what is left of the user's budget."""


class NothingAcceptedError(ModelError):
    """Every candidate of a round failed."""


class InfrastructureError(QreditError):
    """The machine, the network or qredit itself failed; never shown to a model as its candidate's fault."""

    family = "infrastructure"


class JailUnavailableError(InfrastructureError):
    """No jail works on this machine."""


class JailError(InfrastructureError):
    """The jail broke, not the program in it."""


class EndpointError(InfrastructureError):
    """The model endpoint is down or refuses."""


class StorageError(InfrastructureError):
    """A file could not be written or read: disk full, no permission."""
