"""`algorithms`, and what `train` and `compare` can be told about them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qredit.api import load_subject
from qredit.artifact import CREDIT_GRAPH, save_artifact
from qredit.marl import ALGORITHMS
from tests.cli import world
from tests.cli.conftest import Cli
from tests.cli.world import QUICK

TASK = "lbf-5x5-2p-1f"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A credit function for the small board."""
    return world.save_credit(tmp_path / "weights", load_subject(TASK))


@pytest.fixture
def shares(tmp_path: Path) -> Path:
    """Shares of one of the reward on the small board."""
    subject = load_subject(TASK)
    n, size = subject.n_agents, 2 * subject.layout.size + subject.n_agents
    nodes = [
        {"op": "aten.sym_size.int", "args": ["state", 0]},
        {"op": "aten.new_ones.default", "args": ["state", ["n0", n]]},
    ]
    header = {"form": "shares", "scale": "sum_to_n", "igm": "enforce", "n_agents": n, "state_size": size}
    graph = {"format": 1, "header": {**header, "has_bias": False}, "constants": [], "nodes": nodes, "outputs": ["n1"]}
    files = {
        CREDIT_GRAPH: json.dumps(graph).encode(),
        "layout.json": json.dumps(subject.layout.to_json()).encode(),
    }
    return save_artifact(tmp_path / "shares", manifest={"kind": "credit", "task": TASK}, files=files).path


def test_all_algorithms_are_listed(cli: Cli) -> None:
    done = cli("algorithms")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == list(ALGORITHMS)
    facts = [json.loads(line) for line in cli("algorithms", "--json").out.splitlines()]
    assert [one["name"] for one in facts if one["artifact"] == ["weights", "general"]] == [
        name for name in ALGORITHMS if "qllm" in name
    ]
    assert next(one for one in facts if one["name"] == "ippo")["rewards"] == [
        "team",
        "individual",
        "shares",
        "potentials",
    ]


def test_one_algorithm_shows_its_options(cli: Cli) -> None:
    shown = cli("algorithms", "ippo").out
    assert "de Witt et al. 2020" in shown
    assert "clip" in shown
    assert "How far the probability ratio may leave 1." in " ".join(shown.split())
    assert "no options of its own" in cli("algorithms", "vdn").out
    assert cli("algorithms", "ipo", "--json").error()["remedy"].count("ippo") == 1


def test_options_of_its_own(cli: Cli) -> None:
    done = cli("train", TASK, *QUICK, "--algorithm", "ippo", "--set", "epochs=2", "--set", "clip=0.1", "--json")
    assert done.code == 0, done.err
    data = done.json()
    record = json.loads((Path(data["run"]) / "run.json").read_text())["settings"]["training"]["own"]
    assert (record["epochs"], record["clip"], record["gae_lambda"]) == (2, 0.1, 0.95)
    assert data["result"]["final_sampled_return"] is not None
    wrong = cli("train", TASK, *QUICK, "--algorithm", "ippo", "--set", "epohs=2", "--json")
    assert wrong.code == 2
    assert "epochs" in wrong.error()["remedy"]


@pytest.mark.usefixtures("jobs_here")
def test_shares_of_one_train_as_the_teams_reward(cli: Cli, shares: Path) -> None:
    names = "ippo,ippo+rewards=shares"
    done = cli("compare", TASK, *QUICK, "--algorithms", names, "--seeds", "0", "--shares", shares, "--json")
    assert done.code == 0, done.err
    team, shared = (row for row in done.json()["comparison"]["rows"] if row["name"].startswith("ippo"))
    assert shared["name"] == "ippo+rewards=shares"
    for figure in ("return_by_seed", "area_by_seed", "sampled_by_seed"):
        assert shared[figure] == team[figure]
    trained = cli("train", TASK, *QUICK, "--algorithm", "coma", "--rewards", "shares", "--mixer", shares, "--json")
    assert trained.code == 0, trained.err
    assert cli("train", TASK, *QUICK, "--algorithm", "qllm", "--mixer", shares, "--json").code == 2


@pytest.mark.usefixtures("jobs_here")
def test_placebos_and_a_paper(cli: Cli, weights: Path) -> None:
    arguments = ("compare", TASK, *QUICK, "--algorithms", "vdn,qllm", "--seeds", "0", "--mixer", weights)
    done = cli(*arguments, "--placebos", "--paper", "paper", "--json")
    assert done.code == 0, done.err
    rows = {row["name"]: row for row in done.json()["comparison"]["rows"]}
    placebos = [f"qllm+placebo={kind}" for kind in ("uniform", "agents-permuted", "time-shuffled", "random")]
    assert list(rows) == ["random policy", "vdn", "qllm", *placebos, "optimum"]
    assert rows["qllm"]["vdn_difference"] is not None
    assert all(rows[name]["vdn_difference"] is None for name in placebos)
    assert {Path(path).name for path in done.json()["paper"]} >= {"table.tex", "curves.pdf", "settings.tex"}
    assert json.loads((Path(done.json()["run"]) / "run.json").read_text())["command"]


def test_only_a_cluster_runs_what_nobody_waits_for(cli: Cli) -> None:
    done = cli("compare", TASK, *QUICK, "--algorithms", "vdn", "--seeds", "0", "--detach", "--json")
    assert done.code == 2
    assert "--engine slurm" in done.error()["remedy"]
