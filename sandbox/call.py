"""What every call of the sandbox has in common: the gate, and whose fault it is when a job ends badly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qredit.errors import JailError
from qredit.sandbox.gate.check import check_gate
from qredit.sandbox.gate.finding import Finding
from qredit.sandbox.gate.profile import Profile
from qredit.sandbox.gate.text import decode
from qredit.sandbox.payloads import TraceRefusal
from qredit.sandbox.verdict import Kind, Rejected, Stage, quoted

if TYPE_CHECKING:
    from qredit.sandbox.jails.jail import Jail, JobResult, Outcome


@dataclass(frozen=True)
class Call:
    """One call of `verify` or `describe_all`."""

    jail: Jail
    """Where the candidate's Python runs."""
    started: float
    """When the call began, on the clock `time.perf_counter`."""

    def rejected(self, stage: Stage, kind: Kind, message: str, line: int | None = None) -> Rejected:
        """A verdict with the time that has passed."""
        return Rejected(stage, kind, message, line, time.perf_counter() - self.started)

    def admitted(self, source: str | bytes, profile: Profile, *, gate: bool) -> str | Rejected:
        """The source as text, after the limits on what a jail is given and, unless it is off, the gate."""
        text = decode(source)
        if isinstance(text, Finding):  # a limit of the request to the jail, with the gate or without
            return self.rejected("gate", text.kind, f"{text.what}. {text.remedy}", text.line)
        if gate and (refused := check_gate(text, profile)):
            return self.rejected(refused.stage, refused.kind, refused.message, refused.line)
        return text

    def stopped(self, result: JobResult, what: str, ends: Mapping[Outcome, str], works: Callable[[], bool]) -> Rejected:
        """The verdict on a candidate whose job did not end by itself.

        Args:
            result: how it ended.
            what: beginning of the message.
            ends: cause and remedy for each outcome.
            works: see `require_working`, which is asked where the jail might be to blame.

        Raises:
            JailError: it is.
        """
        if result.outcome in ("killed", "silent_exit"):
            self.require_working(result, works)
        detail = f" The jail reports: {quoted(result.detail, 200)}." if result.outcome == "killed" else ""
        return self.rejected("trace", "resource", f"{what}: {ends[result.outcome]}.{detail}")

    def require_working(self, failed: JobResult, works: Callable[[], bool]) -> None:
        """Show that the jail still works, so that a failed job is the candidate's doing and not ours.

        Args:
            failed: the job.
            works: runs a plain function in the jail and says whether all went well.

        Raises:
            JailError: it did not.
        """
        if not works():
            raise JailError(
                f"jail `{self.jail.name}` fails a job that must pass",
                cause=f"the job before it ended with `{failed.outcome}` ({quoted(failed.detail, 300)})",
                remedy="See `qredit doctor`; free memory, and run the same command again.",
            )


def line_in(source: str, refusal: TraceRefusal) -> tuple[int | None, str]:
    """The line that a child blames, if the source has it, and the beginning of a message with it."""
    line = refusal.line if refusal.line is not None and refusal.line <= source.count("\n") + 1 else None
    return line, f"Line {line}: " if line else ""
