"""`export`: one file of plain torch, its head, and what stands in its way."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from qredit.api import load_subject
from qredit.artifact import CREDIT_GRAPH, bundled_artifact, load_artifact, save_artifact
from qredit.files import sha256
from qredit.marl import load_mixer
from tests.cli import world
from tests.cli.conftest import Cli

TASK = "lbf-5x5-2p-1f"


def load(path: Path) -> Any:
    """The file as a module."""
    spec = importlib.util.spec_from_file_location("exported_mixer", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_ships_becomes_the_same_mixer(cli: Cli) -> None:
    """Values, credit and gradients of `load_mixer`, with the bias in the units of the rewards and without it."""
    done = cli("export", TASK, "--torch", "mixer.py", "--class-name", "Credit")
    assert (done.code, done.err) == (0, "")
    assert "class Credit, for torch >= 1.10" in done.out
    generator = torch.Generator().manual_seed(0)
    states = torch.randint(0, 5, (4, 6, 11), generator=generator).float()
    for bias in ("function", "none"):
        ours, theirs = load_mixer(bundled_artifact(TASK), bias=bias), load(Path("mixer.py")).Credit(bias=bias)
        ours.bias_unit = theirs.bias_unit = 0.25
        outcomes = []
        for mixer in (ours, theirs):
            values = torch.randn(4, 6, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
            q_tot = mixer(values, states)
            outcomes.append((q_tot, mixer.credit(states), *torch.autograd.grad(q_tot.square().sum(), [values])))
        assert outcomes[0][0].shape == (4, 6, 1)
        assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


def test_the_head(cli: Cli) -> None:
    assert cli("export", TASK, "--torch", "mixer.py").code == 0
    text = Path("mixer.py").read_text()
    assert f"# Task: {TASK}\n" in text
    assert f"SHA-256 {sha256(load_artifact(bundled_artifact(TASK)).files[CREDIT_GRAPH])}\n" in text
    assert "#   [4:6] agent_level [2], level, 1 to 2: Level of each agent;" in text
    assert "qredit" not in "".join(line for line in text.splitlines() if not line.startswith("#"))


def test_json(cli: Cli) -> None:
    done = cli("export", "matrix-climbing", "--torch", "folder/m.py", "--json")
    data = done.json()
    assert Path("folder/m.py").is_file()
    assert (data["form"], data["class_name"], data["torch"], data["file"]) == (
        "general", "CreditMixer", "1.10", "folder/m.py"
    )  # fmt: skip


def test_a_file_that_is_there_stays(cli: Cli) -> None:
    Path("mixer.py").write_text("mine\n")
    assert "there already" in cli("export", TASK, "--torch", "mixer.py", "--json").error()["cause"]
    assert Path("mixer.py").read_text() == "mine\n"
    assert cli("export", TASK, "--torch", "mixer.py", "--force").code == 0
    assert "class CreditMixer" in Path("mixer.py").read_text()


def test_nothing_is_written_where_it_fails(cli: Cli) -> None:
    """A class name that is none, an artifact that is none or of another kind, and a path that cannot be written."""
    assert (
        "identifier" in cli("export", TASK, "--torch", "m.py", "--class-name", "import os", "--json").error()["cause"]
    )
    assert cli("export", "lbf-5x5-2p", "--torch", "m.py", "--json").error()["what"] == "unknown artifact `lbf-5x5-2p`"
    other = save_artifact(Path("other"), manifest={"kind": "text", "task": TASK}, files={"texts.json": b"{}"})
    assert "its kind is `text`" in cli("export", other.path, "--torch", "m.py", "--json").error()["cause"]
    assert not Path("m.py").exists()
    Path("file").write_text("")
    assert cli("export", TASK, "--torch", "file/m.py", "--json").error()["family"] == "infrastructure"
    assert cli("export", TASK).code == 2


def test_forged_artifacts(cli: Cli) -> None:
    """A layout of another size, none at all, and words that would like to be code."""
    subject = load_subject(TASK)
    layout = subject.layout.to_json()
    short = world.save_credit(Path("short"), subject, layout=json.dumps(layout[:-1]).encode())
    cause = "its layout has 9 numbers, its function reads 11"
    assert cli("export", short, "--torch", "m.py", "--json").error()["cause"] == cause
    layout[0]["meaning"] = "x\nimport os\r\u2028os.abort()"
    evil = world.save_credit(
        Path("evil"), subject, layout=json.dumps(layout).encode(), manifest={"task": 'a\n"""\nraise SystemExit'}
    )
    assert cli("export", evil, "--torch", "m.py").code == 0
    assert load(Path("m.py")).CreditMixer.state_size == 11
    assert '# Task: a\\n"""\\nraise SystemExit\n' in Path("m.py").read_text()


@pytest.mark.parametrize("change", ["credit.graph.json", "layout.json"])
def test_a_damaged_artifact(cli: Cli, change: str) -> None:
    folder = world.save_credit(Path("damaged"), load_subject(TASK))
    (folder / change).write_bytes((folder / change).read_bytes() + b" ")
    assert "does not match its SHA-256" in cli("export", folder, "--torch", "m.py", "--json").error()["cause"]
    assert not Path("m.py").exists()
