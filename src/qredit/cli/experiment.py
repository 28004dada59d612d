"""`qredit experiment`: the studies behind `docs/results/`, to be run again by anyone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from qredit.cli.console import command, err, out, plain
from qredit.cli.training import parse_seeds
from qredit.errors import ConfigurationError, UnknownNameError
from qredit.files import write_atomic
from qredit.runs import runs_root


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    command(app, "experiment")(experiment)


def experiment(
    study: Annotated[Literal["lca"], typer.Argument(help="Which study: `lca`.")],
    part: Annotated[
        Literal["methods", "errors", "episode"],
        typer.Option(
            help="`methods`: LCA beside its baselines, all tuned; `errors`: what wrong rankings cost; `episode`: the "
            "individual rewards of one episode of a finished training, under pictures of it."
        ),
    ] = "methods",
    worlds: Annotated[str | None, typer.Option(help="Worlds, with commas between; by default all three.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Seeds, with commas between, or a range such as 0-4, which is the default.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(help="Trainings at a time; by default one per core.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where runs and results go; what is finished there is kept.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="`episode`: the training, its run folder or its name.")] = None,
    potentials: Annotated[str | None, typer.Option(help="`episode`: the artifact that it trained with.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="`episode`: which of the evaluation's episodes; by default the first, 0.")
    ] = None,
    sampled: Annotated[bool, typer.Option("--sampled/--greedy", help="`episode`: how actions are chosen.")] = True,
) -> None:
    """Run a study again: one line of JSON per result, of worlds also in results-PART-WORLD.jsonl of the folder."""
    from qredit.api.lca import WORLDS, errors, methods

    where = runs_root() / f"experiment-{study}" if folder is None else folder
    of_trainings = {"--worlds": worlds, "--seeds": seeds, "--jobs": jobs}
    of_an_episode = {"--run": run, "--potentials": potentials, "--seed": seed}
    useless = [name for name, x in (of_trainings if part == "episode" else of_an_episode).items() if x is not None]
    if useless:
        raise ConfigurationError(
            f"part `{part}` with {', '.join(useless)}", cause="it makes no use of that", remedy="Leave it out."
        )
    if part == "episode":
        _episode(run, potentials, where / part, seed=seed or 0, sampled=sampled)
        return
    names = list(WORLDS) if worlds is None else worlds.split(",")
    for name in names:
        if name not in WORLDS:
            raise UnknownNameError("world", name, list(WORLDS))
    for name in names:
        lines: list[str] = []
        file = where / f"results-{part}-{name}.jsonl"

        def report(result: Mapping[str, Any], lines: list[str] = lines, file: Path = file) -> None:
            lines.append(json.dumps(result))
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, ("\n".join(lines) + "\n").encode())
            out().print(plain(lines[-1]), soft_wrap=True)

        study_of = methods if part == "methods" else errors
        study_of(WORLDS[name], where / part / name, seeds=parse_seeds(seeds or "0-4"), jobs=jobs, report=report)
        err().print(plain(f"results  {file}"), soft_wrap=True)


def _episode(run: str | None, potentials: str | None, folder: Path, *, seed: int, sampled: bool) -> None:
    """Pictures and numbers of one episode, in a folder of the training's name."""
    from qredit.api.lca import play_episode, save_episode

    if run is None or potentials is None:
        raise ConfigurationError(
            "part `episode`",
            cause="it plays a finished training, and needs the potentials that it learned from",
            remedy="Give --run FOLDER and --potentials ARTIFACT.",
        )
    episode = play_episode(run, potentials, seed=seed, sampled=sampled)
    facts = episode.to_json()
    names = ("task", "run", "seed", "sampled", "completed", "steps", "team_return", "individual_returns", "landmarks")
    out().print(plain(json.dumps({name: facts[name] for name in names})), soft_wrap=True)
    for path in save_episode(episode, folder / episode.run):
        err().print(plain(f"written  {path}"), soft_wrap=True)
