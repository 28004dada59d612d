"""The verdict on a candidate: found once, in a thread of its own, and kept in the run's folder."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from qredit.errors import RunFolderError
from qredit.graphs.candidates import Candidates, Judged
from qredit.graphs.kinds.kind import Assignment, Kind, Scorer
from qredit.sandbox.verdict import Accepted, Rejected

if TYPE_CHECKING:
    from qredit.sandbox import Jail


class Judge:
    """Checks, measures and scores candidates of one kind for one assignment."""

    def __init__(
        self, kind: Kind, assignment: Assignment, jail: Jail, candidates: Candidates, scorer: Scorer | None
    ) -> None:
        self._kind = kind
        self._assignment = assignment
        self._jail = jail
        self._candidates = candidates
        self._scorer = scorer
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.found: set[str] = set()
        """Candidates whose verdict was found in this session and not read from the folder."""

    async def judge(self, sha: str) -> Judged:
        """The kept verdict on a candidate, or a new one."""
        async with self._locks[sha]:  # two candidates of a round may be the same text
            kept = self._candidates.judged(sha)
            if kept is not None:
                return kept
            judged = await asyncio.to_thread(self.judge_now, self._candidates.source(sha))
            self._candidates.keep_verdict(sha, judged)
            self.found.add(sha)
            return judged

    def judge_now(self, source: str) -> Judged:
        """Check a source, measure and score it; blocks."""
        verdict = self._kind.check(source, self._assignment, self._jail)
        if isinstance(verdict, Rejected):
            return Judged(verdict, "")
        lines = [self._kind.measure(verdict, self._assignment)]
        score = self._scorer(verdict) if self._scorer is not None else None
        if score is not None:
            lines.append(score.text)
        lines += [f"warning: {warning}" for warning in verdict.warnings]
        return Judged(verdict, "\n".join(lines), None if score is None else score.value)

    def accepted(self, sha: str) -> tuple[Accepted, Judged]:
        """The kept verdict on a candidate that was accepted.

        Raises:
            RunFolderError: there is none.
        """
        judged = self._candidates.judged(sha)
        if judged is None or isinstance(judged.verdict, Rejected):
            raise RunFolderError(
                "the run folder is inconsistent",
                cause=f"candidate `{sha}` is used, but its accepted verdict is missing",
                remedy="Delete its `checkpoints.sqlite` and resume again.",
            )
        return judged.verdict, judged

    def marks(self, sha: str) -> tuple[str, ...]:
        """What makes a candidate the same as another: its normalised syntax tree, or what the checks made of it."""
        verdict, _ = self.accepted(sha)
        return (f"tree {self._kind.fingerprint(self._candidates.source(sha))}", f"payload {verdict.payload_sha256}")
