"""The folder of a paper: everything that finished comparisons have to show, ready to be included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import qredit
from qredit.files import write_atomic
from qredit.marl.paper.bibliography import entries_for
from qredit.marl.paper.latex import ascii_text
from qredit.marl.paper.prompts import Call, prompts_tex
from qredit.marl.paper.results import results_tex
from qredit.marl.paper.settings import settings_tex

if TYPE_CHECKING:
    from qredit.marl.finished import FinishedComparison
    from qredit.marl.report import Report

_FILES = {
    "table.tex": "final returns and areas, mean with interval",
    "curves.pdf": "learning curves over environment steps and over seconds",
    "curves-sampled.pdf": "the same of stochastic policies with actions drawn from them, in place of the greedy ones",
    "profiles.pdf": "performance profiles over all tasks",
    "settings.tex": "settings: shared ones once, others by algorithm or task",
    "references.bib": "BibTeX of the algorithms, environments and measures",
    "prompts.tex": "appendix: what the language models were asked and answered, one call of each form",
}
_NO_APPENDIX = (
    "- no `prompts.tex`: the run that wrote the credit function is not in the runs folder; `--run RUN` names it, and "
    "`qredit generate TASK --model replay` makes that of a function that ships."
)
_PREAMBLE = (
    r"\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs,graphicx,fancyvrb}"
    r"\IfFileExists{upquote.sty}{\usepackage{upquote}}{}"
)


def write_paper(
    comparisons: Sequence[FinishedComparison],
    folder: Path,
    *,
    report: Report | None = None,
    calls: Mapping[str, Sequence[Call]] | None = None,
    command: str | None = None,
) -> tuple[Path, ...]:
    """Write the folder and return its files. Files of an earlier paper in it are replaced.

    Args:
        comparisons: finished comparisons, each of another task.
        folder: where to; made if missing.
        report: what they show together, for the performance profiles.
        calls: run that made a credit function -> the calls of its models, for the appendix.
        command: the command line that writes this, for the README.

    Raises:
        StorageError: disk full or no permission.
    """
    texts = {
        "table.tex": results_tex(comparisons),
        "settings.tex": settings_tex(comparisons),
        "references.bib": _references(comparisons),
    }
    if calls:
        texts["prompts.tex"] = "\n".join(prompts_tex(of_run, run=run) for run, of_run in calls.items())
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    pictures = _write_pictures(comparisons, folder, report)
    written = [name for name in _FILES if name in texts or name in pictures]
    write_atomic(folder / "README.md", _readme(comparisons, written, command).encode())
    return tuple(folder / name for name in (*written, "README.md"))


def _write_pictures(comparisons: Sequence[FinishedComparison], folder: Path, report: Report | None) -> tuple[str, ...]:
    # Late: matplotlib takes a while to load.
    from qredit.marl.plots import panels_figure, panels_of, save_vector
    from qredit.marl.profile_plot import profiles_figure

    panels = [
        panel
        for found in comparisons
        for panel in panels_of(found.task, found.curves, random_return=found.random_return, optimum=found.optimum)
    ]
    names = list(dict.fromkeys(name for found in comparisons for name in found.algorithms))
    figures = {
        "curves.pdf": panels_figure([panel for panel in panels if panel.policy == "greedy"], names=names),
    }
    if sampled := [panel for panel in panels if panel.policy == "sampled"]:
        figures["curves-sampled.pdf"] = panels_figure(sampled, names=names)
    if report is not None and len(comparisons) > 1:
        figures["profiles.pdf"] = profiles_figure(report, names=names)
    for name, figure in figures.items():
        save_vector(folder / name, figure)
    return tuple(figures)


def _references(comparisons: Sequence[FinishedComparison]) -> str:
    algorithms = {str(s.get("algorithm", name)) for found in comparisons for name, s in found.settings.items()}
    adapters = {str(found.environment.get("adapter")) for found in comparisons}
    return "\n".join(entry.text for entry in entries_for(algorithms, adapters))


def _readme(comparisons: Sequence[FinishedComparison], files: Sequence[str], command: str | None) -> str:
    # On one line each: what a folder recorded must not become Markdown of our own.
    made = [ascii_text(" ".join(found.command.split())) for found in comparisons if found.command]
    unknown = [found.comparison.folder.name for found in comparisons if not found.command]
    no_appendix = "prompts.tex" not in files and any(found.mixers for found in comparisons)
    lines = [
        f"# Results on {', '.join(found.task for found in comparisons)}",
        "",
        f"Written by qredit {qredit.__version__}. Made with",
        "",
        *(f"    {line}" for line in [*made, *([ascii_text(command)] if command else [])]),
        "",
        *([f"The commands of {', '.join(unknown)} were not recorded.", ""] if unknown else []),
        *(f"- `{name}`: {_FILES[name]}" for name in files),
        *([_NO_APPENDIX] if no_appendix else []),
        "",
        "Bold in `table.tex`: shown to be better than every other algorithm, seed by seed.",
        "",
        "The preamble needs",
        "",
        f"    {_PREAMBLE}",
        "",
        r"Include with `\input{table}` and `\includegraphics[width=\linewidth]{curves}`.",
        "",
    ]
    return "\n".join(lines)
