"""The candidates of a run: source, verdict and payload in files named by the source's SHA-256.

candidates/<sha>.py             the language model's Python, for people and for the jail
candidates/<sha>.verdict.json   what the checks said, and the figures that the evaluator is shown
candidates/<sha>.payload        what the checks made of it, such as a credit graph, if accepted
candidates/play-off-<n>.txt     what short trainings after round n gave, if there were any

Verdicts are kept so that a resumed run asks the very questions that the interrupted one asked, also where a check
depends on the clock. The folder may come from a stranger: names are checked, contents are data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from qredit.errors import ArtifactError, RunFolderError
from qredit.files import read_json_untrusted, read_untrusted, sha256, write_atomic, write_json
from qredit.sandbox.verdict import Accepted, Kind, Rejected, Stage

SCHEMA = 2
SIZE_LIMIT = 16_000_000
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Judged:
    """A verdict, and what was measured on an accepted candidate."""

    verdict: Accepted | Rejected
    """What the checks said."""
    figures: str
    """Figures for the evaluator; empty if rejected."""
    score: float | None = None
    """The selection score, where there is one."""


class Candidates:
    """The folder of candidates of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha: str, ending: str) -> Path:
        """The file of a candidate.

        Raises:
            RunFolderError: `sha` is no SHA-256, as in a forged checkpoint.
        """
        if not _SHA.fullmatch(sha):
            raise RunFolderError(
                f"run `{self._folder.parent}`",
                cause=f"it names a candidate {sha[:80]!r}, which is no SHA-256",
                remedy="Delete its `checkpoints.sqlite` and resume again.",
            )
        return self._folder / f"{sha}{ending}"

    def keep(self, source: str) -> str:
        """Write the source down and return its SHA-256."""
        data = source.encode("utf-8", "surrogatepass")
        sha = sha256(data)
        path = self.path(sha, ".py")
        if not path.exists():
            write_atomic(path, data)
        return sha

    def source(self, sha: str) -> str:
        """The source of a candidate.

        Raises:
            ArtifactError: missing or changed.
        """
        return self._read(sha, ".py", sha).decode("utf-8", "surrogatepass")

    def keep_verdict(self, sha: str, judged: Judged) -> None:
        """Write a verdict down; the payload first, so that an accepted verdict always has it."""
        if isinstance(judged.verdict, Accepted):
            write_atomic(self.path(sha, ".payload"), judged.verdict.payload)
        record = {"schema": SCHEMA, **judged.verdict.to_json(), "figures": judged.figures, "score": judged.score}
        write_json(self.path(sha, ".verdict.json"), record)

    def judged(self, sha: str) -> Judged | None:
        """The verdict on a candidate, if there is one.

        Raises:
            ArtifactError: damaged.
        """
        path = self.path(sha, ".verdict.json")
        if not path.exists():
            return None
        data = read_json_untrusted(path, limit=SIZE_LIMIT)
        try:
            if data["schema"] != SCHEMA:
                raise ValueError(f"schema version {data['schema']!r}")
            score = data["score"]
            return Judged(self._verdict(sha, data), str(data["figures"]), None if score is None else float(score))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"`{path}`",
                cause=f"no verdict ({type(error).__name__}: {error})",
                remedy="Delete this file and resume again: the candidate is then checked again.",
            ) from error

    def keep_curves(self, number: int, text: str) -> None:
        """Write down what the play-off of a round gave."""
        write_atomic(self._folder / f"play-off-{number}.txt", text.encode())

    def curves(self, number: int) -> str | None:
        """What the play-off of a round gave, if there was one."""
        path = self._folder / f"play-off-{number}.txt"
        return read_untrusted(path, limit=SIZE_LIMIT).decode("utf-8", "replace") if path.exists() else None

    def _verdict(self, sha: str, data: dict[str, Any]) -> Accepted | Rejected:
        if data["verdict"] == "accepted":
            difference = data["vdn_difference"]
            return Accepted(
                payload=self._read(sha, ".payload", str(data["payload_sha256"])),
                payload_sha256=str(data["payload_sha256"]),
                form=str(data["form"]),
                warnings=tuple(str(w) for w in data["warnings"]),
                seconds=float(data["seconds"]),
                vdn_difference=None if difference is None else float(difference),
            )
        if data["verdict"] != "rejected" or data["stage"] not in get_args(Stage) or data["kind"] not in get_args(Kind):
            raise ValueError("neither an accepted nor a rejected verdict")
        line = data["line"]
        return Rejected(
            stage=data["stage"],
            kind=data["kind"],
            message=str(data["message"]),
            line=None if line is None else int(line),
            seconds=float(data["seconds"]),
        )

    def _read(self, sha: str, ending: str, expected: str) -> bytes:
        path = self.path(sha, ending)
        data = read_untrusted(path, limit=SIZE_LIMIT)
        if sha256(data) != expected:
            raise ArtifactError(
                f"`{path}`", cause="it does not match its SHA-256: changed or damaged", remedy="Start a new run."
            )
        return data
