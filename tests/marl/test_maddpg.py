"""MADDPG: losses by hand, straight-through actions, whose gradient reaches whom, masks and padding."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl.algorithms import Problem, algorithm_of, maddpg
from qredit.marl.algorithms.maddpg import MADDPG, JointCritic, gumbel_actions, gumbel_noise
from qredit.marl.checkpoint import Counters
from qredit.marl.choosing import sampled
from qredit.marl.networks import AgentNetwork
from qredit.marl.replay import Episodes
from qredit.marl.settings import TrainSettings

N, A, S = 2, 3, 4
LAYOUT = StateLayout((StateField("number", (S,), "-", 0, 1, "Numbers.", ("x",)),))
PLAIN = TrainSettings(
    algorithm="maddpg", standardise_rewards=False, gamma=0.9, learning_rate=0.01, hidden_size=5, batch_episodes=2
)


@dataclass(frozen=True)
class Sizes:
    """Two agents with three actions that observe one number."""

    layout: StateLayout = LAYOUT
    n_agents: int = N
    n_actions: int = A
    observation_size: int = 1
    time_limit: int = 5


def made(settings: TrainSettings = PLAIN) -> MADDPG:
    torch.manual_seed(0)
    return MADDPG(Problem(Sizes(), settings, torch.device("cpu"), None))


class Table(AgentNetwork):
    """Logits looked up by the observation, which is a row's number."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__(observation_size=1, n_agents=N, n_actions=A, hidden_size=1, recurrent=False)
        self.table = nn.Parameter(torch.tensor(rows))

    def forward(self, observations: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        return self.table[observations[..., 0].long()], None


class Known(JointCritic):
    """`Q_0 = u (a_0 + 10 a_1)` and `Q_1 = u (a_0 + 10 a_1) + 100`, where `a_i` are the numbers of the actions."""

    def __init__(self, unit: float) -> None:
        super().__init__(LAYOUT, N, A, 1)
        self.unit = unit
        self.seen: list[list[list[float]]] = []

    def forward(self, states: Tensor, actions: Tensor, own: Tensor | None = None) -> Tensor:
        self.seen.append(states.tolist())
        numbers = torch.arange(A).float()
        factors = torch.tensor([1.0, 10.0])
        taken = actions @ numbers  # [M, N]
        change = torch.zeros_like(taken) if own is None else (own - actions) @ numbers
        total = (factors * taken).sum(dim=-1, keepdim=True) + factors * change
        return self.unit * total + torch.tensor([0.0, 100.0])


def known(settings: TrainSettings = PLAIN) -> MADDPG:
    """With critics and actors whose numbers are known."""
    algorithm = made(settings)
    algorithm.critic, algorithm.target_critic = Known(1.0), Known(2.0)
    algorithm.actor = Table([[0.0, 1.0, 2.0], [3.0, 1.0, 0.0]])
    algorithm.target_actor = Table([[0.0, 9.0, 2.0], [1.0, 2.0, 5.0]])
    return algorithm


def episode(*, terminated: bool, padding: int = 0, steps: int = 1) -> Episodes:
    """Both observe row 0, do 2 and 1, get 1 and 5, then observe rows 0 and 1; the padding is full of nonsense."""
    t = steps
    batch = Episodes(
        observations=torch.zeros(1, t + 1 + padding, N, 1),
        states=torch.full((1, t + 1 + padding, S), 77.0),
        available_actions=torch.ones(1, t + 1 + padding, N, A, dtype=torch.bool),
        actions=torch.zeros(1, t + padding, N, dtype=torch.int64),
        rewards=torch.full((1, t + padding), 1000.0),
        agent_rewards=torch.full((1, t + padding, N), 1000.0),
        terminated=torch.zeros(1, t + padding, dtype=torch.bool),
        filled=torch.arange(t + padding).unsqueeze(0) < t,
        credit=torch.zeros(1, t + 1 + padding, 0),
    )
    batch.observations[0, t, 1] = 1
    batch.states[0, : t + 1] = torch.linspace(0, 1, (t + 1) * S).view(t + 1, S)
    batch.actions[0, :t] = torch.tensor([2, 1])
    batch.agent_rewards[0, :t] = torch.tensor([1.0, 5.0])
    batch.rewards[0, :t] = 6.0
    batch.terminated[0, t - 1] = terminated
    batch.observations[0, t + 1 :] = 1
    return batch


# The critic's loss, by hand: Q = 2 + 10 = (12, 112)


def test_the_target_is_the_target_critics_value_of_the_target_actors_best_actions() -> None:
    # Rows 0 and 1: actions 1 and 2, worth 2 * 21 and 2 * 21 + 100.
    loss = known().critic_loss(episode(terminated=False))
    errors = (12 - (6 + 0.9 * 42), 112 - (6 + 0.9 * 142))
    assert loss.item() == pytest.approx((errors[0] ** 2 + errors[1] ** 2) / 2)


def test_actions_that_are_not_available_are_not_in_the_target() -> None:
    batch = episode(terminated=False)
    batch.available_actions[0, 1, 0, 1] = False  # agent 0's next best is 2
    batch.available_actions[0, 1, 1, 2] = False  # agent 1's next best is 1: 2 + 10
    errors = (12 - (6 + 0.9 * 24), 112 - (6 + 0.9 * 124))
    assert known().critic_loss(batch).item() == pytest.approx((errors[0] ** 2 + errors[1] ** 2) / 2)


@pytest.mark.parametrize("time_limit_is_terminal", [False, True])
def test_nothing_follows_the_end_and_whether_the_time_limit_is_one_is_a_setting(time_limit_is_terminal: bool) -> None:
    algorithm = known(dataclasses.replace(PLAIN, time_limit_is_terminal=time_limit_is_terminal))
    ended = algorithm.critic_loss(episode(terminated=True)).item()
    assert ended == pytest.approx(((12 - 6) ** 2 + (112 - 6) ** 2) / 2)
    assert (algorithm.critic_loss(episode(terminated=False)).item() == ended) == time_limit_is_terminal


def test_an_agents_own_reward_counts_once_for_each_agent_of_the_team() -> None:
    algorithm = known(dataclasses.replace(PLAIN, rewards="individual"))
    loss = algorithm.critic_loss(episode(terminated=True))
    assert loss.item() == pytest.approx(((12 - 2 * 1) ** 2 + (112 - 2 * 5) ** 2) / 2)


def test_rewards_are_standardised() -> None:
    algorithm = known(dataclasses.replace(PLAIN, standardise_rewards=True))
    algorithm.reward_scale.see(torch.tensor([[1.0, 5.0]]), torch.ones(1, 2, dtype=torch.bool))  # mean 3, deviation 2
    loss = algorithm.critic_loss(episode(terminated=True))
    assert loss.item() == pytest.approx(((12 - 1.5) ** 2 + (112 - 1.5) ** 2) / 2)


def test_the_critics_are_asked_about_the_states_before_and_after_each_step() -> None:
    algorithm, batch = known(), episode(terminated=False, padding=2, steps=2)
    algorithm.critic_loss(batch)
    algorithm.actor_loss(batch, torch.zeros(2, N, A))
    assert isinstance(algorithm.critic, Known)
    assert isinstance(algorithm.target_critic, Known)
    assert algorithm.critic.seen == [batch.states[0, :2].tolist()] * 2
    assert algorithm.target_critic.seen == [batch.states[0, 1:3].tolist()]


# The actor's loss, by hand


def test_the_actors_loss_is_the_value_of_what_it_draws_and_the_size_of_its_logits() -> None:
    algorithm = known(dataclasses.replace(PLAIN, own={"regularisation": 0.5}))
    noise = torch.tensor([[[0.0, 0.0, 5.0], [3.0, 0.0, 0.0]]])  # logits 0, 1, 2: agent 0 does 2, agent 1 does 0
    loss = algorithm.actor_loss(episode(terminated=True), noise)
    assert loss.item() == pytest.approx(0.5 * (0 + 1 + 4) / 3 - (2 + 102) / 2)


def test_the_actors_gradient_by_hand() -> None:
    """`d loss / d logit_k` is `-1/2 sum_i f_i p_k (k - sum_j p_j j)`: each agent's own share of its own `Q_i`."""
    algorithm = known(dataclasses.replace(PLAIN, own={"regularisation": 0.0}))
    noise = torch.tensor([[[0.0, 0.0, 5.0], [3.0, 0.0, 0.0]]])
    assert isinstance(algorithm.actor, Table)
    algorithm.actor_loss(episode(terminated=True), noise).backward()  # type: ignore[no-untyped-call]
    p = (torch.tensor([0.0, 1.0, 2.0]) + noise[0]).softmax(dim=-1)  # [N, A]
    numbers = torch.arange(3.0)
    by_agent = p * (numbers - (p * numbers).sum(dim=-1, keepdim=True))
    expected = -(1.0 * by_agent[0] + 10.0 * by_agent[1]) / 2
    assert algorithm.actor.table.grad is not None
    assert torch.allclose(algorithm.actor.table.grad[0], expected, atol=1e-6)
    assert not algorithm.actor.table.grad[1].any()


def test_logits_of_actions_that_are_not_available_do_not_matter() -> None:
    algorithm = known(dataclasses.replace(PLAIN, own={"regularisation": 0.5}))
    batch = episode(terminated=True)
    batch.available_actions[0, 0, :, 2] = False
    assert isinstance(algorithm.actor, Table)
    loss = algorithm.actor_loss(batch, torch.tensor([[[0.0, 0.0, 50.0], [0.0, 0.0, 50.0]]]))
    assert loss.item() == pytest.approx(0.5 * (0 + 1) / 3 - (11 + 111) / 2)  # both do 1
    loss.backward()  # type: ignore[no-untyped-call]
    assert algorithm.actor.table.grad is not None
    assert algorithm.actor.table.grad[0, 2] == 0
    assert algorithm.actor.table.grad.isfinite().all()


# Straight-through actions


@given(st.integers(0, 10_000), st.floats(0.2, 5))
@settings(max_examples=60)
def test_actions_are_one_hot_and_available_with_the_gradient_of_the_softmax(seed: int, temperature: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(7, N, A, generator=rng)
    available = torch.rand(7, N, A, generator=rng) < 0.6
    available[..., 1] = True
    noise, weight = gumbel_noise((7, N, A), seed, 0), torch.randn(7, N, A, generator=rng)
    x, y = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    drawn = gumbel_actions(x, available, noise, temperature)
    best = (logits + noise).masked_fill(~available, -torch.inf).argmax(dim=-1)
    assert torch.allclose(drawn, nn.functional.one_hot(best, A).float(), atol=1e-6)
    soft = ((y + noise) / temperature).masked_fill(~available, -torch.inf).softmax(dim=-1)
    (by_x,) = torch.autograd.grad((drawn * weight).sum(), x)
    (by_y,) = torch.autograd.grad((soft * weight).sum(), y)
    assert torch.allclose(by_x, by_y, atol=1e-5)


def test_actions_are_drawn_as_often_as_the_policy_says() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    available = torch.tensor([True, True, True, False])
    noise = gumbel_noise((40_000, 4), 0, 0)
    shares = gumbel_actions(logits.expand(40_000, 4), available, noise, 1.0).mean(dim=0)
    assert shares[:3].tolist() == pytest.approx(logits[:3].softmax(dim=0).tolist(), abs=0.01)
    assert shares[3] == 0


def test_noise_is_a_function_of_seed_and_update() -> None:
    first = gumbel_noise((50,), 3, 7)
    torch.rand(5)  # nobody else's random numbers matter
    assert torch.equal(first, gumbel_noise((50,), 3, 7))
    assert not torch.equal(first, gumbel_noise((50,), 3, 8))
    assert not torch.equal(first, gumbel_noise((50,), 4, 7))


# The joint critic


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_an_action_of_its_own_replaces_one_action_in_each_agents_value(seed: int) -> None:
    torch.manual_seed(seed)
    critic = JointCritic(LAYOUT, 3, A, 6)
    states = torch.rand(5, S)
    actions, own = (nn.functional.one_hot(torch.randint(A, (5, 3)), A).float() for _ in range(2))
    q = critic(states, actions, own)
    assert q.shape == (5, 3)
    for i in range(3):
        replaced = actions.clone()
        replaced[:, i] = own[:, i]
        assert torch.allclose(q[:, i], critic(states, replaced)[:, i], atol=1e-5)


def test_an_agents_value_teaches_that_agent_alone() -> None:
    torch.manual_seed(0)
    critic = JointCritic(LAYOUT, 3, A, 16)
    own = torch.rand(5, 3, A).requires_grad_()
    q = critic(torch.rand(5, S), own.detach(), own)
    for i in range(3):
        (gradient,) = torch.autograd.grad(q[:, i].sum(), own, retain_graph=True)
        assert gradient[:, i].abs().sum() > 0
        assert not gradient[:, [j for j in range(3) if j != i]].any()


def test_the_critic_sees_the_state_all_actions_and_who_asks() -> None:
    torch.manual_seed(1)
    critic = JointCritic(LAYOUT, N, A, 16)
    states, actions = torch.rand(5, S).requires_grad_(), torch.rand(5, N, A).requires_grad_()
    q = critic(states, actions)
    for i in range(N):
        by_s, by_a = torch.autograd.grad(q[:, i].sum(), (states, actions), retain_graph=True)
        assert (by_s.abs().sum(dim=0) > 0).all()
        assert (by_a.abs().sum(dim=0) > 0).all()
    assert not torch.allclose(q[:, 0], q[:, 1])


# Updates


@pytest.mark.parametrize("recurrent", [False, True])
def test_padding_changes_neither_losses_nor_gradients(recurrent: bool) -> None:
    both: list[list[Tensor]] = []
    for padding in (0, 3):
        algorithm = made(dataclasses.replace(PLAIN, recurrent=recurrent, hidden_size=32))
        batch = episode(terminated=False, padding=padding, steps=2)
        batch.observations[0, :3] = torch.linspace(-1, 1, 3 * N).view(3, N, 1)
        losses = [algorithm.critic_loss(batch), algorithm.actor_loss(batch, gumbel_noise((2, N, A), 0, 0))]
        networks: list[nn.Module] = [algorithm.critic, algorithm.actor]
        gradients: list[Tensor] = []
        for loss, network in zip(losses, networks, strict=True):
            gradients += torch.autograd.grad(loss, list(network.parameters()), allow_unused=False)
        both.append([*losses, *gradients])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*both, strict=True))
    assert all(tensor.abs().sum() > 0 for tensor in both[0])


def parameters(network: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def test_an_update_moves_actor_and_critic_and_the_targets_when_told() -> None:
    algorithm = made(dataclasses.replace(PLAIN, target_update_tau=0.25))
    with torch.no_grad():
        for p in (*algorithm.target_actor.parameters(), *algorithm.target_critic.parameters()):
            p.add_(1.0)
    before = {name: parameters(network) for name, network in algorithm.networks.items()}
    loss = algorithm.update(episode(terminated=False, steps=2), 0)
    assert not loss.requires_grad
    for name, network in algorithm.networks.items():
        moved = any(not torch.equal(a, b) for a, b in zip(before[name], parameters(network), strict=True))
        assert moved == (not name.startswith("target_")), name
    algorithm.update_target()
    for name in ("actor", "critic"):
        now = parameters(algorithm.networks[name])
        target = parameters(algorithm.networks[f"target_{name}"])
        pairs = zip(before[f"target_{name}"], now, target, strict=True)
        assert all(torch.allclose(c, 0.75 * a + 0.25 * b, atol=1e-6) for a, b, c in pairs)


def test_the_actors_step_leaves_the_critic_alone() -> None:
    """The critic's step depends on the critic's loss alone, so two updates that differ in the actor's agree in it."""
    ends = []
    for weight in (0.0, 50.0):
        algorithm = made(dataclasses.replace(PLAIN, own={"regularisation": weight}))
        algorithm.update(episode(terminated=False, steps=2), 0)
        ends.append((parameters(algorithm.critic), parameters(algorithm.actor)))
    assert all(torch.equal(a, b) for a, b in zip(ends[0][0], ends[1][0], strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(ends[0][1], ends[1][1], strict=True))


def test_every_update_of_a_training_has_noise_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[tuple[int, ...], int, int]] = []

    def listen(shape: tuple[int, ...], seed: int, update: int) -> Tensor:
        asked.append((shape, seed, update))
        return gumbel_noise(shape, seed, update)

    monkeypatch.setattr(maddpg, "gumbel_noise", listen)
    settings = dataclasses.replace(PLAIN, seed=4, updates_per_collection=3, buffer_episodes=8)
    algorithm = made(settings)
    one = episode(terminated=False, padding=3, steps=2)
    two = Episodes(**{name: torch.cat([tensor, tensor]) for name, tensor in one.tensors().items()})
    assert algorithm.learn(two, Counters(updates=10)).updates == 13
    assert algorithm.learn(two, Counters(updates=13)).updates == 16
    assert asked == [((4, N, A), 4, update) for update in range(10, 16)]


def test_it_explores_by_drawing_from_its_policy() -> None:
    algorithm = made()
    assert algorithm.stochastic
    assert algorithm.explore(0) is algorithm.explore(10**9) is sampled


@pytest.mark.parametrize("own", [{"temperature": 0.0}, {"regularisation": -1.0}])
def test_options_out_of_range_are_refused(own: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="MADDPG options"):
        algorithm_of(TrainSettings(algorithm="maddpg", own=own), has_credit=False)
