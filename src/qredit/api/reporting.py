"""`qredit report`: what finished comparisons show together, and a paper's worth of output; no training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qredit.artifact import CREDIT_GRAPH, load_artifact
from qredit.errors import ArtifactError
from qredit.files import write_atomic, write_json
from qredit.graphs import read_trace
from qredit.runs import Run, create_run, list_runs, open_run

if TYPE_CHECKING:
    from qredit.marl.finished import FinishedComparison
    from qredit.marl.paper import Call
    from qredit.marl.report import Report

PICTURE = "profiles.png"


@dataclass(frozen=True)
class Reported:
    """A report and where it lies."""

    report: Report
    """What the comparisons show."""
    run: Run
    """Folder with `report.json`, `report.csv`, `report.md` and, for several tasks, the picture of the profiles."""
    paper: tuple[Path, ...]
    """Files of the paper, where one was asked for."""


def report(
    comparisons: Sequence[str | Path],
    *,
    references: Mapping[str, float] | None = None,
    thresholds: Mapping[str, float] | None = None,
    paper: Path | None = None,
    generation: str | Path | None = None,
    command: str | None = None,
) -> Reported:
    """Put finished comparisons of different tasks side by side.

    Args:
        comparisons: their run folders, or names in the runs folder.
        references: task -> return that counts as the score 1, in place of what is known of the task.
        thresholds: task -> return whose first reaching is to be shown; the key `""` means every task without its own.
        paper: folder for LaTeX, pictures and BibTeX; `None` for none.
        generation: the run that made the credit function, for the paper's appendix of prompts; `None` looks in the
            runs folder for the one whose artifact was trained with.
        command: the command line that asked for this, for the paper's README.

    Raises:
        QreditError: runs that do not exist or are no finished comparisons, two of one task, no algorithm in common.
    """
    from qredit.marl.finished import read_comparison
    from qredit.marl.paper import write_paper as write
    from qredit.marl.report import make_report

    found = [read_comparison(open_run(name, kind="compare").path) for name in comparisons]
    made = make_report(found, references=references, thresholds=_by_task(found, thresholds or {}))
    # Before anything is written: a generation that does not exist is told at once.
    calls = {} if paper is None else _calls(found, generation)
    record = {"comparisons": [one.comparison.folder.name for one in found], "references": dict(references or {})}
    run = create_run("report", "-".join(one.task for one in found)[:60], record)
    with run.writing():
        _write(made, run)
        files = () if paper is None else write(found, paper, report=made, calls=calls, command=command)
    return Reported(made, run, files)


def write_paper(comparisons: Sequence[str | Path], folder: Path, *, command: str | None = None) -> tuple[Path, ...]:
    """Write a paper's worth of output about finished comparisons, without a report of their own.

    Raises:
        QreditError: see `report`.
    """
    from qredit.marl.finished import read_comparison
    from qredit.marl.paper import write_paper as write
    from qredit.marl.report import make_report

    found = [read_comparison(open_run(name, kind="compare").path) for name in comparisons]
    # Scores are for several tasks: one task's tables can be written even where nothing beats the random policy.
    made = make_report(found) if len(found) > 1 else None
    return write(found, folder, report=made, calls=_calls(found, None), command=command)


def _write(made: Report, run: Run) -> None:
    from qredit.marl.plots import save_learning_curves
    from qredit.marl.profile_plot import profiles_figure
    from qredit.marl.report_tables import report_markdown

    several = len(made.comparisons) > 1
    if several:
        save_learning_curves(run.path / PICTURE, profiles_figure(made))
    write_json(run.path / "report.json", made.to_json())
    write_atomic(run.path / "report.csv", made.to_csv().encode())
    markdown = report_markdown(made, pictures=[PICTURE] if several else [])
    write_atomic(run.path / "report.md", markdown.encode())


def _by_task(found: Sequence[FinishedComparison], thresholds: Mapping[str, float]) -> dict[str, float]:
    named = {task: value for task, value in thresholds.items() if task}
    everywhere = {one.task: thresholds[""] for one in found} if "" in thresholds else {}
    return {**everywhere, **named}


def _calls(found: Sequence[FinishedComparison], generation: str | Path | None) -> dict[str, tuple[Call, ...]]:
    """Run -> the calls of its models, for the runs that made the credit functions of these comparisons."""
    if generation is not None:
        runs = [open_run(generation, kind="generate")]
    else:
        wanted = {sha for one in found for sha in one.mixers.values()}
        runs = [run for run in list_runs() if wanted and _credit_of(run) in wanted]
    return {run.path.name: calls_of(run) for run in runs}


def _credit_of(run: Run) -> str | None:
    """SHA-256 of the credit graph that a generation made; `None` for any other run."""
    try:
        return str(load_artifact(run.path).manifest["files"][CREDIT_GRAPH])
    except (ArtifactError, KeyError):
        return None


def calls_of(run: Run) -> tuple[Call, ...]:
    """One call of each form in a generation, with its answer, in the order of the trace.

    A form is the role, whether it is the first round, and whether it is a repair: all calls fill a hundred pages.

    Raises:
        ArtifactError: the trace is missing or damaged.
    """
    from qredit.marl.paper import Call

    try:
        messages = [record for record in read_trace(run.trace_path) if record.get("type") == "message"]
        forms = {(str(one["role"]), int(one["round"]) > 1, int(one["attempt"]) > 1): one for one in reversed(messages)}
        return tuple(Call(str(one["id"]), tuple(_parts(one))) for one in messages if one in forms.values())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(
            f"trace `{run.trace_path}`",
            cause=f"the record of a call is malformed ({type(error).__name__}: {error})",
            remedy="Copy the run again.",
        ) from error


def _parts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    asked, answered = record["gen_ai.input.messages"], record["gen_ai.output.messages"]
    return [
        *((str(message["role"]), "".join(str(part["content"]) for part in message["parts"])) for message in asked),
        *(
            ("reply", str(part["content"]))
            for message in answered
            for part in message["parts"]
            if part["type"] == "text"
        ),
    ]
