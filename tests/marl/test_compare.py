"""`compare` with stand-in trainings in real worker processes: folders, resume, settings, what is written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qredit.errors import ArtifactError, ConfigurationError, InfrastructureError, RunFolderError
from qredit.marl.comparison import Comparison
from qredit.marl.comparison_run import compare
from qredit.marl.contenders import Contender, check_comparable
from qredit.marl.jobs import JobProgress
from qredit.marl.settings import TrainSettings
from qredit.runs import Run, create_run, open_run
from qredit.task import EnvironmentSpec, Task

if TYPE_CHECKING:
    from tests.marl.conftest import Graphs, SaveGraph

SETTINGS = TrainSettings(total_steps=2000)
TASK = Task(
    name="toy",
    title="Toy",
    description="d",
    goal="g",
    reward="r",
    n_agents=2,
    actions=("a",),
    time_limit=5,
    environment=EnvironmentSpec(adapter="toy", id="Toy-v0"),
    optimum=30.0,
)


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setattr("qredit.marl.comparison_run.TRAIN", "toy_work:train")
    monkeypatch.setattr("qredit.marl.comparison_run.EVALUATE_RANDOM", "toy_work:evaluate_random")


@pytest.fixture
def mixer(graphs: type[Graphs], save_graph: SaveGraph) -> Path:
    return save_graph(graphs(2, 2).ones())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run("compare", "toy", {}, root=tmp_path / "runs")


def contenders(*names: str, mixer: Path | None = None, **changes: Any) -> list[Contender]:
    return [
        Contender(
            name, dataclasses.replace(SETTINGS, algorithm=name, **changes), mixer_path=mixer if name == "qllm" else None
        )
        for name in names
    ]


def visits(run: Run) -> Mapping[str, int]:
    """How often each training was started."""
    return {path.parent.name: len(path.read_text()) for path in sorted(run.path.glob("*/visits"))}


def test_every_algorithm_and_seed_has_a_run_folder_and_a_place_in_the_rows(run: Run, mixer: Path) -> None:
    found = compare(TASK, contenders("vdn", "qmix", "qllm", mixer=mixer), [0, 1], run, jobs=2)
    assert [row.name for row in found.rows] == ["random policy", "vdn", "qmix", "qllm", "optimum"]
    assert visits(run) == {f"{name}-seed{seed}": 1 for name in ("qllm", "qmix", "vdn") for seed in (0, 1)}
    assert found.row("random policy").mean_return == 2.5
    assert found.row("vdn").return_by_seed == {0: 10.0, 1: 11.0}
    assert found.row("vdn").area_by_seed == {0: 5.0, 1: 5.5}
    assert found.row("qllm").mean_return == 21.0
    assert found.row("qllm").vdn_difference == 0.75
    assert found.row("optimum").mean_return == 30.0
    assert (found.environment_steps, found.jobs, found.random_episodes) == (2000, 2, 100)
    verdicts = {row.name: row.return_against_vdn.verdict for row in found.rows if row.return_against_vdn}
    assert verdicts == {"qmix": "worse", "qllm": "better"}


def test_the_folder_holds_data_and_picture(run: Run) -> None:
    found = compare(TASK, contenders("vdn"), [0, 1], run, jobs=2)
    assert json.loads((run.path / "comparison.json").read_text())["rows"][1]["mean_return"] == 10.5
    assert (run.path / "comparison.csv").read_text().splitlines()[2] == "vdn,0,10.0,5.0"
    assert found.picture.read_bytes().startswith(b"\x89PNG")
    assert found.folder == run.path


def test_a_training_of_a_comparison_is_a_train_run_like_any_other(run: Run) -> None:
    compare(TASK, contenders("vdn"), [3], run, jobs=1)
    training = open_run(run.path / "vdn-seed3", kind="train")
    settings = training.record["settings"]
    assert settings["training"]["seed"] == 3
    assert settings["training"]["algorithm"] == "vdn"
    assert settings["task"]["name"] == "toy"


def test_progress_tells_of_every_training(run: Run) -> None:
    seen: list[JobProgress] = []
    compare(TASK, contenders("vdn"), [0, 1], run, jobs=1, on_progress=seen.append)
    for name in ("vdn-seed0", "vdn-seed1"):
        assert [p.state for p in seen if p.job == name][-1] == "finished"
        assert max(p.done for p in seen if p.job == name) == 2000
    assert {p.job for p in seen} == {"random-policy", "vdn-seed0", "vdn-seed1"}


def test_a_finished_comparison_trains_nothing_again_and_says_so(run: Run) -> None:
    first = compare(TASK, contenders("vdn", "qmix"), [0], run, jobs=1)
    before = {path: path.stat().st_mtime_ns for path in run.path.glob("*/result.json")}
    seen: list[JobProgress] = []
    second = compare(TASK, contenders("vdn", "qmix"), [0], run, jobs=1, on_progress=seen.append)
    assert second == first
    assert {path: path.stat().st_mtime_ns for path in run.path.glob("*/result.json")} == before
    assert [(p.job, p.state) for p in seen] == [
        ("random-policy", "kept"),
        ("vdn-seed0", "kept"),
        ("qmix-seed0", "kept"),
    ]


def test_an_interrupted_comparison_goes_on_and_ends_with_the_same_numbers(tmp_path: Path, run: Run) -> None:
    undisturbed = compare(
        TASK, contenders("vdn", "qmix"), [0, 1], create_run("compare", "toy", {}, root=tmp_path), jobs=1
    )
    (run.path / "kill-at-500").touch()
    with pytest.raises(InfrastructureError, match=r"`vdn-seed0` died: .*signal 9"):
        compare(TASK, contenders("vdn", "qmix"), [0, 1], run, jobs=1)
    assert not (run.path / "comparison.json").exists()
    resumed = compare(TASK, contenders("vdn", "qmix"), [0, 1], run, jobs=1)
    assert resumed.rows == undisturbed.rows
    assert visits(run) == {"vdn-seed0": 2, "vdn-seed1": 1, "qmix-seed0": 1, "qmix-seed1": 1}
    assert (run.path / "comparison.csv").read_text() == (undisturbed.folder / "comparison.csv").read_text()
    assert resumed.picture.read_bytes() == undisturbed.picture.read_bytes()


def test_ctrl_c_stops_it_and_leaves_what_is_finished(run: Run) -> None:
    def press_ctrl_c(progress: JobProgress) -> None:
        if progress.job == "vdn-seed1" and progress.state == "running":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(TASK, contenders("vdn"), [0, 1], run, jobs=1, on_progress=press_ctrl_c)
    assert (run.path / "vdn-seed0" / "result.json").exists()
    assert compare(TASK, contenders("vdn"), [0, 1], run, jobs=1).row("vdn").mean_return == 10.5


def test_going_on_with_other_settings_is_refused(run: Run) -> None:
    compare(TASK, contenders("vdn"), [0], run, jobs=1)
    with pytest.raises(RunFolderError, match=r": `learning_rate` is 0.1 and 0.001\. .*without `--resume`"):
        compare(TASK, contenders("vdn", learning_rate=0.1), [0], run, jobs=1)
    assert visits(run) == {"vdn-seed0": 1}


def test_going_on_with_another_mixer_is_refused(
    run: Run, mixer: Path, graphs: type[Graphs], save_graph: SaveGraph
) -> None:
    compare(TASK, contenders("qllm", mixer=mixer), [0], run, jobs=1)
    other = save_graph(graphs(2, 2).first_numbers())
    with pytest.raises(RunFolderError, match="mixer_sha256"):
        compare(TASK, contenders("qllm", mixer=other), [0], run, jobs=1)


def test_what_a_mixer_cannot_do_stops_before_anything_is_trained(
    run: Run, graphs: type[Graphs], save_graph: SaveGraph
) -> None:
    general, shares = save_graph(graphs(2, 2).product()), save_graph(graphs(2, 6).ones(form="shares"))
    with pytest.raises(ConfigurationError, match="it has no weights that could be replaced"):
        compare(TASK, contenders("vdn", "qllm", mixer=general, placebo="random"), [0], run, jobs=1)
    with pytest.raises(ArtifactError, match="shares out the team reward"):
        compare(TASK, contenders("vdn", "qllm", mixer=shares), [0], run, jobs=1)
    assert visits(run) == {}


def test_a_damaged_mixer_stops_before_anything_is_trained(run: Run, mixer: Path) -> None:
    (mixer / "credit.graph.json").write_bytes(b"[]")
    with pytest.raises(ArtifactError, match="SHA-256"):
        compare(TASK, contenders("vdn", "qllm", mixer=mixer), [0], run, jobs=1)
    assert visits(run) == {}


def test_more_seeds_can_be_added_to_a_finished_comparison(run: Run) -> None:
    compare(TASK, contenders("vdn"), [0], run, jobs=1)
    found = compare(TASK, contenders("vdn"), [0, 1, 2], run, jobs=2)
    assert visits(run) == {"vdn-seed0": 1, "vdn-seed1": 1, "vdn-seed2": 1}
    assert found.row("vdn").return_interval is not None


def test_words_for_the_language_model_may_change_between_attempts(run: Run) -> None:
    first = compare(TASK, contenders("vdn"), [0], run, jobs=1)
    assert compare(TASK.model_copy(update={"goal": "new words"}), contenders("vdn"), [0], run, jobs=1) == first


def test_an_algorithm_without_its_artifact_stops_before_anything_is_made(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="`qllm`: it needs a credit function"):
        compare(TASK, contenders("vdn", "qllm"), [0], run, jobs=1)
    assert [path.name for path in run.path.iterdir()] == ["run.json"]


def test_at_least_one_process_has_to_work(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="--jobs 1 or more"):
        compare(TASK, contenders("vdn"), [0], run, jobs=0)


def test_without_vdn_nothing_stands_beside_it(run: Run) -> None:
    found: Comparison = compare(TASK, contenders("qmix"), [0], run, jobs=1)
    assert found.row("qmix").return_against_vdn is None


def test_settings_that_differ_in_more_than_the_mixer_are_not_compared() -> None:
    unequal = [*contenders("vdn"), *contenders("qmix", learning_rate=0.1, batch_episodes=64)]
    with pytest.raises(ConfigurationError, match=r"`vdn` with `qmix`.*`batch_episodes` is 16 and 64, `learning_rate`"):
        check_comparable(unequal, [0])


def test_settings_of_the_mixer_itself_may_differ() -> None:
    check_comparable([*contenders("vdn"), *contenders("qmix", mixing_size=64)], [0, 1])


@pytest.mark.parametrize(
    ("names", "seeds", "message"),
    [
        ([], [0], "there are no algorithms"),
        (["vdn"], [], "there are no seeds"),
        (["vdn", "vdn"], [0], "one of the algorithms is named twice"),
        (["vdn"], [1, 1], "one of the seeds is named twice"),
    ],
)
def test_there_must_be_something_to_compare(names: list[str], seeds: list[int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_comparable(contenders(*names), seeds)
