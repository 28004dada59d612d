"""`qredit check`: programs in files, through the gate, the jail and the contract."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import qredit
from qredit.api.card import card_of_check
from qredit.api.publishing import layout_file
from qredit.api.scoring import scorer_of
from qredit.artifact import Artifact, save_artifact
from qredit.errors import ArtifactError, ConfigurationError, InfrastructureError, QreditError
from qredit.files import read_untrusted
from qredit.graphs.kinds import Assignment, Kind, kind_named, verify_program
from qredit.sandbox import Accepted, Verdict, open_jail
from qredit.subject import Subject

FILE_LIMIT = 1_000_000


@dataclass(frozen=True)
class CheckResult:
    """What became of one file; the fields are the keys of the JSON line."""

    file: str
    verdict: Literal["accepted", "rejected", "error"]
    """`error` is ours (the jail, the disk) or an unreadable file, never the program's fault."""
    stage: str | None = None
    kind: str | None = None
    message: str | None = None
    line: int | None = None
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    graph_sha256: str | None = None
    figures: str | None = None
    """What was measured on it, if that was asked for."""


def check(
    files: Iterable[Path],
    subject: Subject,
    *,
    kind: str | None = None,
    jail: str = "auto",
    sandbox_image: str | None = None,
    igm: Literal["enforce", "relax"] = "enforce",
    scale: Literal["sum_to_n", "raw"] = "sum_to_n",
    gate: bool = True,
    figures: bool = False,
    save: Path | None = None,
) -> Iterator[CheckResult]:
    """Check files one after the other in one jail; a file that breaks the jail does not stop the others.

    Args:
        files: Python files; with `save` exactly one. They are taken one by one, so they may come as they are saved.
        subject: what the functions are for.
        kind: kind of program; by default any that gives credit.
        jail: jail to run in.
        sandbox_image: for the `docker` jail, the image with qredit in it; by default this machine's Python is mounted.
        igm: whether negative weights are clamped at 0 or kept.
        scale: whether weights are normalised to sum to N.
        gate: whether the syntax gate runs before the jail.
        figures: whether accepted programs are measured as in a generation.
        save: folder to write an artifact of the one file to, if it is accepted.

    Raises:
        ConfigurationError: `save` with several files, or a named kind without the gate.
        UnknownNameError: no such kind.
        JailUnavailableError: no jail works on this machine; nothing was executed.
    """
    if save is not None:
        files = given = list(files)
        if len(given) != 1:
            raise ConfigurationError(
                f"{len(given)} files and one folder `{save}`",
                cause="an artifact holds one program",
                remedy="Check the files one by one with --save.",
            )
    wanted = None if kind is None else kind_named(kind)
    if wanted is not None and not gate:
        raise ConfigurationError(
            f"kind `{wanted.name}` without the gate",
            cause="a kind's own check always has it",
            remedy="Leave out --kind or --no-gate.",
        )
    assignment = Assignment(subject, scale=scale, igm=igm)
    with open_jail(jail, image=sandbox_image) as opened:
        for file in files:
            started = time.perf_counter()
            try:
                source = read_untrusted(file, limit=FILE_LIMIT).decode("utf-8", "replace")
                if wanted is not None:
                    verdict = wanted.check(source, assignment, opened)
                else:
                    verdict = verify_program(source, assignment, opened, gate=gate)
            except (InfrastructureError, ArtifactError) as error:
                yield _error(file, error, time.perf_counter() - started)
                continue
            found = _result(file, verdict)
            if isinstance(verdict, Accepted):
                its_kind = wanted or kind_named(verdict.form)
                if figures:
                    found = replace(found, figures=figures_of(its_kind, assignment, verdict))
                if save is not None:
                    save_checked(save, source, verdict, its_kind, assignment, jail=opened.name)
            yield found


def figures_of(kind: Kind, assignment: Assignment, accepted: Accepted) -> str:
    """What an evaluator would be shown about a program."""
    scorer = scorer_of(kind, assignment.subject) or kind.scorer(assignment)
    lines = [kind.measure(accepted, assignment), *([scorer(accepted).text] if scorer else [])]
    return "\n".join(lines)


def save_checked(
    folder: Path,
    source: str,
    verdict: Accepted,
    kind: Kind,
    assignment: Assignment,
    *,
    jail: str,
    asked: str | None = None,
    taken_from: str | None = None,
) -> Artifact:
    """Write the artifact of a program that somebody gave.

    Args:
        folder: where to.
        source: its Python.
        verdict: what the checks made of it.
        kind: what kind of program it is.
        assignment: what it is for.
        jail: where it was checked.
        asked: the task as the user named it, so that the check can be repeated.
        taken_from: the task that it was written for, if it is another one.
    """
    subject = assignment.subject
    manifest = {
        "kind": kind.artifact_kind,
        "program": kind.name,
        "task": subject.name,
        "task_argument": asked,
        "qredit": qredit.__version__,
        "form": verdict.form,
        "scale": assignment.scale,
        "igm": assignment.igm,
        "jail": jail,
        "n_agents": subject.n_agents,
        "probe_states": len(subject.states),
        "model": None,
        "taken_from": taken_from,
        "checks": {
            "payload_sha256": verdict.payload_sha256,
            "warnings": list(verdict.warnings),
            "vdn_difference": verdict.vdn_difference,
        },
    }
    card = card_of_check(kind, assignment, verdict, source, figures_of(kind, assignment, verdict), manifest)
    files = {
        kind.payload_file: verdict.payload,
        kind.source_file: source.encode("utf-8", "replace"),
        "CARD.md": card.encode("utf-8", "replace"),
        **layout_file(subject),
    }
    return save_artifact(folder, manifest=manifest, files=files)


def _result(file: Path, verdict: Verdict) -> CheckResult:
    if isinstance(verdict, Accepted):
        return CheckResult(
            str(file),
            "accepted",
            warnings=verdict.warnings,
            seconds=verdict.seconds,
            graph_sha256=verdict.payload_sha256,
        )
    return CheckResult(
        str(file),
        "rejected",
        stage=verdict.stage,
        kind=verdict.kind,
        message=verdict.message,
        line=verdict.line,
        seconds=verdict.seconds,
    )


def _error(file: Path, error: QreditError, seconds: float) -> CheckResult:
    return CheckResult(str(file), "error", kind=error.family, message=str(error), seconds=seconds)
