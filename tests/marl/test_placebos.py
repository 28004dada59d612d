"""What an experiment varies about a credit function: placebos, its strength, its bias."""

from __future__ import annotations

import csv
import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl import make_environment, train
from qredit.marl.algorithms import Problem
from qredit.marl.algorithms.qllm import QLLM
from qredit.marl.checkpoint import Counters, load_checkpoint, save_checkpoint
from qredit.marl.learner import Learner
from qredit.marl.mixers import CreditMixer, Mixer, QLLMMixer, VDNMixer
from qredit.marl.mixers.placebos import placebo_weights
from qredit.marl.networks import AgentNetwork
from qredit.marl.replay import Episodes
from qredit.marl.settings import TrainSettings
from qredit.marl.streams import Stream, generator
from qredit.task import load_task

if TYPE_CHECKING:
    from pathlib import Path

    from qredit.credit import CreditGraph
    from qredit.runs import Run
    from tests.marl.conftest import Graphs, MakeRun, SaveGraph

N, A, S = 3, 2, 5
LAYOUT = StateLayout((StateField("numbers", (S,), "-", 0, 1, "Numbers.", ("x",)),))
PLAIN = TrainSettings(algorithm="qllm", mixing_size=6)


def rng(seed: int = 0) -> np.random.Generator:
    return generator(Stream.PLACEBO, seed)


def weights_and_reached(seed: int, e: int = 4, t: int = 6) -> tuple[Tensor, Tensor]:
    """Weights `[E, T + 1, N]` and which time points were reached `[E, T + 1]`; the first always is."""
    numbers = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, t + 1, (e, 1), generator=numbers)
    return torch.rand(e, t + 1, N, generator=numbers), torch.arange(t + 1) <= lengths


def mixer_of(graph: CreditGraph, **changes: Any) -> QLLMMixer:
    torch.manual_seed(0)
    return QLLMMixer(graph, LAYOUT, dataclasses.replace(PLAIN, **changes))


def batch(seed: int, *, b: int = 5, t: int = 4) -> Episodes:
    """Random episodes of 1 to `T` steps."""
    numbers = torch.Generator().manual_seed(seed)
    return Episodes(
        observations=torch.randn(b, t + 1, N, 3, generator=numbers),
        states=torch.rand(b, t + 1, S, generator=numbers),
        available_actions=torch.ones(b, t + 1, N, A, dtype=torch.bool),
        actions=torch.randint(0, A, (b, t, N), generator=numbers),
        rewards=torch.randn(b, t, generator=numbers),
        agent_rewards=torch.zeros(b, t, N),
        terminated=torch.rand(b, t, generator=numbers) < 0.3,
        filled=torch.arange(t) < torch.randint(1, t + 1, (b, 1), generator=numbers),
        credit=torch.zeros(b, t + 1, 0),
    )


def trained(mixer: Mixer, changes: TrainSettings = PLAIN, *, keep: bool = True) -> list[Tensor]:
    """Losses, and the parameters of the agents and their target, after three updates."""
    torch.manual_seed(1)
    network = AgentNetwork(observation_size=3, n_agents=N, n_actions=A, hidden_size=8, recurrent=False)
    made = Learner(network, mixer, dataclasses.replace(changes, target_update_tau=0.3))
    losses = []
    for k in range(3):
        episodes = batch(k)
        if keep:
            episodes = dataclasses.replace(episodes, credit=mixer.keep(episodes, k))
        made.reward_scale.see(episodes.rewards, episodes.filled)
        losses.append(made.update(episodes, 10 * k))
        made.update_target()
    return [*losses, *(p.detach() for p in (*network.parameters(), *made.target["agents"].parameters()))]


def assert_equal(first: list[Tensor], second: list[Tensor]) -> None:
    """To the last bit."""
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# Placebos


def test_placebos_by_hand() -> None:
    weights = torch.tensor([[[0.5, 1.0, 1.5], [0.0, 3.0, 0.0]]])
    reached = torch.tensor([[True, True]])
    assert placebo_weights("none", weights, reached, rng()).tolist() == weights.tolist()
    assert placebo_weights("uniform", weights, reached, rng()).tolist() == [[[1.0] * 3] * 2]
    permuted = placebo_weights("agents-permuted", weights, reached, rng())
    assert permuted.tolist() == [[[1.5, 0.5, 1.0], [0.0, 0.0, 3.0]]]
    swapped = [placebo_weights("time-shuffled", weights, reached, rng(seed))[0].tolist() for seed in range(20)]
    orders = ([[0.5, 1.0, 1.5], [0.0, 3.0, 0.0]], [[0.0, 3.0, 0.0], [0.5, 1.0, 1.5]])
    assert all(order in orders for order in swapped)
    assert all(order in swapped for order in orders)


@given(st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=60)
def test_time_shuffled_keeps_each_episodes_weights_and_the_padding(seed: int, draw: int) -> None:
    weights, reached = weights_and_reached(seed)
    before = weights.clone()
    shuffled = placebo_weights("time-shuffled", weights, reached, rng(draw))
    assert torch.equal(weights, before), "what it was given stays as it was"
    assert torch.equal(shuffled[~reached], weights[~reached])
    for episode in range(len(weights)):
        now, then = (sorted(part[episode][reached[episode]].tolist()) for part in (shuffled, weights))
        assert now == then


@given(st.integers(0, 10_000), st.integers(0, 10_000))
@settings(max_examples=60)
def test_random_deals_the_weights_of_each_time_point_anew(seed: int, draw: int) -> None:
    weights, reached = weights_and_reached(seed)
    dealt = placebo_weights("random", weights, reached, rng(draw))
    assert torch.equal(dealt.sort(dim=-1).values, weights.sort(dim=-1).values)
    assert torch.equal(dealt, placebo_weights("random", weights, reached, rng(draw)))


def test_random_gives_each_agent_each_weight_equally_often() -> None:
    weights = torch.tensor([1.0, 2.0, 3.0]).expand(3000, 4, N)
    dealt = placebo_weights("random", weights, torch.ones(3000, 4, dtype=torch.bool), rng())
    for agent in range(N):
        shares = [(dealt[..., agent] == value).float().mean().item() for value in (1, 2, 3)]
        assert shares == pytest.approx([1 / 3] * 3, abs=0.02)


def test_uniform_trains_like_vdn_to_the_last_bit(graphs: type[Graphs]) -> None:
    graph = graphs(N, S).first_numbers()
    assert_equal(trained(mixer_of(graph, placebo="uniform")), trained(VDNMixer()))
    function = trained(mixer_of(graph))
    assert not torch.equal(function[0], trained(VDNMixer())[0]), "the function itself is another thing"


@pytest.mark.parametrize("placebo", ["uniform", "agents-permuted", "time-shuffled", "random"])
def test_a_placebo_replaces_the_weights_and_leaves_the_bias(
    graphs: type[Graphs], placebo: Literal["uniform", "agents-permuted", "time-shuffled", "random"]
) -> None:
    graph, episodes = graphs(N, S).first_numbers(bias_of=4), batch(3)
    function, replaced = (mixer_of(graph, placebo=name).keep(episodes, 6) for name in ("none", placebo))
    assert replaced.shape == (5, 5, N + 1)
    assert torch.equal(replaced[..., N], function[..., N])
    assert not torch.equal(replaced[..., :N], function[..., :N])
    reached = episodes.reached
    expected = placebo_weights(placebo, function[..., :N], reached, generator(Stream.PLACEBO, 0, 6))
    assert torch.equal(replaced[reached][:, :N], expected[reached])


@pytest.mark.parametrize("placebo", ["time-shuffled", "random"])
def test_each_collection_and_each_seed_draws_its_own(graphs: type[Graphs], placebo: str) -> None:
    graph, episodes = graphs(N, S).first_numbers(), batch(3)
    kept = mixer_of(graph, placebo=placebo).keep(episodes, 6)
    assert torch.equal(kept, mixer_of(graph, placebo=placebo).keep(episodes, 6))
    assert not torch.equal(kept, mixer_of(graph, placebo=placebo).keep(episodes, 7))
    assert not torch.equal(kept, mixer_of(graph, placebo=placebo, seed=1).keep(episodes, 6))


@pytest.mark.parametrize("placebo", ["uniform", "agents-permuted", "time-shuffled", "random"])
def test_a_function_without_weights_has_no_placebo(graphs: type[Graphs], placebo: str) -> None:
    with pytest.raises(ConfigurationError, match=f"placebo `{placebo}`"):
        mixer_of(graphs(N, S).product(), placebo=placebo)


# What is kept


@pytest.mark.parametrize("bias_of", [None, 4])
def test_kept_credit_is_what_asking_again_would_give(graphs: type[Graphs], bias_of: int | None) -> None:
    mixer, episodes = mixer_of(graphs(N, S).first_numbers(bias_of=bias_of), bias="function"), batch(2)
    reached = episodes.reached
    assert not reached.all()
    unreachable = episodes.states.masked_fill(~reached.unsqueeze(-1), torch.nan)  # the padding is not looked at
    kept = mixer.keep(dataclasses.replace(episodes, states=unreachable), 0)
    assert kept.shape == (5, 5, N + (bias_of is not None))
    assert not kept[~reached].any()
    states, values = episodes.states[reached], torch.randn(int(reached.sum()), N)
    asked = mixer(values.unsqueeze(1), states.unsqueeze(1)).squeeze(1)
    assert torch.equal(mixer.mix(values, states, kept[reached]), asked)
    assert_equal(trained(mixer), trained(mixer_of(graphs(N, S).first_numbers(bias_of=bias_of)), keep=False))


def test_a_function_without_weights_keeps_nothing(graphs: type[Graphs]) -> None:
    assert mixer_of(graphs(N, S).product()).keep(batch(0), 0).shape == (5, 5, 0)


# Strength


def test_without_strength_a_function_is_vdn_with_its_bias(graphs: type[Graphs]) -> None:
    values, states = torch.randn(4, 2, N), torch.rand(4, 2, S)
    total = VDNMixer()(values, states)
    weak = {"credit_strength": 0.0}
    assert torch.equal(mixer_of(graphs(N, S).first_numbers(), **weak)(values, states), total)
    with_bias = mixer_of(graphs(N, S).first_numbers(bias_of=4), **weak)(values, states)
    assert torch.equal(with_bias, total + states[..., 4:])
    assert torch.equal(mixer_of(graphs(N, S).product(), **weak)(values, states), total)
    assert_equal(trained(mixer_of(graphs(N, S).first_numbers(), **weak), _settings(**weak)), trained(VDNMixer()))


@pytest.mark.parametrize("form", ["weights", "general"])
def test_at_full_strength_it_is_the_function_to_the_last_bit(graphs: type[Graphs], form: str) -> None:
    graph = graphs(N, S).product() if form == "general" else graphs(N, S).first_numbers(bias_of=4)
    values, states = torch.randn(4, 2, N), torch.rand(4, 2, S)
    assert torch.equal(mixer_of(graph)(values, states), CreditMixer(graph)(values, states))


def test_half_strength_by_hand(graphs: type[Graphs]) -> None:
    values, states = torch.tensor([[[2.0, 3.0, 5.0]]]), torch.zeros(1, 1, S)
    states[..., :3] = torch.tensor([1.0, 2.0, 3.0])  # weights 1/2, 1, 3/2: a quarter of the way 7/8, 1, 9/8
    weighed = mixer_of(graphs(N, S).first_numbers(), credit_strength=0.25)(values, states)
    assert weighed.item() == pytest.approx(2 * 7 / 8 + 3 + 5 * 9 / 8)
    general = mixer_of(graphs(N, S).product(), credit_strength=0.25)(values, states)
    assert general.item() == pytest.approx(0.75 * (2 + 3 + 5) + 0.25 * 30)


def _settings(**changes: Any) -> TrainSettings:
    return dataclasses.replace(PLAIN, **changes)


@pytest.mark.parametrize(("steps", "strength"), [(0, 0.9), (25, 0.7), (50, 0.5), (100, 0.1), (101, 0.1), (10**9, 0.1)])
def test_strength_moves_linearly_with_the_environments_steps(graphs: type[Graphs], steps: int, strength: float) -> None:
    annealed = _settings(credit_strength=0.9, credit_strength_end=0.1, credit_anneal_steps=100)
    mixer = QLLMMixer(graphs(N, S).first_numbers(), LAYOUT, annealed)
    assert mixer.strength == 0.9
    mixer.prepare(environment_steps=steps, reward_deviation=1.0)
    assert mixer.strength == pytest.approx(strength)
    constant = QLLMMixer(graphs(N, S).first_numbers(), LAYOUT, _settings(credit_strength=0.9))
    constant.prepare(environment_steps=steps, reward_deviation=1.0)
    assert constant.strength == 0.9


def test_an_update_brings_online_and_target_mixer_to_the_strength_and_the_units_of_the_time(
    graphs: type[Graphs],
) -> None:
    annealed = _settings(credit_strength=0.0, credit_strength_end=1.0, credit_anneal_steps=40)
    network = AgentNetwork(observation_size=3, n_agents=N, n_actions=A, hidden_size=4, recurrent=False)
    learner = Learner(network, QLLMMixer(graphs(N, S).first_numbers(bias_of=4), LAYOUT, annealed), annealed)
    learner.reward_scale.see(torch.tensor([[-3.0, 5.0]]), torch.ones(1, 2, dtype=torch.bool))  # deviation 4
    learner.update(batch(0), environment_steps=30)
    for networks in (learner.online, learner.target):
        mixer = networks["mixer"]
        assert isinstance(mixer, QLLMMixer)
        assert (mixer.strength, mixer.function.bias_unit) == (0.75, 0.25)


# Learned bias


def test_a_learned_bias_stands_in_place_of_the_functions(graphs: type[Graphs]) -> None:
    graph = graphs(N, S).first_numbers(bias_of=4)
    mixer, values, states = mixer_of(graph, bias="learned"), torch.randn(4, 2, N), torch.rand(4, 2, S)
    assert mixer.bias is not None
    without = CreditMixer(graph, bias="none")(values, states)
    assert torch.equal(mixer(values, states), without + mixer.bias(states))
    assert [tuple(p.shape) for p in mixer.parameters()] == [(6, S), (6,), (1, 6), (1,)]
    assert list(mixer_of(graph).parameters()) == list(mixer_of(graph, bias="none").parameters()) == []


@pytest.mark.parametrize("form", ["weights", "general"])
def test_a_learned_bias_trains_and_the_function_does_not(graphs: type[Graphs], form: str) -> None:
    graph = graphs(N, S).product() if form == "general" else graphs(N, S).first_numbers()
    mixer = mixer_of(graph, bias="learned")
    before = [p.detach().clone() for p in mixer.parameters()]
    assert mixer.bias is not None
    trained(mixer)
    assert all(not torch.equal(a, b) for a, b in zip(before, mixer.parameters(), strict=True))


@dataclass(frozen=True)
class Sizes:
    """Three agents with two actions."""

    layout: StateLayout = LAYOUT
    n_agents: int = N
    n_actions: int = A
    observation_size: int = 3
    time_limit: int = 4


def test_a_learned_bias_survives_a_checkpoint(graphs: type[Graphs], tmp_path: Path) -> None:
    options = _settings(bias="learned", batch_episodes=4, updates_per_collection=2, buffer_episodes=10)
    graph, made = graphs(N, S).first_numbers(bias_of=4), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        made.append(QLLM(Problem(Sizes(), options, torch.device("cpu"), graph)))
    first, second = made
    done = Counters(episodes=5, updates=first.learn(batch(0), Counters()).updates)
    values, states = torch.randn(4, 2, N), torch.rand(4, 2, S)
    assert not torch.equal(first.mixer(values, states), second.mixer(values, states))
    save_checkpoint(tmp_path, algorithm=first, counters=done, evaluations=(), identity={})
    assert load_checkpoint(tmp_path, algorithm=second, identity={}) is not None
    for one, other in zip(made[0].networks.values(), made[1].networks.values(), strict=True):
        assert isinstance(one, nn.ModuleDict)
        assert isinstance(other, nn.ModuleDict)
        mixers = [networks["mixer"] for networks in (one, other)]
        outputs = []
        for mixer in mixers:
            assert isinstance(mixer, QLLMMixer)
            mixer.prepare(environment_steps=0, reward_deviation=1.0)
            outputs.append(mixer(values, states))
        assert torch.equal(*outputs)
    losses = [algorithm.learn(batch(1), done).loss for algorithm in made]
    assert torch.equal(*losses)


# Whole trainings


class StopError(Exception):
    """Raised by a progress callback in the middle of a training."""


def _stop(done: int, total: int) -> None:
    if done >= 450:
        raise StopError


def _end(run: Run) -> tuple[list[str], dict[str, Tensor]]:
    """Metrics without seconds, as text, and the tensors of the checkpoint."""
    with (run.path / "metrics.csv").open(newline="") as file:
        rows = [json.dumps({k: v for k, v in row.items() if k != "seconds"}) for row in csv.DictReader(file)]
    (path,) = (run.path / "checkpoint").glob("*.safetensors")
    return rows, safetensors.torch.load_file(path)


def test_a_training_with_all_of_it_resumes_to_the_same_end(
    small: TrainSettings, graphs: type[Graphs], save_graph: SaveGraph, make_run: MakeRun
) -> None:
    task = load_task("lbf-5x5-2p-1f")
    size = make_environment(task, 1).layout.size
    path = save_graph(graphs(2, size).first_numbers(bias_of=4))
    varied = dataclasses.replace(
        small,
        algorithm="qllm",
        placebo="random",
        bias="learned",
        credit_strength=0.2,
        credit_strength_end=0.9,
        credit_anneal_steps=500,
    )
    undisturbed, stopped, plain = make_run(), make_run(), make_run()
    train(task, varied, undisturbed, mixer_path=path)
    with pytest.raises(StopError):
        train(task, varied, stopped, mixer_path=path, on_progress=_stop)
    train(task, varied, stopped, mixer_path=path, resume=True)
    (rows, tensors), (rows_again, tensors_again) = _end(undisturbed), _end(stopped)
    assert rows == rows_again
    assert tensors.keys() == tensors_again.keys()
    assert all(torch.equal(tensor, tensors_again[name]) for name, tensor in tensors.items())
    assert any(".bias." in name for name in tensors)
    train(task, dataclasses.replace(varied, placebo="none"), plain, mixer_path=path)
    assert _end(plain)[0] != rows
