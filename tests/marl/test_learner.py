"""One update of value decomposition by hand, shaping by a credit function's bias, and a game with a known optimum."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qredit.credit import CreditGraph
from qredit.errors import ConfigurationError, UnknownNameError
from qredit.layout import StateField, StateLayout
from qredit.marl import ALGORITHMS, train
from qredit.marl.algorithms import algorithm_named, algorithm_of
from qredit.marl.curves import read_columns
from qredit.marl.learner import Learner
from qredit.marl.mixers import Mixer, QLLMMixer, QMixer, VDNMixer
from qredit.marl.networks import AgentNetwork
from qredit.marl.replay import Episodes
from qredit.marl.reward_scale import RewardScale
from qredit.marl.settings import TrainSettings

if TYPE_CHECKING:
    from tests.marl.conftest import GameTask, Graphs, MakeRun, SaveGraph

PLAIN = TrainSettings(standardise_rewards=False, gamma=0.9, learning_rate=0.01)
N, A, S = 2, 3, 4


class Table(AgentNetwork):
    """Action values looked up by the observation, which is a row's number."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__(observation_size=1, n_agents=N, n_actions=A, hidden_size=1, recurrent=False)
        self.table = nn.Parameter(torch.tensor(rows))

    def forward(self, observations: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return self.table[observations[..., 0].long()], None


def episode(
    rows: list[list[int]],
    actions: list[list[int]],
    rewards: list[float],
    *,
    terminated: bool,
    states: list[list[float]] | None = None,
    padding: int = 0,
) -> Episodes:
    """One episode: `rows [T + 1, N]` are what the agents observe; the padding is full of nonsense."""
    t = len(rewards)
    made = Episodes(
        observations=torch.zeros(1, t + 1 + padding, N, 1),
        states=torch.full((1, t + 1 + padding, S), 77.0),
        available_actions=torch.ones(1, t + 1 + padding, N, A, dtype=torch.bool),
        actions=torch.full((1, t + padding, N), 1),
        rewards=torch.full((1, t + padding), 1000.0),
        agent_rewards=torch.full((1, t + padding, N), 1000.0),
        terminated=torch.zeros(1, t + padding, dtype=torch.bool),
        filled=torch.zeros(1, t + padding, dtype=torch.bool),
        credit=torch.zeros(1, t + 1 + padding, 0),
    )
    made.observations[0, : t + 1, :, 0] = torch.tensor(rows).float()
    made.states[0, : t + 1] = torch.zeros(t + 1, S) if states is None else torch.tensor(states)
    made.actions[0, :t] = torch.tensor(actions)
    made.rewards[0, :t] = torch.tensor(rewards)
    made.terminated[0, t - 1] = terminated
    made.filled[0, :t] = True
    return made


def together(*parts: Episodes) -> Episodes:
    """A batch of episodes of equal length."""
    names = parts[0].tensors()
    return Episodes(**{name: torch.cat([part.tensors()[name] for part in parts]) for name in names})


def credit_mixer(graph: CreditGraph, *, bias: Literal["function", "none"] = "function") -> QLLMMixer:
    """A credit function as trainings use it."""
    layout = StateLayout((StateField("number", (S,), "-", 0, 1, "Numbers.", ("x",)),))
    return QLLMMixer(graph, layout, TrainSettings(bias=bias))


ONLINE = [[1.0, 5.0, 2.0], [0.0, 3.0, 9.0], [4.0, -1.0, 0.0]]
TARGET = [[10.0, 50.0, 20.0], [7.0, 30.0, 90.0], [40.0, 60.0, -5.0]]


def table_of(networks: nn.ModuleDict) -> Tensor:
    """The table of the online or the target network."""
    network = networks["agents"]
    assert isinstance(network, Table)
    return network.table


def learner(settings: TrainSettings = PLAIN, mixer: Mixer | None = None) -> Learner:
    """Online values `ONLINE`, target values `TARGET`."""
    made = Learner(Table(ONLINE), VDNMixer() if mixer is None else mixer, settings)
    with torch.no_grad():
        table_of(made.target).copy_(torch.tensor(TARGET))
    return made


# The loss by hand


STEP = {"rows": [[0, 1], [1, 2]], "actions": [[2, 0]], "rewards": [1.0]}
"""Observing rows 0 and 1 the agents do 2 and 0 (values 2 + 0), then they observe rows 1 and 2."""


def test_double_q_takes_the_targets_value_of_the_online_networks_choice() -> None:
    # Online prefers action 2 in row 1 and action 0 in row 2; there the target network says 90 and 40.
    loss = learner().loss(episode(**STEP, terminated=False))  # type: ignore[arg-type]
    assert loss.item() == pytest.approx((2 - (1 + 0.9 * (90 + 40))) ** 2)


def test_without_double_q_the_target_network_chooses_itself() -> None:
    # The target network prefers action 2 in row 1 and action 1 in row 2: 90 and 60.
    plain = learner(dataclasses.replace(PLAIN, double_q=False))
    loss = plain.loss(episode(**STEP, terminated=False))  # type: ignore[arg-type]
    assert loss.item() == pytest.approx((2 - (1 + 0.9 * (90 + 60))) ** 2)


@pytest.mark.parametrize(("double_q", "best"), [(True, 30 + 40), (False, 30 + 40)])
def test_actions_that_are_not_available_are_never_chosen(double_q: bool, best: int) -> None:
    batch = episode(**STEP, terminated=False)  # type: ignore[arg-type]
    batch.available_actions[0, 1, 0, 2] = False  # the first agent's best: next best is action 1, worth 3 and 30
    batch.available_actions[0, 1, 1, 1] = False
    loss = learner(dataclasses.replace(PLAIN, double_q=double_q)).loss(batch)
    assert loss.item() == pytest.approx((2 - (1 + 0.9 * best)) ** 2)


def test_nothing_follows_the_end_of_the_world() -> None:
    loss = learner().loss(episode(**STEP, terminated=True))  # type: ignore[arg-type]
    assert loss.item() == pytest.approx((2 - 1) ** 2)


def test_the_loss_is_the_mean_over_the_steps_that_took_place() -> None:
    long = episode([[0, 0], [1, 1], [0, 0]], [[1, 1], [2, 2]], [0.0, 3.0], terminated=True)
    short = episode([[0, 1], [1, 2]], [[2, 0]], [1.0], terminated=False, padding=1)
    errors = [
        5 + 5 - 0.9 * (90 + 90),  # then both see row 1
        9 + 9 - 3,  # and the world ends
        2 + 0 - (1 + 0.9 * (90 + 40)),
    ]
    expected = sum(error**2 for error in errors) / 3
    assert learner().loss(together(long, short)).item() == pytest.approx(expected)


@pytest.mark.parametrize("recurrent", [False, True])
def test_padding_changes_neither_loss_nor_gradient(recurrent: bool) -> None:
    torch.manual_seed(0)
    network = AgentNetwork(observation_size=1, n_agents=N, n_actions=A, hidden_size=4, recurrent=recurrent)
    both = []
    for padding in (0, 3):
        made = Learner(network, VDNMixer(), PLAIN)
        loss = made.loss(
            episode([[0, 1], [2, 0], [1, 1]], [[2, 0], [0, 1]], [1.0, 2.0], terminated=True, padding=padding)
        )
        made.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        both.append((loss.item(), [p.grad.clone() for p in network.parameters() if p.grad is not None]))
    (loss_a, grads_a), (loss_b, grads_b) = both
    assert loss_a == pytest.approx(loss_b)
    assert len(grads_a) == len(grads_b) > 0
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(grads_a, grads_b, strict=True))


def test_weights_enter_the_value_and_the_bootstrapped_value(graphs: type[Graphs]) -> None:
    states = [[1.0, 3.0, 0, 0], [3.0, 1.0, 0, 0]]  # weights 0.5, 1.5 and then 1.5, 0.5
    made = learner(mixer=credit_mixer(graphs(N, S).first_numbers()))
    loss = made.loss(episode(**STEP, terminated=False, states=states))  # type: ignore[arg-type]
    assert loss.item() == pytest.approx((0.5 * 2 - (1 + 0.9 * (1.5 * 90 + 0.5 * 40))) ** 2)


# Updates


def test_the_target_network_moves_by_its_share_and_only_when_told() -> None:
    made = learner(dataclasses.replace(PLAIN, target_update_tau=0.25))
    made.update(episode(**STEP, terminated=False))  # type: ignore[arg-type]
    assert table_of(made.target).tolist() == TARGET
    made.update_target()
    expected = 0.75 * torch.tensor(TARGET) + 0.25 * table_of(made.online).detach()
    assert torch.allclose(table_of(made.target), expected)
    assert not torch.equal(table_of(made.online), torch.tensor(ONLINE))


def test_a_share_of_one_copies_the_online_network() -> None:
    made = learner(dataclasses.replace(PLAIN, target_update_tau=1.0))
    made.update_target()
    assert table_of(made.target).tolist() == ONLINE


def test_only_the_values_of_the_actions_taken_are_updated() -> None:
    made = learner()
    made.update(episode(**STEP, terminated=False))  # type: ignore[arg-type]
    moved = table_of(made.online).detach() != torch.tensor(ONLINE)
    assert moved.tolist() == [[False, False, True], [True, False, False], [False, False, False]]
    # Adam's first step has the size of the learning rate; the target is above, so values rise.
    assert table_of(made.online)[0, 2].item() == pytest.approx(2.01, abs=1e-5)


def test_the_gradient_is_clipped() -> None:
    made = learner(dataclasses.replace(PLAIN, gradient_clip=0.5))
    made.update(episode(**STEP, terminated=False))  # type: ignore[arg-type]
    gradient = table_of(made.online).grad
    assert gradient is not None
    assert gradient.norm().item() == pytest.approx(0.5, rel=1e-4)


def test_the_target_network_and_its_mixer_get_no_gradient() -> None:
    torch.manual_seed(0)
    layout_mixer = _qmix()
    made = Learner(Table(ONLINE), layout_mixer, PLAIN)
    made.update(episode(**STEP, terminated=False))  # type: ignore[arg-type]
    assert all(parameter.grad is None for parameter in made.target.parameters())
    assert any(parameter.grad.any() for parameter in layout_mixer.parameters() if parameter.grad is not None)


def _qmix() -> QMixer:
    from qredit.layout import StateField, StateLayout

    layout = StateLayout((StateField("numbers", (S,), "-", 0, 1, "Numbers.", ("x",)),))
    return QMixer(layout=layout, n_agents=N, mixing_size=4, hypernet_size=4)


# Ones are VDN


def _random_batch(seed: int) -> Episodes:
    rng = torch.Generator().manual_seed(seed)
    b, t = 5, 4
    filled = torch.arange(t) < torch.randint(1, t + 1, (b, 1), generator=rng)
    return Episodes(
        observations=torch.randn(b, t + 1, N, 3, generator=rng),
        states=torch.rand(b, t + 1, S, generator=rng),
        available_actions=torch.ones(b, t + 1, N, A, dtype=torch.bool),
        actions=torch.randint(0, A, (b, t, N), generator=rng),
        rewards=torch.randn(b, t, generator=rng),
        agent_rewards=torch.zeros(b, t, N),
        terminated=torch.rand(b, t, generator=rng) < 0.3,
        filled=filled,
        credit=torch.zeros(b, t + 1, 0),
    )


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("scale", ["sum_to_n", "raw"])
def test_ones_train_exactly_like_vdn(graphs: type[Graphs], recurrent: bool, scale: str) -> None:
    ends = []
    for mixer in (VDNMixer(), credit_mixer(graphs(N, S).ones(scale=scale))):
        torch.manual_seed(1)
        network = AgentNetwork(observation_size=3, n_agents=N, n_actions=A, hidden_size=8, recurrent=recurrent)
        made = Learner(network, mixer, TrainSettings(standardise_rewards=True, target_update_tau=0.3))
        losses = []
        for k in range(3):
            batch = _random_batch(k)
            made.reward_scale.see(batch.rewards, batch.filled)
            losses.append(made.update(batch).item())
            made.update_target()
        ends.append((losses, [p.clone() for p in (*network.parameters(), *made.target["agents"].parameters())]))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(a, b) for a, b in zip(ends[0][1], ends[1][1], strict=True))


# A credit function is asked once per state


@pytest.mark.parametrize("bias_of", [None, 2])
@pytest.mark.parametrize("bias", ["function", "none"])
def test_kept_outputs_train_exactly_like_asking_again(
    graphs: type[Graphs], bias_of: int | None, bias: Literal["function", "none"]
) -> None:
    ends = []
    for keep in (False, True):
        torch.manual_seed(1)
        network = AgentNetwork(observation_size=3, n_agents=N, n_actions=A, hidden_size=8, recurrent=False)
        mixer = credit_mixer(graphs(N, S).first_numbers(bias_of=bias_of), bias=bias)
        made = Learner(network, mixer, TrainSettings(standardise_rewards=True, target_update_tau=0.3))
        for k in range(3):
            batch = _random_batch(k)
            if keep:
                batch = dataclasses.replace(batch, credit=mixer.keep(batch, 0))
                batch.states.fill_(torch.nan)  # nobody looks at them again
            made.reward_scale.see(batch.rewards, batch.filled)
            loss = made.update(batch).item()
            made.update_target()
        ends.append((loss, [p.clone() for p in network.parameters()]))
    assert ends[0][0] == ends[1][0]
    assert all(torch.equal(a, b) for a, b in zip(ends[0][1], ends[1][1], strict=True))


# The bias is potential-based shaping


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("double_q", [False, True])
def test_the_bias_is_potential_based_shaping(graphs: type[Graphs], standardise: bool, double_q: bool) -> None:
    """The TD error with `f_b` equals that of the reward `r + gamma f_b(s') - f_b(s)` without it.

    `f_b` counts as 0 at terminal states, since the target has no value there; at the time limit it counts.
    """
    settings = dataclasses.replace(PLAIN, standardise_rewards=standardise, double_q=double_q)
    batch = _random_batch(4)
    assert (batch.terminated & batch.filled).any()
    assert (~batch.terminated & batch.filled).any()
    potential = batch.states[..., 2]  # [B, T + 1]
    ends = []
    for shaped in (False, True):
        torch.manual_seed(2)
        network = AgentNetwork(observation_size=3, n_agents=N, n_actions=A, hidden_size=8, recurrent=False)
        graph = graphs(N, S).first_numbers(bias_of=2)
        made = Learner(network, credit_mixer(graph, bias="none" if shaped else "function"), settings)
        made.reward_scale.see(4 * batch.rewards + 1, batch.filled)  # some scale or other, the same for both
        rewards = batch.rewards
        if shaped:
            following = potential[:, 1:].masked_fill(batch.terminated, 0.0)
            rewards = rewards + settings.gamma * following - potential[:, :-1]
        loss = made.loss(dataclasses.replace(batch, rewards=rewards))
        loss.backward()  # type: ignore[no-untyped-call]
        ends.append((loss.item(), [p.grad for p in network.parameters() if p.grad is not None]))
        unshaped = made.loss(batch).item()
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-5)
    assert ends[0][0] != pytest.approx(unshaped, rel=0.01), "the bias matters here"
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ends[0][1], ends[1][1], strict=True))


# Rewards


def test_the_reward_scale_counts_what_took_place_once() -> None:
    scale = RewardScale()
    rewards = torch.tensor([[1.0, 3.0, 99.0], [5.0, 99.0, 99.0]])
    filled = torch.tensor([[True, True, False], [True, False, False]])
    scale.see(rewards, filled)
    assert (scale.count, scale.mean) == (3, 3.0)
    assert scale.deviation == pytest.approx((8 / 3) ** 0.5)
    assert scale.apply(torch.tensor([3.0, 5.0])).tolist() == pytest.approx([0.0, 2 / (8 / 3) ** 0.5])
    scale.see(torch.tensor([[7.0]]), torch.tensor([[True]]))
    assert (scale.count, scale.mean) == (4, 4.0)
    assert scale.deviation == pytest.approx(np.std([1, 3, 5, 7]))


def test_a_reward_that_never_changes_stays_finite() -> None:
    scale = RewardScale()
    scale.see(torch.zeros(3, 3), torch.ones(3, 3, dtype=torch.bool))
    assert scale.deviation == pytest.approx(1e-4)
    assert scale.apply(torch.zeros(2)).tolist() == [0.0, 0.0]
    assert torch.isfinite(RewardScale().apply(torch.ones(2))).all()


def test_updates_standardise_but_do_not_count() -> None:
    made = learner(dataclasses.replace(PLAIN, standardise_rewards=True))
    made.reward_scale.see(torch.tensor([[1.0, 5.0]]), torch.ones(1, 2, dtype=torch.bool))  # mean 3, deviation 2
    loss = made.loss(episode([[0, 1], [1, 2]], [[2, 0]], [7.0], terminated=True))
    assert loss.item() == pytest.approx((2 - (7 - 3) / 2) ** 2)
    assert made.reward_scale.count == 2


# The network


@pytest.mark.parametrize("recurrent", [False, True])
def test_acting_step_by_step_equals_the_sequence(recurrent: bool) -> None:
    torch.manual_seed(0)
    network = AgentNetwork(observation_size=5, n_agents=3, n_actions=4, hidden_size=6, recurrent=recurrent)
    observations = torch.randn(7, 2, 3, 5)  # [T, B, N, O]
    whole, end = network(observations)
    assert whole.shape == (7, 2, 3, 4)
    hidden, steps = None, []
    for t in range(7):
        values, hidden = network(observations[t : t + 1], hidden)
        steps.append(values)
    assert torch.allclose(torch.cat(steps), whole, atol=1e-6)
    if recurrent:
        assert hidden is not None
        assert torch.allclose(hidden, end, atol=1e-6)
    else:
        assert hidden is end is None


def test_only_a_recurrent_network_remembers() -> None:
    observations = torch.zeros(2, 1, 3, 5)
    observations[0] = 1.0
    for recurrent in (False, True):
        torch.manual_seed(0)
        network = AgentNetwork(observation_size=5, n_agents=3, n_actions=4, hidden_size=6, recurrent=recurrent)
        remembered = network(observations)[0][1]
        alone = network(observations[1:])[0][0]
        assert torch.allclose(remembered, alone) != recurrent


def test_agents_share_the_network_and_are_told_apart_by_their_number() -> None:
    torch.manual_seed(0)
    network = AgentNetwork(observation_size=5, n_agents=3, n_actions=4, hidden_size=6, recurrent=False)
    values = network(torch.ones(1, 1, 3, 5))[0][0, 0]
    assert not torch.allclose(values[0], values[1])
    with torch.no_grad():
        network.identity.zero_()
    values = network(torch.ones(1, 1, 3, 5))[0][0, 0]
    assert torch.allclose(values[0], values[1])


# Algorithms


NEED_CREDIT = {"qllm", "vmix-qllm", "riit-qllm"}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_registry_and_what_each_algorithm_needs(name: str) -> None:
    settings = TrainSettings(algorithm=name)
    needs = name in NEED_CREDIT
    assert algorithm_of(settings, has_credit=needs) is algorithm_named(name)
    with pytest.raises(ConfigurationError, match=f"`{name}`"):
        algorithm_of(settings, has_credit=not needs)


def test_an_unknown_algorithm_is_refused_with_what_is_meant() -> None:
    with pytest.raises(UnknownNameError) as caught:
        algorithm_of(TrainSettings(algorithm="qmixx"), has_credit=False)
    assert "qmix" in caught.value.suggestions


def test_options_of_its_own_are_checked() -> None:
    with pytest.raises(UnknownNameError, match="option of `vdn`"):
        algorithm_of(TrainSettings(own={"heads": 4}), has_credit=False)


@pytest.mark.parametrize("rewards", ["individual", "shares"])
def test_an_algorithm_refuses_rewards_that_it_cannot_learn_from(rewards: Literal["individual", "shares"]) -> None:
    with pytest.raises(ConfigurationError, match="it learns from `team`"):
        algorithm_of(TrainSettings(algorithm="qmix", rewards=rewards), has_credit=rewards == "shares")


GAME_SETTINGS: dict[str, Any] = {
    "total_steps": 2000,
    "n_environments": 8,
    "buffer_episodes": 500,
    "batch_episodes": 32,
    "updates_per_collection": 2,
    "hidden_size": 16,
    "mixing_size": 8,
    "hypernet_size": 16,
    "learning_rate": 5e-3,
    "epsilon_start": 1.0,
    "epsilon_end": 0.3,
    "epsilon_anneal_steps": 1500,
    "evaluation_interval": 1000,
    "evaluation_episodes": 2,
    "checkpoint_interval": 10_000,
}


@pytest.mark.parametrize(
    ("name", "game", "optimum"),
    [("vdn", "additive", 6.0), ("qmix", "additive", 6.0), *((name, "monotone", 8.0) for name in ALGORITHMS)],
)
def test_every_algorithm_finds_the_optimum_of_an_easy_game(
    name: str,
    game: str,
    optimum: float,
    game_task: GameTask,
    graphs: type[Graphs],
    save_graph: SaveGraph,
    make_run: MakeRun,
) -> None:
    artifact = save_graph(graphs(2, 2).ones()) if name in NEED_CREDIT else None
    settings = TrainSettings(algorithm=name, **GAME_SETTINGS)
    result = train(game_task(game), settings, make_run(), mixer_path=artifact)
    assert result.final_return == optimum


def test_a_credit_function_of_zeros_teaches_nobody(
    game_task: GameTask, graphs: type[Graphs], save_graph: SaveGraph, make_run: MakeRun
) -> None:
    """The state at the start is (-1, -1), so the weights are clamped to 0."""
    artifact = save_graph(graphs(2, 2).first_numbers(scale="raw"))
    settings = TrainSettings(algorithm="qllm", **{**GAME_SETTINGS, "total_steps": 400})
    run = make_run()
    untrained = train(game_task("additive"), settings, run, mixer_path=artifact)
    returns = read_columns(run.path)["greedy_return"]
    assert returns[0] == returns[-1] == untrained.final_return
