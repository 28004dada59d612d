"""Everything that ships: recordings replay prompt by prompt and end with the artifact beside them; artifacts train."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from qredit.artifact import bundled_artifact, bundled_artifacts, load_artifact
from qredit.prompts.files import ROOM
from tests.cli.conftest import Cli
from tests.cli.world import QUICK

RECORDED = sorted(path.parent for path in (ROOM / "recordings").glob("*/recording.jsonl"))
NUMBER = re.compile(r"\d+\.\d+")
ROUNDING = 0.02
RANKED = sorted(path.parent for path in (ROOM / "rankings").glob("*/recording.jsonl"))
TRANSFERRED = sorted(path.parent for path in (ROOM / "transferred").glob("*/artifact.json"))


@pytest.mark.usefixtures("real_jail")
@pytest.mark.parametrize("folder", RECORDED, ids=[folder.name for folder in RECORDED])
def test_a_recording_replays(cli: Cli, folder: Path) -> None:
    artifact = load_artifact(folder / "artifact")
    done = cli("generate", folder.name, "--model", "replay", "--json")
    assert done.code == 0, done.err
    found = done.json()
    if not re.search(r"\b0 of \d+ prompts differ from the recording", done.err):
        assert_same_but_for_rounding(prompts(folder), prompts(Path(found["run"])))
    assert (found["chosen"], found["payload_sha256"]) == (
        artifact.manifest["chosen"],
        artifact.manifest["checks"]["payload_sha256"],
    )
    assert found["score"] == pytest.approx(artifact.manifest["score"], abs=ROUNDING)


def prompts(folder: Path) -> dict[str, str]:
    """What each answered call of a run was asked, by its place in the run."""
    trace = map(json.loads, (folder / "trace.jsonl").read_text().splitlines())
    return {one["id"]: json.dumps(one["gen_ai.input.messages"]) for one in trace if "gen_ai.input.messages" in one}


def assert_same_but_for_rounding(expected: dict[str, str], found: dict[str, str]) -> None:
    """Where two agents' credits are nearly equal, another processor ranks them otherwise, and a score moves a bit."""
    assert expected.keys() == found.keys()
    for place, text in expected.items():
        for ours, theirs in zip(found[place].split(r"\n"), text.split(r"\n"), strict=True):
            if ours != theirs:
                assert "Kendall's tau" in theirs, place
                assert NUMBER.sub("#", ours) == NUMBER.sub("#", theirs), place
                numbers = [[float(n) for n in NUMBER.findall(one)] for one in (ours, theirs)]
                assert numbers[0] == pytest.approx(numbers[1], abs=ROUNDING), place


@pytest.mark.usefixtures("real_jail")
@pytest.mark.parametrize("folder", TRANSFERRED, ids=[folder.name for folder in TRANSFERRED])
def test_a_transferred_function_is_what_its_code_leads_to(cli: Cli, folder: Path) -> None:
    done = cli("reproduce", folder, "--json")
    assert done.code == 0, done.out
    manifest = load_artifact(folder).manifest
    code = (bundled_artifact(manifest["taken_from"]) / "credit.py").read_text()
    assert (folder / "credit.py").read_text() == code


@pytest.mark.usefixtures("real_jail")
@pytest.mark.parametrize("folder", RANKED, ids=[folder.name for folder in RANKED])
def test_a_recorded_ranking_replays(cli: Cli, folder: Path) -> None:
    done = cli("rank", folder.name, "--model", "replay", "--json")
    assert done.code == 0, done.err
    found = done.json()
    assert found["drift"]["differing"] == 0
    assert found["drift"]["total"] == found["calls"]
    ours, shipped = load_artifact(found["potentials"]), load_artifact(folder / "potentials")
    assert ours.files["describe.py"] == shipped.files["describe.py"]
    assert ours.manifest["origin"] == shipped.manifest["origin"]
    fits = [artifact.manifest["fit"] for artifact in (ours, shipped)]  # sums are rounded otherwise on other processors
    assert fits[0]["validation_accuracy"] == pytest.approx(fits[1]["validation_accuracy"], abs=0.03)


@pytest.mark.parametrize("folder", RANKED, ids=[folder.name for folder in RANKED])
def test_bundled_potentials_train(cli: Cli, folder: Path) -> None:
    options = ("--algorithm", "ippo", "--rewards", "potentials", "--potentials", "builtin")
    done = cli("train", folder.name, *options, *QUICK, "--json")
    assert done.code == 0, done.err
    done = cli("train", "victim-rubble", *options, *QUICK)
    assert done.code == 2
    assert "none ship with qredit yet" in done.err


@pytest.mark.parametrize("folder", [*RANKED, *RECORDED, *TRANSFERRED], ids=lambda folder: str(folder.name))
def test_no_recording_names_a_path_or_a_key(folder: Path) -> None:
    """What ships was made somewhere: no folder of that machine, no key stands in it."""
    for path in (p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".npz", ".safetensors")):
        text = path.read_text(errors="replace")
        assert not re.search(r"(?<![\w.])/(?:home|tmp|work|root|usr|var)/|\bsk-[A-Za-z0-9]{8}", text), path.name
    if folder in RECORDED:
        json.loads((folder / "run.json").read_text())


@pytest.mark.parametrize("task", sorted(bundled_artifacts()))
def test_a_bundled_function_trains(cli: Cli, task: str) -> None:
    if load_artifact(bundled_artifact(task)).manifest["form"] == "shares":
        pytest.skip("shares are for policy gradients")
    done = cli("train", task, "--algorithm", "qllm", "--mixer", "builtin", *QUICK, "--json")
    assert done.code == 0, done.err
