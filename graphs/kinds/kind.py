"""What a kind of program is: its prompts, its checks, what is measured on it, and how it is scored.

A kind is one file with one `Kind` and one line in `qredit.graphs.kinds.registry`; a package of one's own registers it
under the entry point group `qredit.kinds`. The graph treats all kinds alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qredit.subject import Subject

if TYPE_CHECKING:
    from qredit.credit.schema import Igm, Scale
    from qredit.sandbox import Accepted, Jail, Verdict


@dataclass(frozen=True)
class Assignment:
    """What a program is written for."""

    subject: Subject
    """The task, the layout of its state, and its probes."""
    scale: Scale = "sum_to_n"
    """Whether weights are normalised to sum to N."""
    igm: Igm = "enforce"
    """Whether negative weights are clamped at 0 or kept."""
    key_steps: tuple[str, ...] = ()
    """What happened in the steps with which a random team earned something, in words, for kinds that rank."""


@dataclass(frozen=True)
class Score:
    """How good a program is, by measurement: the selection score of a run."""

    value: float
    """More is better; comparable between the candidates of one run."""
    text: str
    """One line for the evaluator: what was measured, and how sure it is."""


Scorer = Callable[["Accepted"], Score]


def no_scorer(assignment: Assignment) -> Scorer | None:
    """For kinds that have no score of their own."""
    return None


def no_scenes(assignment: Assignment) -> str:
    """For kinds whose measurements refer to no scenes."""
    return ""


def _normalised(source: str) -> str:
    from qredit.sandbox.gate.normalise import normalised_sha256

    return normalised_sha256(source)


@dataclass(frozen=True)
class Kind:
    """A kind of program that language models write."""

    name: str
    """Its name on the command line and in artifacts."""
    title: str
    """One line for lists."""
    functions: tuple[str, ...]
    """Names of functions, one of which a reply's module must define."""
    templates: Path
    """Folder with `role_coder.j2`, `role_evaluator.j2` and `ideas.j2`; a template of the same name there comes before
    one that all kinds share."""
    check: Callable[[str, Assignment, Jail], Verdict]
    """Checks a source in the jail. Called in threads, several at once; must not raise for a bad program."""
    measure: Callable[[Accepted, Assignment], str]
    """Figures about an accepted program, for the evaluator and for people; one per line."""
    scorer: Callable[[Assignment], Scorer | None] = no_scorer
    """Makes the selection score; `None` where there is nothing to measure it by."""
    scenes: Callable[[Assignment], str] = no_scenes
    """Situations that the figures refer to, by number."""
    fingerprint: Callable[[str], str] = _normalised
    """Equal for sources that compute the same."""
    noun: str = "function"
    """What the prompts call it."""
    artifact: str = ""
    """`kind` of its artifact; its own name if empty."""
    source_file: str = "program.py"
    """Name of its Python in the artifact, one of `qredit.artifact.FILE_NAMES`."""
    payload_file: str = "payload.json"
    """Name of what the checks made of it in the artifact, one of `qredit.artifact.FILE_NAMES`."""

    @property
    def artifact_kind(self) -> str:
        """`kind` of its artifact."""
        return self.artifact or self.name


def template_values(assignment: Assignment, *, scored: bool) -> Mapping[str, str | bool | tuple[str, ...]]:
    """What role templates need to know besides the task."""
    return {
        "scale": assignment.scale,
        "igm": assignment.igm,
        "scored": scored,
        "key_steps": assignment.key_steps,
    }
