"""`fidelity`: figures beside placebos, JSON lines, exit codes; the jail is replaced but for one test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qredit.api import load_subject
from qredit.artifact import CREDIT_GRAPH, save_artifact
from qredit.prompts.files import ROOM
from qredit.runs import create_run
from tests.cli import world
from tests.cli.conftest import Cli

LBF = "lbf-5x5-2p-1f"
KEYS = {"function", "task", "verdict", "stage", "message", "line", "fidelity", "placebos", "truth", "actions"}
FIGURES = {"top1", "top1_low", "top1_high", "tau", "tau_low", "tau_high", "n_states"}
QUICK = ("--states", "2", "--visited", "12", "--continuations", "3", "--horizon", "5")
"""A measurement of well under a second."""


@pytest.fixture
def fake_jail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are accepted as `world.fake_verify` accepts them."""
    monkeypatch.setattr("qredit.api.fidelity.open_jail", lambda name, image: world.NoJail())
    monkeypatch.setattr("qredit.sandbox.verify", world.fake_verify)


@pytest.fixture
def known_task(my_task: Path) -> Path:
    """A task file whose states come with a truth: in 30 of 32, the higher an agent's level, the larger its share."""
    states = np.load(my_task.parent / "states.npz")["states"]
    truth = states[:, :2] / states[:, :2].sum(axis=1, keepdims=True)
    truth[:2] = np.nan
    np.savez_compressed(my_task.parent / "states.npz", states=states, true_credit=truth)
    return my_task


@pytest.fixture
def good(tmp_path: Path) -> str:
    """A file whose credit is the level."""
    (tmp_path / "good.py").write_text(world.code(2))
    return "good.py"


@pytest.mark.usefixtures("fake_jail")
def test_a_function_beside_its_placebos(cli: Cli, known_task: Path, good: str) -> None:
    done = cli("fidelity", good, "--task", known_task, "--json")
    assert done.code == 0
    data = done.json()
    assert set(data) == KEYS
    assert (data["function"], data["task"], data["verdict"]) == ("good.py", world.TASK, "measured")
    assert set(data["fidelity"]) == FIGURES
    assert (data["fidelity"]["top1"], data["fidelity"]["tau"], data["fidelity"]["n_states"]) == (1, 1, 30)
    assert set(data["placebos"]) == {"uniform", "agents_permuted", "time_shuffled", "random"}
    assert all(set(placebo) == FIGURES for placebo in data["placebos"].values())
    assert (data["placebos"]["uniform"]["top1"], data["placebos"]["uniform"]["tau"]) == (0.5, 0)
    assert data["placebos"]["agents_permuted"]["tau"] == -1
    truth = data["truth"]
    assert (truth["source"], truth["decisive"], truth["measured"]) == ("shipped", 30, None)
    assert truth["settings"]["continuation"] == "scripted"


@pytest.mark.usefixtures("fake_jail")
def test_the_table(cli: Cli, known_task: Path, good: str, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("EVIL")
    done = cli("fidelity", good, "evil.py", "--task", known_task)
    assert done.code == 1
    rows = [line.split() for line in done.out.splitlines()]
    assert ["good.py", "1.00", "1.00", "to", "1.00", "+1.00", "+1.00", "to", "+1.00"] in rows
    assert ["uniform", "(VDN)", "0.50", "0.50", "to", "0.50", "+0.00", "+0.00", "to", "+0.00"] in rows
    for words in ("given to other agents", "in another state", "random, as concentrated", "30 states", "30 % random"):
        assert words in done.out
    # What a model wrote is shown as it is, without its control characters.
    assert "evil.py: rejected (gate, line 2)" in done.out
    assert "[bold]`open`[/bold] is not allowed[2J" in done.out


@pytest.mark.usefixtures("fake_jail")
def test_a_rejected_file_alone_needs_no_truth(cli: Cli, my_task: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("EVIL")
    done = cli("fidelity", "evil.py", "--task", my_task, "--json")
    assert done.code == 1
    data = done.json()
    assert set(data) == KEYS
    assert (data["verdict"], data["stage"], data["line"], data["fidelity"]) == ("rejected", "gate", 2, None)


@pytest.mark.usefixtures("real_jail")
def test_a_file_goes_through_the_jail(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text('def credit(state):\n    return state["agent_level"] + 0.1\n')
    (tmp_path / "wrong.py").write_text('def credit(state):\n    return state["sell"] + 1.0\n')
    done = cli("fidelity", "good.py", "wrong.py", "--task", LBF, "--json")
    assert done.code == 1
    right, wrong = done.lines()
    assert (right["verdict"], right["fidelity"]["n_states"], right["truth"]["source"]) == ("measured", 64, "shipped")
    assert (wrong["verdict"], wrong["stage"], wrong["line"]) == ("rejected", "trace", 2)


# Where the truth comes from


def test_an_artifact_names_its_task(cli: Cli, tmp_path: Path) -> None:
    artifact = world.save_credit(tmp_path / "mine", load_subject(LBF))
    data = cli("fidelity", artifact, "--json").json()
    assert (data["task"], data["truth"]["source"], data["truth"]["decisive"]) == (LBF, "shipped", 64)
    run = create_run("generate", "x", {})
    artifact.rename(run.path / "artifact")
    again = cli("fidelity", run.path.name, "--json").json()
    assert again["fidelity"] == data["fidelity"]


def test_rewards_of_actions_of_potentials(cli: Cli) -> None:
    """Those that ship; also where the task's own truth is asked for, since it knows nothing of actions."""
    bundled = ROOM / "rankings" / "two-switch" / "potentials"
    quick = ("--states", "2", "--visited", "24", "--continuations", "3", "--horizon", "5")
    done = cli("fidelity", bundled, *quick)
    rows = [line.split() for line in done.out.splitlines()]
    (found,) = (row for row in rows if row[:5] == ["rewards", "of", "an", "agent's", "actions"])
    (chance,) = (row for row in rows if row[:5] == ["all", "actions", "earn", "the", "same"])
    assert len(found) == len(chance) == 5 + 8
    assert chance[-4:] == ["+0.00", "+0.00", "to", "+0.00"]
    assert "the one that earns it most returns most" in done.out


def test_anything_but_the_defaults_is_measured_now(cli: Cli, tmp_path: Path) -> None:
    artifact = world.save_credit(tmp_path / "mine", load_subject(LBF))
    done = cli("fidelity", artifact, *QUICK, "--seed", "4", "--continuation", "random", "--json")
    truth = done.json()["truth"]
    assert truth["source"] == "measured"
    assert 1 <= truth["decisive"] <= 2
    assert truth["decisive"] <= truth["measured"] <= 12
    assert truth["simulator_steps"] > truth["measured"]
    assert truth["settings"] == {
        "states": 2,
        "visited": 12,
        "continuations": 3,
        "most_steps": 0,
        "horizon": 5,
        "discount": 0.99,
        "continuation": "random",
        "seed": 4,
    }
    assert cli("fidelity", artifact, *QUICK, "--seed", "4", "--continuation", "random", "--json").out == done.out
    text = cli("fidelity", artifact, *QUICK, "--seed", "4", "--continuation", "random").out
    assert f"found among {truth['measured']}" in text
    assert "of a random team" in text


def test_states_in_which_nothing_matters(cli: Cli, tmp_path: Path) -> None:
    """One step after the first: nobody can eat, so no action changes the return."""
    artifact = world.save_credit(tmp_path / "mine", load_subject("lbf-15x15-4p-3f-2s"))
    done = cli("fidelity", artifact, "--visited", "2", "--horizon", "0", "--json")
    assert done.code == 2
    assert "in none of 2 states is any agent's action seen to matter" in done.error()["cause"]


# What cannot be


@pytest.mark.usefixtures("fake_jail")
def test_a_task_without_a_simulator(cli: Cli, my_task: Path, known_task: Path, good: str, tmp_path: Path) -> None:
    bare = world.task_file(tmp_path / "bare")
    error = cli("fidelity", good, "--task", bare, "--json").error()
    assert error["family"] == "user"
    assert "no simulator" in error["cause"]
    assert "`true_credit`" in error["remedy"]
    # Its own truth answers for the defaults only.
    assert "no simulator" in cli("fidelity", good, "--task", known_task, "--seed", "1", "--json").error()["cause"]


def test_without_a_task(cli: Cli, good: str, tmp_path: Path) -> None:
    done = cli("fidelity", good, "--json")
    assert done.code == 2
    assert "--task" in done.error()["remedy"]
    for number, name in enumerate((LBF, "lbf-8x8-2p-2f-coop-2s")):
        world.save_credit(tmp_path / str(number), load_subject(name))
    assert "the artifacts name 2 tasks" in cli("fidelity", "0", "1", "--json").error()["cause"]


def test_an_artifact_never_names_a_file_to_read(cli: Cli, tmp_path: Path) -> None:
    path = world.task_file(tmp_path / "theirs")
    forged = world.save_credit(tmp_path / "forged", load_subject(str(path)), manifest={"task": str(path)})
    assert "the artifact names no built-in task" in cli("fidelity", forged, "--json").error()["cause"]


def test_an_artifact_for_another_task(cli: Cli, tmp_path: Path) -> None:
    artifact = world.save_credit(tmp_path / "mine", load_subject("lbf-8x8-2p-2f-coop-2s"))
    done = cli("fidelity", artifact, "--task", LBF, "--json")
    assert done.code == 2
    assert "differs from that of" in done.error()["cause"]


def test_a_graph_that_does_not_fit_its_own_layout(cli: Cli, tmp_path: Path) -> None:
    subject = load_subject(LBF)
    artifact = world.save_credit(tmp_path / "mine", subject)
    files: dict[str, Any] = {"layout.json": (artifact / "layout.json").read_bytes()}
    files[CREDIT_GRAPH] = world.graph(n_agents=3, state_size=subject.layout.size)
    save_artifact(artifact, manifest={"kind": "credit", "task": LBF}, files=files)
    assert "its graph is for 3 agents" in cli("fidelity", artifact, "--json").error()["cause"]


CASES = [
    (["generate-nothing-001"], "unknown artifact `generate-nothing-001`"),
    (["missing.py", "--task", LBF], "cannot read `missing.py`"),
    (["good.py", "--task", "lbf-5x5-2p1f"], "unknown task `lbf-5x5-2p1f`"),
    (["good.py", "--task", LBF, "--states", "0"], "measurement of credit"),
    (["good.py", "--task", LBF, "--jail", "lockdwn"], "unknown jail `lockdwn`"),
]


@pytest.mark.parametrize(("arguments", "what"), CASES, ids=[" ".join(a) for a, _ in CASES])
def test_errors_name_the_value(cli: Cli, good: str, arguments: list[str], what: str) -> None:
    done = cli("fidelity", *arguments, "--json")
    assert done.code == 2
    assert done.error()["what"].startswith(what)
