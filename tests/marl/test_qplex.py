"""QPLEX's mixing module: by hand, the best joint action, and games that no monotone mixer represents."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.marl.algorithms import algorithm_of
from qredit.marl.environments.matrix import NO_ACTION_YET, MatrixGame, payoff_matrix
from qredit.marl.losses import chosen_values, greedy_actions
from qredit.marl.mixers import Mixer, QMixer, Steps, VDNMixer
from qredit.marl.mixers.qplex import QPLEXMixer
from qredit.marl.replay import Episodes
from qredit.marl.settings import TrainSettings

LAYOUT = StateLayout((StateField("numbers", (4,), "-", -3, 3, "Numbers.", ("x",)),))
S = LAYOUT.size


def qplex(seed: int, n_agents: int = 2, n_actions: int = 3, *, stop_gradient: bool = True) -> QPLEXMixer:
    torch.manual_seed(seed)
    return QPLEXMixer(
        layout=LAYOUT,
        n_agents=n_agents,
        n_actions=n_actions,
        heads=2,
        hypernet_size=6,
        stop_gradient=stop_gradient,
    )


def steps_of(values: Tensor, actions: Tensor, states: Tensor, available: Tensor | None = None) -> Steps:
    """Steps with all `values [M, N, A]`, `actions [M, N]` and `states [M, S]`."""
    m, n, _ = values.shape
    episodes = Episodes(
        observations=values.new_zeros(1, m, n, 1),
        states=states.unsqueeze(0),
        available_actions=(torch.ones_like(values, dtype=torch.bool) if available is None else available).unsqueeze(0),
        actions=actions.unsqueeze(0),
        rewards=values.new_zeros(1, m),
        agent_rewards=values.new_zeros(1, m, n),
        terminated=torch.zeros(1, m, dtype=torch.bool),
        filled=torch.ones(1, m, dtype=torch.bool),
        credit=values.new_zeros(1, m, 0),
    )
    return Steps(
        values=chosen_values(values, actions),
        actions=actions,
        all_values=values,
        episodes=episodes,
        rows=torch.arange(m),
    )


# By hand


def by_hand() -> QPLEXMixer:
    """`w = (2, 3)`, `b = (10, 20)`, `upsilon = 4`, `phi = 1/2`; `joint` is 3/4 for agent 0 when agent 1 does 1."""
    layout = StateLayout((StateField("number", (), "-", 0, 1, "A number.", ("x",)),))
    mixer = QPLEXMixer(layout=layout, n_agents=2, n_actions=2, heads=1, hypernet_size=1)
    with torch.no_grad():
        for parameter in mixer.parameters():
            parameter.zero_()
        mixer.w.bias.copy_(torch.tensor([2.0, -3.0]))
        mixer.b.bias.copy_(torch.tensor([10.0, 20.0]))
        mixer.upsilon.bias.fill_(-4.0)
        mixer.first_joint.weight[0, 4] = 1.0  # after the number: agent 0's two actions, then agent 1's
        mixer.joint.weight[0, 0] = torch.tensor(3.0).log()
    return mixer


VALUES = torch.tensor([[[1.0, 5.0], [7.0, 3.0]]])


@pytest.mark.parametrize(
    ("actions", "weights", "expected"),
    [
        # Where both do their best, 5 and 7, there are no advantages: 2 * 5 + 10 + 3 * 7 + 20.
        ([1, 0], [1.0, 1.0], 61.0),
        # Agent 0 loses 4 with its other action, times w = 2, times lambda = 4 * 1/2 * 1/2.
        ([0, 0], [1.0, 1.0], 61.0 - 8.0),
        # Agent 1 loses 4 with its other action, times w = 3; what agent 0 loses weighs 4 * 1/2 * 3/4 now.
        ([1, 1], [1.5, 1.0], 61.0 - 12.0),
        ([0, 1], [1.5, 1.0], 61.0 - 1.5 * 8.0 - 12.0),
    ],
)
def test_a_team_of_two_by_hand(actions: list[int], weights: list[float], expected: float) -> None:
    mixer, states = by_hand(), torch.zeros(1, 1)
    assert mixer.advantage_weights(states, torch.tensor([actions]))[0].tolist() == pytest.approx(weights)
    assert mixer.of_steps(steps_of(VALUES, torch.tensor([actions]), states)).item() == pytest.approx(expected)


def test_the_best_action_is_one_that_is_available() -> None:
    available = torch.tensor([[[True, False], [True, True]]])  # agent 0 can do no better than 1
    steps = steps_of(VALUES, torch.tensor([[0, 0]]), torch.zeros(1, 1), available)
    assert by_hand().of_steps(steps).item() == pytest.approx(2 * 1 + 10 + 3 * 7 + 20)


def test_called_as_a_mixer_it_takes_the_values_as_the_best() -> None:
    q_tot = by_hand()(torch.tensor([[[5.0, 7.0], [1.0, 0.0]]]), torch.zeros(1, 2, 1))
    assert q_tot.tolist() == [[[pytest.approx(61.0)], [pytest.approx(32.0)]]]


@pytest.mark.parametrize(("stop_gradient", "expected"), [(True, [2.0, 0.0, 0.0, 3.0]), (False, [3.0, -1.0, 0.0, 3.0])])
def test_where_gradients_go(stop_gradient: bool, expected: list[float]) -> None:
    """Both agents do what is not their best; `lambda` is 1.5 and 1, so with all gradients agent 0 learns at 1.5 w."""
    mixer = by_hand()
    mixer.stop_gradient = stop_gradient
    values = VALUES.clone().requires_grad_()
    q_tot = mixer.of_steps(steps_of(values, torch.tensor([[0, 1]]), torch.zeros(1, 1)))
    q_tot.backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert values.grad.flatten().tolist() == pytest.approx(expected)
    assert mixer.w.bias.grad is not None
    # d/dw of w Q + b, and without the stop of (lambda - 1) w A, too; the sign is that of the absolute value.
    assert mixer.w.bias.grad.tolist() == pytest.approx([1.0, -3.0] if stop_gradient else [1.0 + 0.5 * -4.0, -3.0])
    assert mixer.upsilon.bias.grad is not None
    # d/d upsilon of lambda: 1/2 * 3/4 times -8 and 1/2 * 1/2 times -12, and upsilon is the size of -4.
    assert mixer.upsilon.bias.grad.item() == pytest.approx(3.0 + 3.0)


# The best joint action


@given(
    st.integers(0, 100_000),
    st.sampled_from([(1, 4), (2, 3), (3, 3), (4, 2)]),
    st.floats(0.05, 30),
    st.integers(0, 100_000),
)
@settings(max_examples=80, deadline=None)
def test_what_is_best_for_every_agent_is_best_for_the_team(
    seed: int, sizes: tuple[int, int], scale: float, other: int
) -> None:
    """Over ALL joint actions, with any parameters, some actions not available."""
    n, a = sizes
    mixer, rng = qplex(seed, n, a).double(), torch.Generator().manual_seed(other)
    values = scale * torch.randn(1, n, a, generator=rng, dtype=torch.float64)
    available = torch.rand(1, n, a, generator=rng) < 0.7
    available[..., 0] = True
    state = 3 * torch.rand(1, S, generator=rng, dtype=torch.float64)
    joint = [torch.arange(a)[available[0, i]].tolist() for i in range(n)]
    actions = torch.tensor(list(itertools.product(*joint)))  # [J, N]
    j = len(actions)
    with torch.no_grad():
        q_tot = mixer.of_steps(
            steps_of(values.expand(j, -1, -1), actions, state.expand(j, -1), available.expand(j, -1, -1))
        )
        best = greedy_actions(values, available)
        at_best = mixer.of_steps(steps_of(values, best, state, available))
        assert (mixer.advantage_weights(state.expand(j, -1), actions) > 0).all()
    rounding = 1e-12 * (1 + float(q_tot.abs().max()))
    assert float(q_tot.max()) <= at_best.item() + rounding


def test_it_depends_on_the_state_and_on_the_joint_action() -> None:
    mixer = qplex(1)
    values, states = torch.randn(5, 2, 3), torch.randn(5, S).requires_grad_()
    q_tot = mixer.of_steps(steps_of(values, torch.zeros(5, 2, dtype=torch.int64), states))
    (by_s,) = torch.autograd.grad(q_tot.sum(), states)
    assert (by_s.abs() > 0).any(dim=0).all()
    by_joint = mixer.advantage_weights(torch.zeros(2, S), torch.tensor([[0, 0], [0, 2]]))
    assert by_joint[0, 0] != by_joint[1, 0], "what agent 0's advantage weighs depends on what agent 1 does"


# What it can represent


def fit(mixer: Mixer, seed: int, *, game: str = "climbing", updates: int = 600) -> float:
    """`R^2` of a supervised fit of `Q_tot(s, a)` to a game's payoff, in all states and for all joint actions alike."""
    actions = torch.cartesian_prod(torch.arange(3), torch.arange(3))  # [9, N]
    states = torch.cat([torch.tensor([NO_ACTION_YET]), actions[::4]]).float()
    m = len(states) * len(actions)
    payoffs = torch.from_numpy(payoff_matrix(game)).flatten().repeat(len(states))
    table = nn.Parameter(torch.randn(2, 3, generator=torch.Generator().manual_seed(seed)))
    groups: list[dict[str, Any]] = [{"params": [table], "lr": 0.1}, {"params": list(mixer.parameters())}]
    optimiser = torch.optim.Adam(groups, lr=0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, updates)
    unexplained = torch.tensor(1.0)
    for _ in range(updates):
        steps = steps_of(table.expand(m, -1, -1), actions.repeat(len(states), 1), states.repeat_interleave(9, dim=0))
        unexplained = (mixer.of_steps(steps).squeeze(-1) - payoffs).square().mean() / payoffs.var(correction=0)
        optimiser.zero_grad()
        unexplained.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return 1 - unexplained.item()


def test_it_represents_the_climbing_game() -> None:
    """The best of five restarts, and the first that is good enough will do."""
    fits: list[float] = []
    for seed in range(5):
        torch.manual_seed(seed)
        mixer = QPLEXMixer(
            layout=MatrixGame.layout, n_agents=2, n_actions=3, heads=4, hypernet_size=32, stop_gradient=False
        )
        fits.append(fit(mixer, seed))
        if fits[-1] > 0.99:
            break
    assert max(fits) > 0.99, fits


def test_vdn_and_qmix_do_not() -> None:
    payoff = torch.from_numpy(payoff_matrix("climbing"))
    additive = payoff.mean(dim=1).var(correction=0) + payoff.mean(dim=0).var(correction=0)
    share = float(additive / payoff.var(correction=0))
    assert share < 0.25
    torch.manual_seed(0)
    assert 0.5 * share < fit(VDNMixer(), 0, updates=300) <= share + 1e-3
    qmix = QMixer(layout=MatrixGame.layout, n_agents=2, mixing_size=8, hypernet_size=16)
    assert fit(qmix, 0) < 0.5


def test_it_needs_a_head() -> None:
    with pytest.raises(ConfigurationError, match="`heads` 0"):
        algorithm_of(TrainSettings(algorithm="qplex", own={"heads": 0}), has_credit=False)
