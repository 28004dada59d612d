"""`train` and `compare`, on trainings of a second."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qredit.api import load_subject
from qredit.cli.training import parse_seeds
from qredit.errors import ConfigurationError
from tests.cli import world
from tests.cli.conftest import Cli
from tests.cli.world import QUICK

TASK = "lbf-5x5-2p-1f"


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """A credit function for the small board."""
    return world.save_credit(tmp_path / "artifact", load_subject(TASK))


def test_train(cli: Cli) -> None:
    done = cli("train", TASK, *QUICK, "--json")
    assert done.code == 0, done.err
    data = done.json()
    assert set(data) == {"run", "result"}
    assert (data["result"]["algorithm"], data["result"]["seed"], data["result"]["vdn_difference"]) == ("vdn", 0, None)
    assert data["result"]["environment_steps"] >= 300
    run = Path(data["run"])
    assert json.loads((run / "result.json").read_text()) == data["result"]
    assert {p.name for p in run.iterdir()} >= {"run.json", "metrics.csv", "tensorboard", "checkpoint", "result.json"}
    again = cli("train", TASK, *QUICK, "--resume", run, "--json")
    assert again.json()["result"]["final_return"] == data["result"]["final_return"]
    other = cli("train", TASK, *QUICK, "--seed", "1", "--resume", run, "--json")
    assert other.code == 2
    assert other.error()["family"] == "user"


def test_train_with_a_credit_function(cli: Cli, artifact: Path) -> None:
    done = cli("train", TASK, *QUICK, "--algorithm", "qllm", "--mixer", artifact)
    assert done.code == 0, done.err
    assert done.out.startswith("qllm, seed 0: greedy return ")
    assert "% of the visited states" in done.out
    assert "run " in done.err
    (run,) = Path("runs").iterdir()
    assert run.name == f"train-{TASK}-qllm-001"


CONTRADICTIONS = [
    (["--algorithm", "qllm"], "it needs a credit function"),
    (["--mixer", "{artifact}"], "it does not use a credit function"),
    (["--gamma", "1.5"], "`gamma` is 1.5"),
    (["--total-steps", "0"], "`total_steps` is 0"),
    (["--device", "tpu9"], ""),
    (["--algorithm", "qllm", "--mixer", "{tmp}/empty"], "there is no `artifact.json`"),
]


@pytest.mark.parametrize(("arguments", "cause"), CONTRADICTIONS, ids=[" ".join(a) for a, _ in CONTRADICTIONS])
def test_settings_that_do_not_fit(cli: Cli, artifact: Path, tmp_path: Path, arguments: list[str], cause: str) -> None:
    (tmp_path / "empty").mkdir()
    filled = [a.format(artifact=artifact, tmp=tmp_path) for a in arguments]
    done = cli("train", TASK, *QUICK, *filled, "--json")
    assert done.code == 2
    assert done.error()["family"] == "user"
    assert cause in done.error()["cause"]


def test_a_task_without_an_environment(cli: Cli, my_task: Path) -> None:
    done = cli("train", my_task, *QUICK, "--json")
    assert done.code == 2
    assert done.error()["family"] == "user"


def test_every_flipped_byte_is_noticed(cli: Cli, artifact: Path) -> None:
    path = artifact / "credit.graph.json"
    good = path.read_bytes()
    for position in (0, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        done = cli("train", TASK, *QUICK, "--algorithm", "qllm", "--mixer", artifact, "--json")
        assert done.code == 2
        assert done.error()["family"] == "user"
        assert "`credit.graph.json` does not match its SHA-256" in done.error()["cause"]
    assert not Path("runs").exists()


FORGERIES: list[tuple[dict[str, object], bytes | None, str]] = [
    ({"kind": "potential"}, None, "its kind is `potential`"),
    ({}, b"no json", "`layout.json` is no state layout"),
    ({}, b"[" * 100_000, "`layout.json` is no state layout"),
    ({}, b"5", "`layout.json` is no state layout"),
    ({}, b"[]", "`layout.json` is no state layout"),
    ({}, b'[{"name": 5}]', "`layout.json` is no state layout"),
]


@pytest.mark.parametrize(("manifest", "layout", "cause"), FORGERIES, ids=[str(i) for i in range(len(FORGERIES))])
def test_forged_artifacts(
    cli: Cli, tmp_path: Path, manifest: dict[str, object], layout: bytes | None, cause: str
) -> None:
    """Hashes that fit say nothing: whoever forges a file forges the manifest too."""
    forged = world.save_credit(tmp_path / "forged", load_subject(TASK), layout=layout, manifest=manifest)
    done = cli("train", TASK, *QUICK, "--algorithm", "qllm", "--mixer", forged, "--json")
    assert done.code == 2
    assert cause in done.error()["cause"]
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_mixer_for_another_layout(cli: Cli, my_task: Path, tmp_path: Path, command: str) -> None:
    other = world.save_credit(tmp_path / "other", load_subject(str(my_task)))
    algorithm = ("--algorithm", "qllm") if command == "train" else ("--algorithms", "vdn,qllm")
    done = cli(command, TASK, *QUICK, *algorithm, "--mixer", other, "--json")
    assert done.code == 2
    assert done.error()["cause"] == (
        "it was made for the state of task `my-task`, which differs from that of `lbf-5x5-2p-1f`"
    )
    assert not Path("runs").exists()


# compare


def test_compare_and_its_resume(cli: Cli, artifact: Path) -> None:
    arguments = ("compare", TASK, *QUICK, "--algorithms", "vdn, qllm", "--seeds", "2", "--mixer", artifact)
    done = cli(*arguments, "--json")
    assert done.code == 0, done.err
    data = done.json()
    run = Path(data["run"])
    rows = [row["name"] for row in data["comparison"]["rows"]]
    assert rows == ["random policy", "vdn", "qllm", "optimum"]
    assert {p.name for p in run.iterdir()} >= {"learning_curves.png", "comparison.csv", "comparison.json", "run.json"}
    (run / "learning_curves.png").unlink()
    again = cli(*arguments, "--resume", run)
    assert again.code == 0
    assert (run / "learning_curves.png").is_file()
    for word in ("random", "vdn", "qllm", "optimum", "[s]", f"picture  {run}", f"data     {run}"):
        assert word in again.out
    assert cli(*arguments, "--resume", run, "--json").json()["comparison"] == data["comparison"]
    assert len(list(Path("runs").iterdir())) == 1
    other = cli(*arguments, "--resume", run, "--gamma", "0.5", "--json")
    assert other.code == 2
    assert "`gamma` is 0.5 and 0.99" in other.error()["cause"]


COMPARISONS = [
    ("--algorithms vdn,qllm", "it needs a credit function"),
    ("--algorithms vdn,vdn", "named twice"),
    ("--algorithms ,", "there are no algorithms"),
    ("--algorithms vdn --seeds 1,1", "named twice"),
    ("--algorithms vdn --seeds x", "no list of numbers"),
    ("--algorithms vdn --seeds 0-999999999999", "more than 1000"),
    ("--algorithms vdn --resume nothing", "no run has this name"),
]


@pytest.mark.parametrize(("arguments", "cause"), COMPARISONS, ids=[a for a, _ in COMPARISONS])
def test_comparisons_that_make_no_sense(cli: Cli, arguments: str, cause: str) -> None:
    done = cli("compare", TASK, *QUICK, *arguments.split(" "), "--json")
    assert done.code == 2
    assert cause in done.error()["cause"]


def test_compare_has_no_option_of_what_it_compares(cli: Cli) -> None:
    assert cli("compare", TASK, "--seed", "1").code == 2
    assert cli("compare", TASK, "--jobs", "0").code == 2


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0", [0]), ("0,1,5", [0, 1, 5]), ("0-4", [0, 1, 2, 3, 4]), (" 7 , 2-3", [7, 2, 3]), ("3-3", [3])],
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text", ["", ",", "a", "1,,2", "-1", "1-", "4-0", "1-2-3", "0-1000", "0-999,1000-1999", "1e3", "9" * 5000]
)
def test_no_seeds(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Write `0,1,2` or `0-4`\."):
        parse_seeds(text)
