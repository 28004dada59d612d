"""`experiment lca --part episode`, on a training of a second."""

from __future__ import annotations

from pathlib import Path

from tests.api.test_lca_episode import TASK, made_potentials
from tests.cli.conftest import Cli
from tests.cli.world import QUICK

PART = ("experiment", "lca", "--part", "episode")


def test_an_episode_is_played_and_drawn(cli: Cli, tmp_path: Path) -> None:
    potentials = made_potentials(tmp_path / "potentials", seed=0)
    options = ("--algorithm", "ippo", "--rewards", "potentials", "--potentials", potentials)
    trained = cli("train", TASK, *QUICK, *options, "--json")
    assert trained.code == 0, trained.err
    run = Path(trained.json()["run"])
    done = cli(*PART, "--run", run, "--potentials", potentials, "--greedy", "--seed", "4", "--folder", "here")
    assert done.code == 0, done.err
    facts = done.json()
    assert (facts["task"], facts["run"], facts["seed"], facts["sampled"]) == (TASK, run.name, 4, False)
    folder = Path("here", "episode", run.name)
    assert {path.name for path in folder.iterdir()} == {f"two-switch-greedy-4.{end}" for end in ("png", "svg", "json")}
    assert f"written  {folder / 'two-switch-greedy-4.png'}" in done.err
    # By its name, in the folder where experiments go by default.
    assert cli(*PART, "--run", run.name, "--potentials", potentials).code == 0
    assert Path("runs", "experiment-lca", "episode", run.name, "two-switch-sampled-0.svg").exists()


def test_what_is_missing_is_told(cli: Cli, tmp_path: Path) -> None:
    for options in ((), ("--run", "x"), ("--potentials", "x")):
        done = cli(*PART, *options)
        assert done.code == 2
        assert "Give --run FOLDER and --potentials ARTIFACT." in done.err
    done = cli(*PART, "--run", tmp_path / "nowhere", "--potentials", tmp_path)
    assert done.code == 2
    assert "unknown run" in done.err


def test_what_is_of_no_use_is_told(cli: Cli) -> None:
    done = cli(*PART, "--run", "x", "--potentials", "x", "--worlds", "two-switch")
    assert done.code == 2
    assert "part `episode` with --worlds" in done.err
    done = cli("experiment", "lca", "--part", "errors", "--seed", "0")
    assert done.code == 2
    assert "part `errors` with --seed" in done.err
