"""`qredit check`: credit functions in files, through the gate, the jail and the contract."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import qredit
from qredit.api.publishing import layout_file
from qredit.artifact import CREDIT_GRAPH, save_artifact
from qredit.errors import ArtifactError, ConfigurationError, InfrastructureError, QreditError
from qredit.files import read_untrusted
from qredit.sandbox import Accepted, Jail, Verdict, open_jail, verify
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


def check(
    files: Iterable[Path],
    subject: Subject,
    *,
    jail: str = "auto",
    sandbox_image: str | None = None,
    igm: Literal["enforce", "relax"] = "enforce",
    scale: Literal["sum_to_n", "raw"] = "sum_to_n",
    gate: bool = True,
    save: Path | None = None,
) -> Iterator[CheckResult]:
    """Check files one after the other in one jail; a file that breaks the jail does not stop the others.

    Args:
        files: Python files; with `save` exactly one. They are taken one by one, so they may come as they are saved.
        subject: what the functions are for.
        jail: jail to run in.
        sandbox_image: for the `docker` jail, the image with qredit in it; by default this machine's Python is mounted.
        igm: whether negative weights are clamped at 0 or kept.
        scale: whether weights are normalised to sum to N.
        gate: whether the syntax gate runs before the jail.
        save: folder to write an artifact of the one file to, if it is accepted.

    Raises:
        ConfigurationError: `save` with several files.
        JailUnavailableError: no jail works on this machine; nothing was executed.
    """
    if save is not None:
        files = given = list(files)
        if len(given) != 1:
            raise ConfigurationError(
                f"{len(given)} files and one folder `{save}`",
                cause="an artifact holds one credit function",
                remedy="Check the files one by one with --save.",
            )
    with open_jail(jail, image=sandbox_image) as opened:
        for file in files:
            started = time.perf_counter()
            try:
                source = read_untrusted(file, limit=FILE_LIMIT).decode("utf-8", "replace")
                verdict = _verify(source, subject, opened, igm=igm, scale=scale, gate=gate)
            except (InfrastructureError, ArtifactError) as error:
                yield _error(file, error, time.perf_counter() - started)
            else:
                if save is not None and isinstance(verdict, Accepted):
                    _save(save, source, verdict, subject, {"scale": scale, "igm": igm, "jail": opened.name})
                yield _result(file, verdict)


def _save(folder: Path, source: str, verdict: Accepted, subject: Subject, settings: Mapping[str, str]) -> None:
    manifest = {
        "kind": "credit",
        "task": subject.name,
        "qredit": qredit.__version__,
        "form": verdict.form,
        **settings,
        "n_agents": subject.n_agents,
        "probe_states": len(subject.states),
        "model": None,
        "checks": {"warnings": list(verdict.warnings), "vdn_difference": verdict.vdn_difference},
    }
    files = {CREDIT_GRAPH: verdict.payload, "credit.py": source.encode("utf-8", "replace"), **layout_file(subject)}
    save_artifact(folder, manifest=manifest, files=files)


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
        exchangeable=subject.exchangeable,
        n_actions=subject.n_actions,
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
