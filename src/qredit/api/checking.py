"""`qredit check`: credit functions in files, through the gate, the jail and the contract."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qredit.api.subjects import Subject
from qredit.errors import ArtifactError, InfrastructureError, QreditError
from qredit.files import read_untrusted
from qredit.sandbox import Accepted, Jail, Verdict, open_jail, verify

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


def check(
    files: Iterable[Path],
    subject: Subject,
    *,
    jail: str = "auto",
    igm: Literal["enforce", "relax"] = "enforce",
    scale: Literal["sum_to_n", "raw"] = "sum_to_n",
    gate: bool = True,
) -> Iterator[CheckResult]:
    """Check files one after the other in one jail; a file that breaks the jail does not stop the others.

    Raises:
        JailUnavailableError: no jail works on this machine; nothing was executed.
    """
    with open_jail(jail) as opened:
        for file in files:
            started = time.perf_counter()
            try:
                source = read_untrusted(file, limit=FILE_LIMIT).decode("utf-8", "replace")
                verdict = _verify(source, subject, opened, igm=igm, scale=scale, gate=gate)
            except (InfrastructureError, ArtifactError) as error:
                yield _error(file, error, time.perf_counter() - started)
            else:
                yield _result(file, verdict)


def _verify(
    source: str,
    subject: Subject,
    jail: Jail,
    *,
    igm: Literal["enforce", "relax"],
    scale: Literal["sum_to_n", "raw"],
    gate: bool,
) -> Verdict:
    return verify(
        source,
        layout=subject.layout,
        n_agents=subject.n_agents,
        states=subject.states,
        jail=jail,
        scale=scale,
        igm=igm,
        gate=gate,
    )


def _result(file: Path, verdict: Verdict) -> CheckResult:
    if isinstance(verdict, Accepted):
        return CheckResult(
            str(file),
            "accepted",
            warnings=verdict.warnings,
            seconds=verdict.seconds,
            graph_sha256=verdict.graph_sha256,
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
