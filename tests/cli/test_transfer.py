"""`transfer`: a function with named fields, traced again for other sizes; and `reproduce` of what it made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qredit.api import load_subject
from qredit.artifact import load_artifact
from qredit.runs import Run
from tests.cli import world
from tests.cli.conftest import Cli
from tests.cli.world import QUICK

NEAR_FOOD = '''import torch


def credit(state):
    """Whoever stands nearer to food that is still there."""
    apart = (state["agent_position"].unsqueeze(2) - state["food_position"].unsqueeze(1)).abs().sum(dim=-1)
    there = (state["food_level"] > 0).float().unsqueeze(1)
    return 0.2 + (there * torch.exp(-0.5 * apart)).sum(dim=2)
'''
OTHER = "lbf-6x6-3p-2f"

pytestmark = pytest.mark.usefixtures("real_jail")


@pytest.fixture
def artifact(cli: Cli, tmp_path: Path) -> Path:
    """An artifact for two agents and one food."""
    (tmp_path / "near.py").write_text(NEAR_FOOD)
    done = cli("check", "near.py", "--task", "lbf-5x5-2p-1f", "--save", "near", "--igm", "relax", "--json")
    assert done.code == 0, done.out
    return tmp_path / "near"


def test_other_sizes(cli: Cli, artifact: Path) -> None:
    """Same code and rules, another graph; it trains, and tracing it once more gives the same graph."""
    done = cli("transfer", artifact, OTHER, "--json")
    assert done.code == 0, done.err
    data = done.json()
    assert (data["taken_from"], data["task"]) == ("lbf-5x5-2p-1f", OTHER)
    made, original = load_artifact(data["artifact"]), load_artifact(artifact)
    assert Run(made.path.parent).record["status"] == "finished"
    assert made.files["credit.py"] == original.files["credit.py"] == NEAR_FOOD.encode()
    assert made.files["credit.graph.json"] != original.files["credit.graph.json"]
    assert (made.task, made.manifest["n_agents"], made.manifest["igm"]) == (OTHER, 3, "relax")
    card = made.files["CARD.md"].decode()
    assert "Written for `lbf-5x5-2p-1f` and traced again for this task" in card
    assert f"`qredit transfer ARTIFACT {OTHER}`, where ARTIFACT is that for `lbf-5x5-2p-1f`" in card
    trained = cli("train", OTHER, "--algorithm", "qllm", "--mixer", made.path, *QUICK, "--json")
    assert trained.code == 0, trained.err
    again = cli("reproduce", made.path, "--json").json()
    sha = made.manifest["files"]["credit.graph.json"]
    assert again == {"same": True, "expected_sha256": sha, "found_sha256": sha}


def test_a_graph_that_its_code_does_not_lead_to(cli: Cli, artifact: Path) -> None:
    made = load_artifact(cli("transfer", artifact, OTHER, "--json").json()["artifact"])
    manifest = json.loads((made.path / "artifact.json").read_text())
    manifest["checks"]["payload_sha256"] = "0" * 64
    (made.path / "artifact.json").write_text(json.dumps(manifest))
    done = cli("reproduce", made.path)
    assert done.code == 1
    assert done.out.startswith("another program")


def test_a_task_with_other_fields(cli: Cli, artifact: Path) -> None:
    done = cli("transfer", artifact, "matrix-climbing")
    assert done.code == 1
    assert "rejected (trace, line 6)" in done.out
    assert "there is no `agent_position`" in " ".join(done.out.split())
    assert not Path("runs").exists()
    data = cli("transfer", artifact, "matrix-climbing", "--json").json()
    assert (data["verdict"], data["stage"], data["line"]) == ("rejected", "trace", 6)


def test_what_cannot_be_traced_again(cli: Cli, artifact: Path) -> None:
    assert cli("transfer", "no-such-thing", OTHER, "--json").error()["what"] == "unknown artifact `no-such-thing`"
    bare = world.save_credit(Path("bare"), load_subject("lbf-5x5-2p-1f"))
    assert "does not say how it was checked" in cli("transfer", bare, OTHER, "--json").error()["cause"]
    manifest = json.loads((artifact / "artifact.json").read_text())
    del manifest["files"]["credit.py"]
    (artifact / "credit.py").unlink()
    (artifact / "artifact.json").write_text(json.dumps(manifest))
    assert cli("transfer", artifact, OTHER, "--json").error()["cause"] == "it holds no `credit.py`"
