"""VDN, QMIX and credit functions as mixing modules."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from qredit.artifact import CREDIT_GRAPH, MANIFEST, save_artifact
from qredit.credit import GraphError
from qredit.errors import ArtifactError
from qredit.layout import StateField, StateLayout
from qredit.marl import load_mixer
from qredit.marl.mixers import CreditMixer, QMixer, Steps, VDNMixer
from qredit.marl.mixers.credit import STATES_TOGETHER
from qredit.marl.mixers.qmix import QMixerOfObservations
from qredit.marl.replay import Episodes

if TYPE_CHECKING:
    from tests.marl.conftest import Graphs, SaveGraph

LAYOUT = StateLayout(
    (
        StateField("position", (3, 2), "cells", 0, 9, "Positions.", ("agents",)),
        StateField("constant", (), "-", 2, 2, "Always 2.", ("x",)),
    )
)
N, S = 3, LAYOUT.size


def qmix(seed: int, n_agents: int = N) -> QMixer:
    torch.manual_seed(seed)
    return QMixer(layout=LAYOUT, n_agents=n_agents, mixing_size=5, hypernet_size=7)


def batch(seed: int, b: int = 4, t: int = 3) -> tuple[Tensor, Tensor]:
    """Agents' values `[B, T, N]` and states `[B, T, S]` inside the layout's ranges."""
    rng = torch.Generator().manual_seed(seed)
    states = torch.rand(b, t, S, generator=rng) * 9
    states[..., -1] = 2
    return torch.randn(b, t, N, generator=rng) * 3, states


# VDN


def test_vdn_is_the_sum() -> None:
    agent_qs = torch.tensor([[[1.0, 2.0, -4.0], [0.5, 0.25, 0.25]]])
    assert VDNMixer()(agent_qs, torch.zeros(1, 2, S)).tolist() == [[[-1.0], [1.0]]]
    assert list(VDNMixer().parameters()) == []


# QMIX


@given(st.integers(0, 10_000), st.floats(-50, 50), st.floats(0.1, 20))
@settings(max_examples=60)
def test_qmix_is_monotonic(seed: int, shift: float, scale: float) -> None:
    mixer, (agent_qs, states) = qmix(seed), batch(seed)
    agent_qs = (agent_qs * scale + shift).requires_grad_()
    (gradient,) = torch.autograd.grad(mixer(agent_qs, states).sum(), agent_qs)
    assert gradient.shape == agent_qs.shape
    assert (gradient >= 0).all()


@given(st.integers(0, 10_000), st.integers(0, N - 1), st.floats(0.01, 30))
@settings(max_examples=60)
def test_a_better_agent_never_makes_the_team_worse(seed: int, agent: int, more: float) -> None:
    mixer, (agent_qs, states) = qmix(seed).double(), batch(seed)
    agent_qs, states = agent_qs.double(), states.double()
    better = agent_qs.clone()
    better[..., agent] += more
    with torch.no_grad():
        assert (mixer(better, states) - mixer(agent_qs, states) >= -1e-9).all()


def test_qmix_depends_on_the_state_and_on_every_agent() -> None:
    mixer, (agent_qs, states) = qmix(1), batch(1)
    agent_qs.requires_grad_()
    states.requires_grad_()
    by_q, by_s = torch.autograd.grad(mixer(agent_qs, states).sum(), (agent_qs, states))
    assert (by_q.abs().sum(dim=(0, 1)) > 0).all()
    assert by_s.abs().sum() > 0
    other = torch.autograd.grad(mixer(agent_qs, 9 - states).sum(), agent_qs)[0]
    assert not torch.allclose(by_q, other), "an agent's credit follows the state"


def test_qmix_mixes_each_step_by_itself() -> None:
    mixer, (agent_qs, states) = qmix(2), batch(2)
    whole = mixer(agent_qs, states)
    assert whole.shape == (4, 3, 1)
    for b in range(4):
        for t in range(3):
            alone = mixer(agent_qs[b : b + 1, t : t + 1], states[b : b + 1, t : t + 1])
            assert alone.item() == pytest.approx(whole[b, t, 0].item(), abs=1e-5)


def test_qmix_can_represent_what_is_monotone_and_not_additive() -> None:
    """Fitted to `Q_1 * Q_2` on positive numbers, where VDN's best sum leaves a large error."""
    torch.manual_seed(0)
    layout = StateLayout((StateField("nothing", (1,), "-", 0, 1, "Nothing.", ("x",)),))
    mixer = QMixer(layout=layout, n_agents=2, mixing_size=8, hypernet_size=8)
    grid = torch.cartesian_prod(torch.arange(3.0), torch.arange(3.0)).unsqueeze(1)  # [9, 1, 2]
    states, payoff = torch.zeros(9, 1, 1), grid.prod(dim=-1, keepdim=True)
    optimiser = torch.optim.Adam(mixer.parameters(), lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        loss = (mixer(grid, states) - payoff).square().mean()
        loss.backward()
        optimiser.step()
    additive = (4 / 9) * 1.0  # the interaction (i - 1)(j - 1) has mean square 4 / 9
    assert loss.item() < additive / 3


def test_qmix_scales_its_inputs_by_the_layout() -> None:
    """Boards of another size in other units give the same values for the same relative state."""
    wide = StateLayout((StateField("position", (3, 2), "cells", -10, 80, "-", ("x",)), LAYOUT.fields[1]))
    torch.manual_seed(5)
    a = QMixer(layout=LAYOUT, n_agents=N, mixing_size=5, hypernet_size=7)
    torch.manual_seed(5)
    b = QMixer(layout=wide, n_agents=N, mixing_size=5, hypernet_size=7)
    agent_qs, states = batch(5)
    stretched = states.clone()
    stretched[..., :-1] = states[..., :-1] * 10 - 10
    assert torch.allclose(a(agent_qs, states), b(agent_qs, stretched), atol=1e-4)


def test_qmix_may_read_the_observations_in_place_of_the_state() -> None:
    """As EPyMARL does, whose worlds have no state of their own: unscaled, and whatever the state says."""
    torch.manual_seed(6)
    mixer = QMixerOfObservations(observation_size=4, n_agents=N, mixing_size=5, hypernet_size=7)
    sizes = Episodes(
        observations=torch.randn(2, 3, N, 4) * 20,
        states=torch.randn(2, 3, S),
        available_actions=torch.ones(2, 3, N, 2, dtype=torch.bool),
        actions=torch.zeros(2, 2, N, dtype=torch.int64),
        rewards=torch.zeros(2, 2),
        agent_rewards=torch.zeros(2, 2, N),
        terminated=torch.zeros(2, 2, dtype=torch.bool),
        filled=torch.tensor([[True, True], [True, False]]),
        credit=torch.zeros(2, 3, 0),
    )
    values = torch.randn(3, N)
    steps = Steps(
        values=values,
        actions=torch.zeros(3, N, dtype=torch.int64),
        all_values=values.unsqueeze(-1),
        episodes=sizes,
        rows=sizes.rows.before,
    )
    first_episode = mixer(values[None, :2], sizes.observations[:1, :2].reshape(1, 2, N * 4))
    assert torch.allclose(mixer.of_steps(steps)[:2], first_episode[0])
    elsewhere = replace(steps, episodes=replace(sizes, states=sizes.states + 1))
    assert torch.equal(mixer.of_steps(steps), mixer.of_steps(elsewhere))


# Credit functions


def test_ones_are_vdn_to_the_last_bit(graphs: type[Graphs]) -> None:
    for seed in range(20):
        agent_qs, states = batch(seed)
        expected = VDNMixer()(agent_qs, states)
        assert torch.equal(CreditMixer(graphs(N, S).ones())(agent_qs, states), expected)
        assert torch.equal(CreditMixer(graphs(N, S).ones(scale="raw"))(agent_qs, states), expected)


def test_the_gradient_of_ones_is_that_of_vdn(graphs: type[Graphs]) -> None:
    agent_qs, states = batch(0)
    gradients = []
    for mixer in (VDNMixer(), CreditMixer(graphs(N, S).ones())):
        q = agent_qs.clone().requires_grad_()
        gradients.append(torch.autograd.grad(mixer(q, states).square().sum(), q)[0])
    assert torch.equal(*gradients)


def test_weights_by_hand(graphs: type[Graphs]) -> None:
    states = torch.zeros(2, 1, S)
    states[0, 0, :3] = torch.tensor([1.0, 2.0, 3.0])  # sum 6, so that each is halved
    agent_qs = torch.tensor([[[10.0, 20.0, -4.0]], [[1.0, 2.0, 3.0]]])
    mixer = CreditMixer(graphs(N, S).first_numbers())
    assert mixer.credit(states).tolist() == [[[0.5, 1.0, 1.5]], [[1.0, 1.0, 1.0]]]  # all zero becomes VDN
    assert mixer(agent_qs, states).flatten().tolist() == [5 + 20 - 6, 6.0]
    raw = CreditMixer(graphs(N, S).first_numbers(scale="raw"))
    assert raw.credit(states).tolist() == [[[1.0, 2.0, 3.0]], [[0.0, 0.0, 0.0]]]
    assert raw(agent_qs, states).flatten().tolist() == [10 + 40 - 12, 0.0]


def test_negative_weights_are_clamped_unless_igm_is_relaxed(graphs: type[Graphs]) -> None:
    states = torch.zeros(1, 1, S)
    states[0, 0, :3] = torch.tensor([-1.0, 1.0, 2.0])
    enforced = CreditMixer(graphs(N, S).first_numbers()).credit(states)
    assert enforced.flatten().tolist() == [0.0, 1.0, 2.0]
    relaxed = CreditMixer(graphs(N, S).first_numbers(igm="relax", scale="raw")).credit(states)
    assert relaxed.flatten().tolist() == [-1.0, 1.0, 2.0]


def test_the_credit_is_the_gradient_of_the_teams_value(graphs: type[Graphs]) -> None:
    agent_qs, states = batch(3)
    agent_qs.requires_grad_()
    mixer = CreditMixer(graphs(N, S).first_numbers(bias_of=5))
    (gradient,) = torch.autograd.grad(mixer(agent_qs, states).sum(), agent_qs)
    assert torch.allclose(gradient, mixer.credit(states))


def test_the_bias_of_the_function_or_none(graphs: type[Graphs]) -> None:
    agent_qs, states = batch(4)
    graph = graphs(N, S).ones(bias_of=4)
    total = VDNMixer()(agent_qs, states)
    assert torch.allclose(CreditMixer(graph)(agent_qs, states), total + states[..., 4:5])
    assert torch.equal(CreditMixer(graph, bias="none")(agent_qs, states), total)


def test_the_bias_is_brought_to_the_units_of_the_rewards(graphs: type[Graphs]) -> None:
    agent_qs, states = batch(4)
    mixer = CreditMixer(graphs(N, S).ones(bias_of=4))
    mixer.bias_unit = 0.25
    assert torch.allclose(mixer(agent_qs, states), VDNMixer()(agent_qs, states) + 0.25 * states[..., 4:5], atol=1e-6)
    without = CreditMixer(graphs(N, S).ones(bias_of=4), bias="none")
    without.bias_unit = 0.25
    assert torch.equal(without(agent_qs, states), VDNMixer()(agent_qs, states))


def test_the_general_form_and_its_credit(graphs: type[Graphs]) -> None:
    mixer = CreditMixer(graphs(N, S).product())
    agent_qs, states = torch.tensor([[[2.0, 3.0, 5.0]]]), torch.zeros(1, 1, S)
    assert mixer(agent_qs, states).tolist() == [[[30.0]]]
    assert mixer.credit(states, agent_qs).tolist() == [[[15.0, 10.0, 6.0]]]
    assert not agent_qs.requires_grad
    with pytest.raises(ValueError, match="agent_qs"):
        mixer.credit(states)


def test_the_credit_of_the_general_form_is_had_without_gradients_too(graphs: type[Graphs]) -> None:
    mixer = CreditMixer(graphs(N, S).product())
    agent_qs, states = torch.rand(2, 3, N) + 1, torch.zeros(2, 3, S)
    with torch.no_grad():
        assert torch.equal(mixer.credit(states, agent_qs), mixer.credit(states, agent_qs.clone()))


def test_the_general_form_passes_gradients_on(graphs: type[Graphs]) -> None:
    agent_qs = torch.tensor([[[2.0, 3.0, 5.0]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(CreditMixer(graphs(N, S).product())(agent_qs, torch.zeros(1, 1, S)), agent_qs)
    assert gradient.tolist() == [[[15.0, 10.0, 6.0]]]


def test_credit_of_any_number_of_leading_dimensions(graphs: type[Graphs]) -> None:
    _, states = batch(6)
    mixer = CreditMixer(graphs(N, S).first_numbers())
    assert mixer.credit(states).shape == (4, 3, N)
    assert torch.equal(mixer.credit(states[0]), mixer.credit(states)[0])
    assert mixer.credit(states[0, 0]).shape == (N,)


@pytest.mark.parametrize("states", [2 * STATES_TOGETHER + 3, 0])
def test_credit_of_many_states_and_of_none(states: int, graphs: type[Graphs]) -> None:
    mixer = CreditMixer(graphs(N, S).first_numbers())
    many = torch.arange(states * S, dtype=torch.float32).reshape(states, S)
    weights = many[:, :N]
    assert torch.allclose(mixer.credit(many), N * weights / weights.sum(dim=1, keepdim=True))


def test_a_credit_function_has_no_parameters_and_nothing_to_save(graphs: type[Graphs]) -> None:
    mixer = CreditMixer(graphs(N, S).first_numbers())
    assert list(mixer.parameters()) == []
    assert mixer.state_dict() == {}
    assert mixer.n_agents == N


@pytest.mark.parametrize(
    ("q_shape", "s_shape", "told"),
    [((2, 3, 4), (2, 3, S), "4 agents"), ((2, 3, N), (2, 3, S + 1), f"{S + 1} numbers")],
)
def test_wrong_shapes_are_refused(
    graphs: type[Graphs], q_shape: tuple[int, ...], s_shape: tuple[int, ...], told: str
) -> None:
    for graph in (graphs(N, S).ones(), graphs(N, S).product()):
        mixer = CreditMixer(graph)
        with pytest.raises(ValueError, match=told):
            mixer(torch.zeros(q_shape), torch.zeros(s_shape))
        with pytest.raises(ValueError, match=told):
            mixer.credit(torch.zeros(s_shape), torch.zeros(q_shape))


def test_different_numbers_of_steps_are_refused(graphs: type[Graphs]) -> None:
    """Weights of one state must not be spread over the values of another."""
    with pytest.raises((ValueError, RuntimeError)):
        CreditMixer(graphs(N, S).first_numbers())(torch.zeros(2, 3, N), torch.zeros(2, 2, S))


# Artifacts


def test_a_loaded_mixer_is_the_function_that_was_saved(graphs: type[Graphs], save_graph: SaveGraph) -> None:
    agent_qs, states = batch(7)
    graph = graphs(N, S).first_numbers(bias_of=5)
    path = save_graph(graph)
    assert torch.equal(load_mixer(path)(agent_qs, states), CreditMixer(graph)(agent_qs, states))
    assert torch.equal(load_mixer(str(path))(agent_qs, states), CreditMixer(graph)(agent_qs, states))
    expected = CreditMixer(graph, bias="none")(agent_qs, states)
    assert torch.equal(load_mixer(path, bias="none")(agent_qs, states), expected)
    assert load_mixer(path).graph.sha256 == graph.sha256


def test_a_flipped_byte_is_refused(graphs: type[Graphs], save_graph: SaveGraph) -> None:
    path = save_graph(graphs(N, S).ones())
    data = bytearray((path / CREDIT_GRAPH).read_bytes())
    data[len(data) // 2] ^= 1
    (path / CREDIT_GRAPH).write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="SHA-256"):
        load_mixer(path)


def test_an_artifact_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_artifact(tmp_path / "a", manifest={"kind": "potential", "task": "x"}, files={"CARD.md": b"card"})
    with pytest.raises(ArtifactError, match="`potential`, a mixer needs `credit`"):
        load_mixer(tmp_path / "a")


def test_a_folder_without_an_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no artifact"):
        load_mixer(tmp_path)


def test_a_forged_graph_with_a_fitting_hash_is_refused(tmp_path: Path, graphs: type[Graphs]) -> None:
    document = json.loads(graphs(N, S).ones().to_bytes())
    document["nodes"][1] = {"op": "aten.from_file.default", "args": ["/etc/passwd"]}
    forged = json.dumps(document).encode()
    save_artifact(tmp_path / "a", manifest={"kind": "credit", "task": "x"}, files={CREDIT_GRAPH: forged})
    with pytest.raises(GraphError, match="not allowed"):
        load_mixer(tmp_path / "a")


def test_python_beside_the_graph_is_never_executed(tmp_path: Path, graphs: type[Graphs]) -> None:
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w')\n".encode()
    files = {CREDIT_GRAPH: graphs(N, S).ones().to_bytes(), "credit.py": code}
    save_artifact(tmp_path / "a", manifest={"kind": "credit", "task": "x"}, files=files)
    load_mixer(tmp_path / "a")
    assert not mark.exists()
    assert (tmp_path / "a" / MANIFEST).exists()
