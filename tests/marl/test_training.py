"""Whole trainings on the official environment: determinism, exact resume, metrics and results."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch

from qredit.errors import ArtifactError, ConfigurationError, RunFolderError, StorageError, UnknownNameError
from qredit.files import write_atomic
from qredit.marl import ALGORITHMS, make_environment, train
from qredit.marl.algorithms import algorithm_named
from qredit.marl.choosing import epsilon_greedy
from qredit.marl.networks import AgentNetwork
from qredit.marl.rollout import Collector, evaluate
from qredit.marl.settings import TrainSettings
from qredit.marl.streams import Stream, episode_seeds, generator
from qredit.marl.training import TrainResult
from qredit.runs import Run
from qredit.task import load_task

if TYPE_CHECKING:
    from tests.marl.conftest import GameTask, Graphs, MakeRun, SaveGraph

TASK = load_task("lbf-5x5-2p-1f")
STATE_SIZE = make_environment(TASK, 1).layout.size
COLUMNS = (
    "environment_steps,seconds,episodes,updates,epsilon,loss,greedy_return,greedy_return_std,sampled_return,"
    "greedy_completed,sampled_completed"
)


def rows(run: Run) -> list[dict[str, float]]:
    with (run.path / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def rows_without_seconds(run: Run) -> list[str]:
    """As text, so that not-a-number equals itself and floats are compared to the last digit."""
    with (run.path / "metrics.csv").open(newline="") as file:
        return [json.dumps({k: v for k, v in row.items() if k != "seconds"}) for row in csv.DictReader(file)]


def tensors(run: Run) -> dict[str, torch.Tensor]:
    (path,) = (run.path / "checkpoint").glob("*.safetensors")
    return safetensors.torch.load_file(path)


def notes(run: Run) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((run.path / "checkpoint" / "checkpoint.json").read_text())
    return data


def assert_same_training(a: Run, b: Run) -> None:
    """Equal in everything but seconds, to the last bit."""
    assert rows_without_seconds(a) == rows_without_seconds(b)
    results = [json.loads((run.path / "result.json").read_text()) for run in (a, b)]
    assert {**results[0], "seconds": 0} == {**results[1], "seconds": 0}
    first, second = tensors(a), tensors(b)
    assert first.keys() == second.keys()
    assert any(".exp_avg_sq" in name for name in first)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    assert notes(a)["reward_scale"] == notes(b)["reward_scale"]


def artifact_for(algorithm: str, graphs: type[Graphs], save_graph: SaveGraph) -> Path | None:
    """A credit function that is not VDN, with a bias: weights are agent positions."""
    if not algorithm_named(algorithm).credit_forms(TrainSettings()):
        return None
    return save_graph(graphs(2, STATE_SIZE).first_numbers(bias_of=4))


class StopError(Exception):
    """Raised by a progress callback in the middle of a training."""


def stop_at(steps: int) -> Any:
    def on_progress(done: int, total: int) -> None:
        if done >= steps:
            raise StopError

    return on_progress


# Every algorithm


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_trains_end_to_end(
    algorithm: str,
    recurrent: bool,
    small: TrainSettings,
    graphs: type[Graphs],
    save_graph: SaveGraph,
    make_run: MakeRun,
) -> None:
    settings = dataclasses.replace(small, algorithm=algorithm, recurrent=recurrent, total_steps=201)
    run = make_run()
    result = train(TASK, settings, run, mixer_path=artifact_for(algorithm, graphs, save_graph))
    assert isinstance(result, TrainResult)
    assert notes(run)["counters"]["collections"] >= 2
    assert notes(run)["counters"]["updates"] >= 2
    assert math.isfinite(rows(run)[-1]["loss"])
    assert 0 <= result.final_return <= 1 + 1e-6
    assert all(torch.isfinite(tensor).all() for tensor in tensors(run).values())


def test_the_seed_decides_everything(small: TrainSettings, make_run: MakeRun) -> None:
    settings = dataclasses.replace(small, algorithm="qmix", recurrent=True)
    first, second, other = make_run(), make_run(), make_run()
    train(TASK, settings, first)
    torch.rand(7)  # the caller's random numbers do not matter
    np.random.seed(3)
    train(TASK, settings, second)
    assert_same_training(first, second)
    train(TASK, dataclasses.replace(settings, seed=1), other)
    assert rows_without_seconds(first) != rows_without_seconds(other)


def test_ones_train_like_vdn(
    small: TrainSettings, graphs: type[Graphs], save_graph: SaveGraph, make_run: MakeRun
) -> None:
    vdn, ones, other = make_run(), make_run(), make_run()
    train(TASK, small, vdn)
    qllm = dataclasses.replace(small, algorithm="qllm")
    result = train(TASK, qllm, ones, mixer_path=save_graph(graphs(2, STATE_SIZE).ones()))
    assert rows_without_seconds(vdn) == rows_without_seconds(ones)
    a, b = tensors(vdn), tensors(ones)
    credit = b.pop("replay.credit")
    assert torch.equal(credit, torch.ones(len(b["replay.states"]), 2))
    assert a.pop("replay.credit").shape == (len(credit), 0)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert result.vdn_difference == 0.0
    path = save_graph(graphs(2, STATE_SIZE).first_numbers())
    result = train(TASK, qllm, other, mixer_path=path)
    assert rows_without_seconds(vdn)[-1] != rows_without_seconds(other)[-1]
    assert result.vdn_difference is not None
    assert 0.3 < result.vdn_difference < 1


def test_the_bias_can_be_left_out(
    small: TrainSettings, graphs: type[Graphs], save_graph: SaveGraph, make_run: MakeRun
) -> None:
    path = save_graph(graphs(2, STATE_SIZE).ones(bias_of=4))
    vdn, with_bias, without = make_run(), make_run(), make_run()
    train(TASK, small, vdn)
    qllm = dataclasses.replace(small, algorithm="qllm")
    train(TASK, qllm, with_bias, mixer_path=path)
    train(TASK, dataclasses.replace(qllm, bias="none"), without, mixer_path=path)
    assert rows_without_seconds(without) == rows_without_seconds(vdn)
    assert rows_without_seconds(with_bias) != rows_without_seconds(vdn)


# Resume


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_stopped_training_resumes_to_the_same_end(
    algorithm: str, small: TrainSettings, graphs: type[Graphs], save_graph: SaveGraph, make_run: MakeRun
) -> None:
    settings = dataclasses.replace(small, algorithm=algorithm, recurrent=algorithm == "qllm", target_update_interval=3)
    path = artifact_for(algorithm, graphs, save_graph)
    undisturbed, stopped = make_run(), make_run()
    train(TASK, settings, undisturbed, mixer_path=path)
    with pytest.raises(StopError):
        train(TASK, settings, stopped, mixer_path=path, on_progress=stop_at(450))
    assert (stopped.path / "checkpoint").exists()
    assert not (stopped.path / "result.json").exists()
    with pytest.raises(StopError):  # and a second time, before another checkpoint
        train(TASK, settings, stopped, mixer_path=path, resume=True, on_progress=stop_at(0))
    train(TASK, settings, stopped, mixer_path=path, resume=True)
    assert_same_training(undisturbed, stopped)


KILLED = """
import json, os, signal, sys
from pathlib import Path
from qredit.marl import TrainSettings, train
from qredit.runs import Run
from qredit.task import load_task

folder, task, settings = Path(sys.argv[1]), sys.argv[2], TrainSettings(**json.loads(sys.argv[3]))

def on_progress(done, total):
    if done >= 900:
        saved = json.loads((folder / "checkpoint" / "checkpoint.json").read_text())
        assert 0 < saved["counters"]["environment_steps"] < done
        os.kill(os.getpid(), signal.SIGKILL)

train(load_task(task), settings, Run(folder), on_progress=on_progress)
"""


def test_a_training_killed_without_warning_resumes_to_the_same_end(small: TrainSettings, make_run: MakeRun) -> None:
    settings = dataclasses.replace(
        small, algorithm="qmix", total_steps=1500, checkpoint_interval=500, evaluation_interval=150
    )
    undisturbed, killed = make_run(), make_run()
    train(TASK, settings, undisturbed)
    command = [sys.executable, "-c", KILLED, str(killed.path), TASK.name, json.dumps(dataclasses.asdict(settings))]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == -signal.SIGKILL, process.stderr
    saved = notes(killed)["counters"]["environment_steps"]
    assert rows(killed)[-1]["environment_steps"] > saved, "evaluations beyond the checkpoint are to be repeated"
    train(TASK, settings, killed, resume=True)
    assert_same_training(undisturbed, killed)


def test_resuming_without_a_checkpoint_starts_from_the_beginning(small: TrainSettings, make_run: MakeRun) -> None:
    settings = dataclasses.replace(small, total_steps=300)
    a, b = make_run(), make_run()
    train(TASK, settings, a)
    train(TASK, settings, b, resume=True)
    assert_same_training(a, b)


def test_resuming_a_finished_training_changes_nothing(small: TrainSettings, make_run: MakeRun) -> None:
    settings = dataclasses.replace(small, total_steps=300)
    run = make_run()
    first = train(TASK, settings, run)
    metrics = (run.path / "metrics.csv").read_bytes()
    assert train(TASK, settings, run, resume=True) == first
    assert (run.path / "metrics.csv").read_bytes() == metrics


def test_a_damaged_checkpoint_or_other_settings_are_refused(small: TrainSettings, make_run: MakeRun) -> None:
    settings = dataclasses.replace(small, total_steps=300)
    run = make_run()
    train(TASK, settings, run)
    metrics = (run.path / "metrics.csv").read_bytes()
    with pytest.raises(RunFolderError, match="`learning_rate`"):
        train(TASK, dataclasses.replace(settings, learning_rate=0.5), run, resume=True)
    with pytest.raises(RunFolderError, match=r"`time_limit`|`name`|`environment`"):
        train(load_task("lbf-8x8-2p-2f-coop-2s"), settings, run, resume=True)
    (path,) = (run.path / "checkpoint").glob("*.safetensors")
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(bytes(data))
    with pytest.raises(RunFolderError, match="SHA-256"):
        train(TASK, settings, run, resume=True)
    assert (run.path / "metrics.csv").read_bytes() == metrics


def test_another_credit_function_is_another_training(
    small: TrainSettings, graphs: type[Graphs], save_graph: SaveGraph, make_run: MakeRun
) -> None:
    settings = dataclasses.replace(small, algorithm="qllm", total_steps=300)
    run = make_run()
    train(TASK, settings, run, mixer_path=save_graph(graphs(2, STATE_SIZE).ones()))
    with pytest.raises(RunFolderError, match="`mixer_sha256`"):
        train(TASK, settings, run, mixer_path=save_graph(graphs(2, STATE_SIZE).ones(scale="raw")), resume=True)


def test_new_words_in_a_task_file_do_not_stop_a_resume(small: TrainSettings, make_run: MakeRun) -> None:
    settings = dataclasses.replace(small, total_steps=300)
    run = make_run()
    first = train(TASK, settings, run)
    reworded = TASK.model_copy(update={"title": "Another title", "goal": "Said otherwise."})
    assert train(reworded, settings, run, resume=True) == first


def test_a_full_disk_in_the_middle_leaves_a_training_that_can_be_resumed(
    small: TrainSettings, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, full = make_run(), make_run()
    train(TASK, small, undisturbed)
    with monkeypatch.context() as patch:
        saved: list[int] = []

        def write(path: Path, data: bytes) -> None:
            if path.suffix == ".safetensors":
                saved.append(len(data))
                if len(saved) == 2:
                    raise StorageError(f"cannot write `{path}`", cause="disk full", remedy="Free some space.")
            write_atomic(path, data)

        patch.setattr("qredit.marl.checkpoint.write_atomic", write)
        with pytest.raises(StorageError, match="disk full"):
            train(TASK, small, full)
    assert not (full.path / "result.json").exists()
    train(TASK, small, full, resume=True)
    assert_same_training(undisturbed, full)


# Metrics and results


def test_metrics_and_result_of_a_training(small: TrainSettings, make_run: MakeRun) -> None:
    run = make_run()
    result = train(TASK, small, run)
    lines = (run.path / "metrics.csv").read_text().splitlines()
    assert lines[0] == COLUMNS
    table = rows(run)
    steps = [row["environment_steps"] for row in table]
    assert steps[0] == 0
    assert steps[-1] == result.environment_steps >= small.total_steps
    assert steps == sorted(set(steps))
    crossed = [int(step // small.evaluation_interval) for step in steps[:-1]]
    assert crossed == sorted(set(crossed)), "one evaluation per interval"
    assert table[0]["updates"] == table[0]["episodes"] == 0
    assert math.isnan(table[0]["loss"])
    assert all(math.isfinite(row["loss"]) for row in table[1:])
    assert [row["epsilon"] for row in table] == pytest.approx([small.epsilon(int(step)) for step in steps])
    assert [row["seconds"] for row in table] == sorted(row["seconds"] for row in table)
    assert table[-1]["episodes"] % small.n_environments == 0
    assert all(0 <= row["greedy_return"] <= 1 + 1e-6 for row in table)
    assert json.loads((run.path / "result.json").read_text()) == dataclasses.asdict(result)
    assert list(dataclasses.asdict(result)) == [
        "algorithm",
        "task",
        "seed",
        "environment_steps",
        "seconds",
        "final_return",
        "area_under_curve",
        "vdn_difference",
        "final_sampled_return",
    ]
    assert (result.algorithm, result.task, result.seed) == ("vdn", TASK.name, 0)
    assert result.vdn_difference is None
    assert result.final_return == table[-1]["greedy_return"]
    returns = [row["greedy_return"] for row in table]
    area = float(np.trapezoid(returns, steps)) / steps[-1]
    assert result.area_under_curve == pytest.approx(area)
    assert list((run.path / "tensorboard").iterdir())


def test_tensorboard_shows_what_the_table_says_even_after_a_resume(small: TrainSettings, make_run: MakeRun) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
        EventAccumulator,
    )

    run = make_run()
    settings = dataclasses.replace(small, checkpoint_interval=300, evaluation_interval=100)
    with pytest.raises(StopError):
        train(TASK, settings, run, on_progress=stop_at(500))
    time.sleep(1.0)  # within a second and a process the files are numbered, and their names sort 10 before 9
    train(TASK, settings, run, resume=True)
    board = EventAccumulator(str(run.path / "tensorboard"))
    board.Reload()
    shown = {event.step: event.value for event in board.Scalars("greedy_return")}
    assert len(board.Scalars("greedy_return")) == len(shown)
    assert list(shown) == [row["environment_steps"] for row in rows(run)]
    assert list(shown.values()) == pytest.approx([row["greedy_return"] for row in rows(run)])


def test_rewards_are_counted_once_each_and_only_where_a_step_took_place(
    small: TrainSettings, make_run: MakeRun
) -> None:
    run = make_run()
    result = train(TASK, dataclasses.replace(small, buffer_episodes=500), run)
    count, total, total_square = notes(run)["reward_scale"]
    assert count == result.environment_steps == notes(run)["counters"]["environment_steps"]
    held = tensors(run)["replay.rewards"].double()  # without padding
    assert len(held) == count
    assert total == pytest.approx(float(held.sum()))
    assert total_square == pytest.approx(float(held.square().sum()))
    assert total > 0


def test_progress_is_told_and_ends_with_the_total(small: TrainSettings, make_run: MakeRun) -> None:
    told: list[tuple[int, int]] = []
    train(TASK, small, make_run(), on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (600, 600)
    assert {total for _, total in told} == {600}
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_updates_begin_once_there_is_a_batch_and_then_follow_every_collection(
    small: TrainSettings, make_run: MakeRun
) -> None:
    run = make_run()
    train(TASK, dataclasses.replace(small, batch_episodes=9, updates_per_collection=3, buffer_episodes=50), run)
    counters = notes(run)["counters"]
    assert counters["updates"] == 3 * (counters["collections"] - 2)  # 4 and 8 episodes are less than 9
    assert counters["episodes"] == 4 * counters["collections"]


def test_no_two_updates_collections_or_evaluations_draw_the_same_numbers(
    small: TrainSettings, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Stream, int, int]] = []

    def listen(stream: Stream, seed: int, counter: int = 0) -> np.random.Generator:
        asked.append((stream, seed, counter))
        return generator(stream, seed, counter)

    for module in ("training", "algorithms.off_policy"):
        monkeypatch.setattr(f"qredit.marl.{module}.generator", listen)
    run = make_run()
    train(TASK, small, run)
    counters = notes(run)["counters"]
    assert len(asked) == len(set(asked)) == counters["updates"] + counters["collections"] + len(rows(run))


# Playing


def fresh_network(seed: int = 0, recurrent: bool = False) -> AgentNetwork:
    environment = make_environment(TASK, 1)
    torch.manual_seed(seed)
    return AgentNetwork(
        observation_size=environment.observation_size, n_agents=2, n_actions=6, hidden_size=8, recurrent=recurrent
    )


@pytest.mark.parametrize("recurrent", [False, True])
def test_greedy_returns_do_not_depend_on_how_many_environments_play(recurrent: bool) -> None:
    network = fresh_network(recurrent=recurrent)
    device = torch.device("cpu")
    several = evaluate(make_environment(TASK, 4), network, episodes=10, device=device)
    alone = evaluate(make_environment(TASK, 1), network, episodes=10, device=device)
    assert several.returns.shape == several.completed.shape == (10,)
    assert several.returns.tolist() == pytest.approx(alone.returns.tolist())
    assert several.completed.tolist() == alone.completed.tolist()


def test_evaluation_may_explore_without_touching_what_is_learnt(small: TrainSettings, make_run: MakeRun) -> None:
    runs = []
    for epsilon in (0.0, 1.0):
        runs.append(make_run())
        train(TASK, dataclasses.replace(small, algorithm="vdn", total_steps=201, evaluation_epsilon=epsilon), runs[-1])
    (greedy, random), (learned, same) = map(rows, runs), map(tensors, runs)
    assert [row["greedy_return"] for row in greedy] != [row["greedy_return"] for row in random]
    assert all(torch.equal(tensor, same[name]) for name, tensor in learned.items())


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_collection_without_exploration_is_greedy_play(recurrent: bool) -> None:
    network, environment = fresh_network(3, recurrent), make_environment(TASK, 10)
    seeds = episode_seeds(Stream.EVALUATION_EPISODES, 0, 0, 10)
    collector = Collector(environment, network, torch.device("cpu"))
    rng = generator(Stream.EXPLORATION, 0)
    collector.collect(list(range(10)), choose=epsilon_greedy(1.0), rng=rng)  # its storage is used again
    episodes = collector.collect(seeds, choose=epsilon_greedy(0.0), rng=rng)
    returns = (episodes.rewards * episodes.filled).sum(dim=1)
    expected = evaluate(make_environment(TASK, 10), network, episodes=10, device=torch.device("cpu"))
    assert returns.tolist() == pytest.approx(expected.returns.tolist())
    assert episodes.terminated.any(dim=1).tolist() == expected.completed.tolist()
    with torch.no_grad():
        values = network(episodes.observations.transpose(0, 1))[0].transpose(0, 1)[:, :-1]
    taken = values.gather(-1, episodes.actions.unsqueeze(-1)).squeeze(-1)
    assert torch.allclose(taken[episodes.filled], values.amax(dim=-1)[episodes.filled], atol=1e-6)


def test_collected_episodes_are_what_the_environment_showed() -> None:
    collector = Collector(make_environment(TASK, 6), fresh_network(), torch.device("cpu"))
    episodes = collector.collect([1, 2, 3, 4, 5, 6], choose=epsilon_greedy(1.0), rng=generator(Stream.EXPLORATION, 0))
    lengths = episodes.filled.sum(dim=1).tolist()
    ended = episodes.terminated.any(dim=1).tolist()
    assert any(ended)
    for e, seed in enumerate(range(1, 7)):
        environment = make_environment(TASK, 1)
        now = environment.reset([seed])
        for t in range(lengths[e]):
            assert episodes.observations[e, t].numpy().tolist() == now.observations[0].tolist()
            assert episodes.states[e, t].numpy().tolist() == now.states[0].tolist()
            assert not now.ended[0]
            now = environment.step(episodes.actions[e, t : t + 1].numpy())
            assert episodes.rewards[e, t].item() == now.rewards[0]
            assert episodes.terminated[e, t].item() == now.terminated[0]
        assert now.ended[0]
        assert episodes.states[e, lengths[e]].numpy().tolist() == now.states[0].tolist()
        assert episodes.observations[e, lengths[e]].numpy().tolist() == now.observations[0].tolist()
        assert ended[e] == (lengths[e] < 50 or bool(now.terminated[0]))
        assert episodes.filled[e].tolist() == [t < lengths[e] for t in range(50)]
        assert not episodes.rewards[e, lengths[e] :].any()
        assert not episodes.terminated[e, lengths[e] :].any()


def test_exploration_has_the_rate_it_is_told() -> None:
    network = fresh_network()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0]))  # greedy: NONE
    collector = Collector(make_environment(TASK, 20), network, torch.device("cpu"))
    chosen = []
    for k in range(3):
        rng = generator(Stream.EXPLORATION, 0, k)
        episodes = collector.collect(list(range(20)), choose=epsilon_greedy(0.3), rng=rng)
        chosen.append(episodes.actions[episodes.filled])
    share = (torch.cat(chosen) != 0).double().mean().item()
    assert share == pytest.approx(0.3 * 5 / 6, abs=0.02)


# Mistakes


def test_what_does_not_fit_together_is_refused_before_anything_is_written(
    small: TrainSettings, graphs: type[Graphs], save_graph: SaveGraph, make_run: MakeRun, tmp_path: Path
) -> None:
    run = make_run()
    qllm = dataclasses.replace(small, algorithm="qllm")
    three_agents = save_graph(graphs(3, STATE_SIZE).ones())
    other_state = save_graph(graphs(2, STATE_SIZE + 1).ones())
    with pytest.raises(ConfigurationError, match="made for 3 agents, the task has 2"):
        train(TASK, qllm, run, mixer_path=three_agents)
    with pytest.raises(ConfigurationError, match=f"made for {STATE_SIZE + 1} numbers in the state"):
        train(TASK, qllm, run, mixer_path=other_state)
    with pytest.raises(ConfigurationError, match="needs a credit function"):
        train(TASK, qllm, run)
    with pytest.raises(ConfigurationError, match="does not use a credit function"):
        train(TASK, small, run, mixer_path=three_agents)
    with pytest.raises(ArtifactError, match="no artifact"):
        train(TASK, qllm, run, mixer_path=tmp_path)
    with pytest.raises(UnknownNameError, match="algorithm `vdm`"):
        train(TASK, dataclasses.replace(small, algorithm="vdm"), run)
    with pytest.raises(ConfigurationError, match="device `nonsense`"):
        train(TASK, dataclasses.replace(small, device="nonsense"), run)
    with pytest.raises(ConfigurationError, match="device `cuda`"):
        train(TASK, dataclasses.replace(small, device="cuda"), run)
    assert [path.name for path in run.path.iterdir()] == ["run.json"]


def test_repeated_games_terminate_and_do_not_bootstrap(game_task: GameTask, make_run: MakeRun) -> None:
    """Three rounds of a game with payoff 6: the greedy return is a multiple of what the learner found."""
    settings = TrainSettings(
        total_steps=1200,
        n_environments=4,
        batch_episodes=16,
        buffer_episodes=300,
        updates_per_collection=2,
        hidden_size=16,
        learning_rate=5e-3,
        epsilon_end=0.3,
        epsilon_anneal_steps=900,
        evaluation_interval=600,
        evaluation_episodes=2,
        checkpoint_interval=10_000,
    )
    assert train(game_task("additive", steps=3), settings, make_run()).final_return == 18.0
