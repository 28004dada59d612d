"""`qredit train` and `qredit compare`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from qredit.cli.console import JsonOption, command, err, out, plain, print_json, program
from qredit.cli.options import TrustEnvOption, with_settings
from qredit.cli.reporting import show_table
from qredit.errors import ConfigurationError
from qredit.marl.engines import EngineSettings
from qredit.marl.settings import TrainSettings
from qredit.task import Backend

if TYPE_CHECKING:
    from qredit.api.training import Submitted
    from qredit.marl.comparison import Comparison
    from qredit.marl.jobs import JobProgress

MOST_SEEDS = 1000
COMPILING = "compiling the environment, once on this machine: some ten seconds"
_ALGORITHMS_HELP = (
    "Algorithms, with commas between; settings that only one shall have behind plus signs: qllm+placebo=random."
)
MixerOption = Annotated[
    str | None,
    typer.Option(help="Credit function to train with: folder of an artifact, name of a run, or `builtin`."),
]
BackendOption = Annotated[
    Backend | None,
    typer.Option(help="What plays the episodes: compiled rules, the official package, or what the task says."),
]
OwnOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Option of an algorithm's own, NAME=VALUE; `algorithms NAME` lists them. Repeatable."),
]


PotentialsOption = Annotated[
    str | None,
    typer.Option(
        help="Artifact of the kind `potentials`, for rewards or a bias out of them: its folder, a run, or `builtin`."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    command(app, "train")(with_settings("settings", TrainSettings, leave_out=("own",))(train))
    with_engine = with_settings("engine", EngineSettings)
    with_training = with_settings("settings", TrainSettings, leave_out=("algorithm", "seed", "own"))
    command(app, "compare")(with_engine(with_training(compare)))


def train(
    task: Annotated[str, typer.Argument(help="Built-in task, or the path of a task file with an environment.")],
    settings: TrainSettings,
    mixer: MixerOption = None,
    potentials: PotentialsOption = None,
    own: OwnOption = None,
    backend: BackendOption = None,
    resume: Annotated[str | None, typer.Option(help="Training run to go on with, with the same settings.")] = None,
    trust_env: TrustEnvOption = False,
    json_output: JsonOption = False,
) -> None:
    """Train one algorithm on a task. The language model's Python is never executed here."""
    from qredit import api
    from qredit.marl.contenders import parse_own

    settings = replace(settings, own=parse_own(own or [], [settings.algorithm]))
    with _progress() as progress:
        bar = progress.add_task(f"{settings.algorithm} seed {settings.seed}", total=settings.total_steps)
        trained = api.train(
            task,
            settings,
            mixer=mixer,
            potentials=potentials,
            backend=backend,
            resume=resume,
            on_start=lambda run: progress.console.print(plain(f"run {run.path}"), soft_wrap=True),
            on_compile=lambda: progress.console.print(COMPILING),
            on_progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    if json_output:
        print_json({"run": trained.run.path, "result": trained.result})
        return
    result = trained.result
    out().print(
        plain(
            f"{result.algorithm}, seed {result.seed}: greedy return {result.final_return:.3f} after "
            f"{result.environment_steps} steps, area under the curve {result.area_under_curve:.3f}, "
            f"{result.seconds:.0f} s"
        ),
        soft_wrap=True,
    )
    if result.final_sampled_return is not None:
        out().print(plain(f"sampled return {result.final_sampled_return:.3f}: actions drawn from the policy"))
    if result.vdn_difference is not None:
        out().print(plain(f"the credit differs from VDN in {100 * result.vdn_difference:.1f} % of the visited states"))
    out().print(
        plain(f"curves   {trained.run.path / 'metrics.csv'}, {trained.run.path / 'tensorboard'}"), soft_wrap=True
    )


def compare(
    task: Annotated[str, typer.Argument(help="Built-in task, or the path of a task file with an environment.")],
    settings: TrainSettings,
    engine: EngineSettings,
    algorithms: Annotated[str, typer.Option(help=_ALGORITHMS_HELP)] = "vdn,qmix,qllm",
    seeds: Annotated[str, typer.Option(help="Seeds, with commas between, or a range such as 0-4.")] = "0-4",
    mixer: MixerOption = None,
    shares: Annotated[
        str | None, typer.Option(help="Artifact of the kind `shares`, for contenders with rewards=shares.")
    ] = None,
    potentials: PotentialsOption = None,
    placebos: Annotated[
        bool, typer.Option("--placebos", help="Train each credit function's four placebos too.")
    ] = False,
    own: OwnOption = None,
    backend: BackendOption = None,
    paper: Annotated[
        Path | None, typer.Option(help="Folder for LaTeX tables, vector pictures, BibTeX and the appendix of prompts.")
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="With --engine slurm: submit and return; --resume RUN collects.")
    ] = False,
    resume: Annotated[str | None, typer.Option(help="Comparison to go on with, with the same settings.")] = None,
    trust_env: TrustEnvOption = False,
    json_output: JsonOption = False,
) -> None:
    """Train several algorithms with identical settings, and show what that shows: table and learning curves."""
    from qredit import api
    from qredit.marl.contenders import parse_own

    names = [name.strip() for name in algorithms.split(",") if name.strip()]
    settings = replace(settings, own=parse_own(own or [], [name.partition("+")[0] for name in names]))
    asked = shlex.join([program(), *sys.argv[1:]])
    if detach:
        submitted = api.submit(
            task,
            names,
            parse_seeds(seeds),
            settings,
            engine=engine,
            mixer=mixer,
            shares=shares,
            potentials=potentials,
            placebos=placebos,
            backend=backend,
            resume=resume,
            command=asked,
        )
        _show_submitted(submitted, json_output)
        return
    with Bars() as bars:
        comparison = api.compare(
            task,
            names,
            parse_seeds(seeds),
            settings,
            mixer=mixer,
            shares=shares,
            potentials=potentials,
            placebos=placebos,
            engine=engine,
            backend=backend,
            command=asked,
            resume=resume,
            on_start=lambda run: bars.note(f"run {run.path}"),
            on_compile=lambda: bars.note(COMPILING),
            on_progress=bars.update,
        )
    if not json_output:
        show_comparison(comparison)
        out().print(plain(f"picture  {comparison.picture}"), soft_wrap=True)
        out().print(plain(f"data     {comparison.folder / 'comparison.csv'}"), soft_wrap=True)
    written = api.write_paper([comparison.folder], paper, command=asked) if paper is not None else ()
    if json_output:
        print_json({"run": comparison.folder, "comparison": comparison.to_json(), "paper": written})
        return
    for path in written:
        out().print(plain(f"paper    {path}"), soft_wrap=True)


def _show_submitted(submitted: Submitted, json_output: bool) -> None:
    if json_output:
        print_json({"run": submitted.run.path, "jobs": dict(submitted.jobs)})
        return
    for name, job in submitted.jobs.items():
        out().print(plain(f"{name}: job {job}"), soft_wrap=True)
    out().print(plain(f"run {submitted.run.path}; the same command with --resume instead of --detach collects it"))


def parse_seeds(text: str) -> list[int]:
    """Seeds out of `0,1,5` or `0-4`.

    Raises:
        ConfigurationError: neither, or far too many.
    """
    try:
        seeds: list[int] = []
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            named = range(int(first), int(last if dash else first) + 1)
            if not named or named[-1] - named[0] + len(seeds) >= MOST_SEEDS:
                raise ValueError(f"`{part.strip()}` names none, or more than {MOST_SEEDS}")
            seeds += named
        return seeds
    except ValueError as error:
        raise ConfigurationError(
            f"seeds `{text}`", cause=f"no list of numbers ({error})", remedy="Write `0,1,2` or `0-4`."
        ) from error


class Bars:
    """One progress bar per training."""

    def __init__(self) -> None:
        self._progress = _progress()
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(plain(text), soft_wrap=True)

    def update(self, job: JobProgress) -> None:
        """Show how far a training is."""
        if job.job not in self._bars:
            self._bars[job.job] = self._progress.add_task(job.job, total=job.total)
        self._progress.update(self._bars[job.job], completed=job.done, total=job.total)


def show_comparison(comparison: Comparison) -> None:
    """The table of a comparison."""
    from qredit.marl.tables import comparison_table

    show_table(comparison_table(comparison))


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err(),
    )
