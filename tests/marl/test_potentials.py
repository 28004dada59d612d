"""Potentials: the formulas by hand, what an ego sees, learning from rankings, and files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from qredit.artifact import MANIFEST, bundled_artifact
from qredit.errors import ArtifactError, ConfigurationError
from qredit.files import sha256
from qredit.layout import StateField, StateLayout
from qredit.marl.potentials import (
    EgoEncoding,
    FitSettings,
    PotentialReward,
    Potentials,
    Rankings,
    best_potentials,
    fit_potentials,
    load_potentials,
    preference_loss,
    probability_better,
    save_potentials,
    whole_fields,
)
from qredit.marl.potentials.fitting import calibration_error

N = 3
LAYOUT = StateLayout(
    (
        StateField("position", (N, 2), "cells", 0, 4, "Where each agent is.", agent_axes=(0,)),
        StateField("offset", (N, N - 1), "cells", -4, 4, "To each other agent.", agent_axes=(0,), others_axis=1),
        StateField("door", (), "index", 0, 1, "Whether it is open."),
    )
)
S = LAYOUT.size
"""6 + 6 + 1"""


def states(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, S, generator=torch.Generator().manual_seed(seed))


def potentials(groups: list[list[int]] | None = None, seed: int = 0) -> Potentials:
    torch.manual_seed(seed)
    return Potentials(LAYOUT, [[0, 1, 2]] if groups is None else groups, hidden_size=16)


# Forms


def test_whole_numbers_are_found_and_shown_one_hot() -> None:
    whole = torch.cat([torch.randint(0, 5, (20, 12)).float(), torch.rand(20, 1)], dim=1)
    whole[:, 6:12] -= 2
    assert whole_fields(LAYOUT, whole) == ("position", "offset")
    encoding = EgoEncoding(LAYOUT, N, whole=["position"])
    assert encoding.size == S + 6 * 5
    state = torch.tensor([0.0, 1, 2, 3, 4, 0, *[0.0] * 6, 0.5])
    seen = encoding(state)  # [N, E]
    assert torch.equal(seen[:, :S], EgoEncoding(LAYOUT, N)(state))
    hot = seen[:, S:].reshape(N, 6, 5).argmax(dim=-1)
    assert hot.tolist() == [[0, 1, 2, 3, 4, 0], [2, 3, 4, 0, 0, 1], [4, 0, 0, 1, 2, 3]]
    assert seen[:, S:].sum(dim=1).tolist() == [6, 6, 6]


def test_the_form_that_held_out_pairs_prefer_is_kept() -> None:
    """Parity of a cell is nothing for a small network of one number, and one-hot it is linear."""
    layout = StateLayout((StateField("cell", (1,), "cells", 0, 30, "Where it is.", agent_axes=(0,)),))
    cells = torch.randint(0, 31, (2, 600, 1), generator=torch.Generator().manual_seed(0)).float()
    better = (cells[1] % 2 > cells[0] % 2).float() + 0.5 * (cells[1] % 2 == cells[0] % 2).float()
    pairs = Rankings(cells[0], cells[1], torch.zeros(600, dtype=torch.int64), better.squeeze(1))
    kept, fit = best_potentials(layout, [[0]], pairs, FitSettings(most_epochs=40))
    assert kept.whole == ("cell",)
    assert fit.validation_accuracy == 1.0


# Formulas


def test_the_probability_by_hand() -> None:
    found = probability_better(torch.tensor([math.log(3), 0.0, 2.0]), torch.tensor([0.0, 0.0, 2.0]))
    assert found.tolist() == pytest.approx([0.75, 0.5, 0.5])


@pytest.mark.parametrize(
    ("confidence", "loss"), [(1.0, -math.log(0.75)), (0.0, -math.log(0.25)), (0.5, -math.log(0.75 * 0.25) / 2)]
)
def test_the_loss_by_hand(confidence: float, loss: float) -> None:
    found = preference_loss(torch.tensor([math.log(3)]), torch.zeros(1), torch.tensor([confidence]))
    assert found.item() == pytest.approx(loss)


@given(confidence=st.floats(0.01, 0.99), difference=st.floats(-5, 5))
def test_the_loss_is_lowest_where_the_probability_is_the_confidence(confidence: float, difference: float) -> None:
    at = torch.tensor([math.log(confidence / (1 - confidence))], dtype=torch.float64, requires_grad=True)
    share, nothing = torch.tensor([confidence], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(preference_loss(at, nothing, share), at)
    assert gradient.item() == pytest.approx(0, abs=1e-9)
    elsewhere = preference_loss(torch.tensor([difference], dtype=torch.float64), nothing, share)
    assert elsewhere >= preference_loss(at, nothing, share) - 1e-12


def test_a_sure_answer_may_be_as_wrong_as_can_be() -> None:
    found = preference_loss(torch.tensor([-1000.0]), torch.zeros(1), torch.ones(1))
    assert found.item() == pytest.approx(1000)


# What an ego sees


def test_the_ego_stands_first_by_hand() -> None:
    state = torch.arange(S, dtype=torch.float32)
    encoded = EgoEncoding(LAYOUT, N)(state)
    low, span = torch.tensor([0.0] * 6 + [-4.0] * 6 + [0.0]), torch.tensor([4.0] * 6 + [8.0] * 6 + [1.0])
    assert encoded.shape == (N, S)
    seen = encoded * span + low
    assert seen[0].tolist() == state.tolist()
    # Agent 1, then 2, then 0; the others of each in the same new order.
    assert seen[1].tolist() == [2, 3, 4, 5, 0, 1, 9, 8, 11, 10, 6, 7, 12]


@given(seed=st.integers(0, 99), by=st.integers(0, N - 1))
def test_agents_in_exchanged_places_see_the_same(seed: int, by: int) -> None:
    """LCA, equation 5: what agent i sees here, agent j sees in the state in which they have changed places."""
    order = [(i + by) % N for i in range(N)]
    here = states(4, seed)
    there = LAYOUT.renumbered(here, order)
    model = potentials()
    assert torch.allclose(model(there), model(here)[:, order], atol=1e-6)


@pytest.mark.parametrize("groups", [[[0, 1, 2]], [[0, 2], [1]]])
@pytest.mark.parametrize("whole", [(), ("level",)])
def test_one_agents_potential_alone_is_the_same(groups: list[list[int]], whole: tuple[str, ...]) -> None:
    layout = StateLayout(
        (
            StateField("position", (3, 2), "cells", 0, 4, "Cell of each agent.", agent_axes=(0,)),
            StateField("level", (2,), "level", 1, 3, "Level of each food."),
        )
    )
    torch.manual_seed(0)
    model = Potentials(layout, groups, hidden_size=8, whole=whole)
    given = torch.rand(12, layout.size).mul(4).round()
    egos = torch.arange(12) % 3
    alone = model.score(model.encoding.of(given, egos), egos)
    torch.testing.assert_close(alone, model(given).gather(1, egos.unsqueeze(1)).squeeze(1))


def test_groups_have_models_of_their_own() -> None:
    model = potentials([[0, 2], [1]])
    seen = model.encoding(states(5))
    assert torch.allclose(model(states(5))[:, 2], model.scores[0](seen[:, 2]).squeeze(-1))
    assert torch.allclose(model(states(5))[:, 1], model.scores[1](seen[:, 1]).squeeze(-1))
    assert len(list(model.parameters())) == 2 * len(list(potentials().parameters()))


@pytest.mark.parametrize("groups", [[], [[0], [2]], [[0, 1], [1, 2]], [[1, 2, 3]]])
def test_groups_that_are_no_partition_are_refused(groups: list[list[int]]) -> None:
    with pytest.raises(ConfigurationError, match="exactly one"):
        Potentials(LAYOUT, groups)


def test_states_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="have 5 numbers, the potentials were made for 13"):
        potentials()(torch.zeros(2, 5))


# Rewards


def test_rewards_are_differences_and_nothing_for_those_who_are_still() -> None:
    model, (before, after) = potentials(), states(2)
    reward = PotentialReward(model)
    gain = model(after) - model(before)
    assert torch.allclose(reward(before, after), gain)
    found = reward(before, after, torch.tensor([False, True, False]))
    assert found.tolist() == pytest.approx([gain[0].item(), 0.0, gain[2].item()])
    assert not found.requires_grad


def test_without_stillness_the_rewards_of_an_episode_telescope() -> None:
    episode, model = states(9), potentials()
    total = PotentialReward(model)(episode[:-1], episode[1:]).sum(dim=0)
    assert torch.allclose(total, model(episode[-1]) - model(episode[0]), atol=1e-5)


def test_a_cycle_that_is_still_while_the_potential_falls_earns() -> None:
    """So potential-difference rewards with the paper's exception do not leave optimal policies as they are."""
    model = potentials()
    low, high = sorted(states(2), key=lambda state: model(state)[0].item())
    there, back = torch.stack([low, high]), torch.stack([high, low])
    reward = PotentialReward(model)
    assert reward(there, back)[:, 0].sum().item() == pytest.approx(0, abs=1e-6)
    still = torch.tensor([[False] * N, [True] * N])
    assert reward(there, back, still)[:, 0].sum() > 1e-3


def test_a_discount_is_on_the_next_potential() -> None:
    model, (before, after) = potentials(), states(2)
    found = PotentialReward(model, gamma=0.9)(before, after)
    assert torch.allclose(found, 0.9 * model(after) - model(before))
    with pytest.raises(ConfigurationError, match=r"`gamma` of 1\.5"):
        PotentialReward(model, gamma=1.5)


# Rankings


def test_answers_become_shares() -> None:
    none = float("nan")
    answers = torch.tensor([[1.0, 1.0, 0.0, 0.5], [none, none, none, none], [none, 0.0, none, none]])
    found = Rankings.of_answers(states(3), states(3, 1), torch.tensor([0, 1, 2]), answers)
    assert found.confidence.tolist() == [0.625, 0.0]
    assert found.egos.tolist() == [0, 2]
    assert torch.equal(found.next_states, states(3, 1)[[0, 2]])


def test_rankings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"`egos` is \[2\]"):
        Rankings(states(3), states(3), torch.zeros(2, dtype=torch.int64), torch.ones(3))
    with pytest.raises(ConfigurationError, match=r"of pair 1.*no share"):
        Rankings(states(2), states(2), torch.zeros(2, dtype=torch.int64), torch.tensor([1.0, float("nan")]))


# Learning


def ranked(count: int, *, flips: float = 0.0, seed: int = 0) -> Rankings:
    """The nearer the ego is to the corner (0, 0), the better."""
    generator = torch.Generator().manual_seed(seed)
    before, after = states(count, seed), states(count, seed + 1000)
    egos = torch.randint(0, N, (count,), generator=generator)
    rows = torch.arange(count)
    distances = [LAYOUT.named(s)["position"][rows, egos].sum(dim=-1) for s in (before, after)]
    better = distances[1] < distances[0]
    wrong = torch.rand(count, generator=generator) < flips
    return Rankings(before, after, egos, (better ^ wrong).float())


def test_potentials_learn_what_the_rankings_say() -> None:
    model = potentials()
    fit = fit_potentials(model, ranked(1500), FitSettings(most_epochs=60))
    assert fit.validation_accuracy is not None
    assert fit.validation_accuracy > 0.93
    assert (fit.pairs, fit.validation_pairs) == (1200, 300)
    others = ranked(300, seed=5)
    gain = PotentialReward(model)(others.states, others.next_states).gather(1, others.egos.unsqueeze(1)).squeeze(1)
    assert ((gain > 0) == (others.confidence > 0.5)).double().mean() > 0.93


def test_small_steps_are_told_apart() -> None:
    """As in Pistonball, where a step changes little of what is seen: without sharpening the loss is 0.66."""
    pairs = ranked(800)
    small = pairs.states + 0.005 * (pairs.next_states - pairs.states)
    rankings = Rankings(pairs.states, small, pairs.egos, pairs.confidence)
    model = potentials()
    fit = fit_potentials(model, rankings, FitSettings(most_epochs=60))
    assert fit.validation_loss < 0.2
    with torch.no_grad():
        before, after = (model.score(model.encoding.of(s, pairs.egos), pairs.egos) for s in (pairs.states, small))
    loss = 0.8 * fit.loss + 0.2 * fit.validation_loss
    assert float(preference_loss(after, before, pairs.confidence)) == pytest.approx(loss, abs=1e-4)


def test_the_weights_with_the_lowest_loss_on_held_out_pairs_stay() -> None:
    model, rankings = potentials(), ranked(60, flips=0.3)
    settings = FitSettings(most_epochs=400, patience=15, learning_rate=1e-2)
    fit = fit_potentials(model, rankings, settings)
    assert fit.epochs < 400 - 15
    again = fit_potentials(potentials(), rankings, FitSettings(most_epochs=max(1, fit.epochs), learning_rate=1e-2))
    assert again.validation_loss == pytest.approx(fit.validation_loss)


def test_learning_is_a_function_of_its_seeds() -> None:
    models = [potentials(), potentials()]
    for model in models:
        fit_potentials(model, ranked(100), FitSettings(most_epochs=3))
    for a, b in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(a, b)


def test_answers_that_contradict_each_other_make_rewards_small() -> None:
    sizes = []
    for confidence in (None, 0.5):
        rankings = ranked(600)
        if confidence is not None:
            rankings = Rankings(rankings.states, rankings.next_states, rankings.egos, torch.full((600,), confidence))
        model = potentials()
        fit = fit_potentials(model, rankings, FitSettings(most_epochs=80))
        sizes.append(PotentialReward(model)(rankings.states, rankings.next_states).abs().mean().item())
        assert (fit.validation_accuracy is None) == (confidence is not None)
    assert sizes[1] < sizes[0] / 10


def test_egos_that_there_are_not_and_too_few_pairs_are_refused() -> None:
    found = ranked(10)
    others = Rankings(found.states, found.next_states, found.egos + 1, found.confidence)
    with pytest.raises(ConfigurationError, match="3 agents"):
        fit_potentials(potentials(), others, FitSettings())
    with pytest.raises(ConfigurationError, match="1 ranked pairs"):
        fit_potentials(potentials(), found.at(torch.tensor([0])), FitSettings())


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"`batch_pairs` is 0.*`validation_share` is 1"):
        FitSettings(batch_pairs=0, validation_share=1.0)


def test_the_calibration_error_by_hand() -> None:
    predicted = torch.tensor([0.92, 0.98, 0.31])
    answered = torch.tensor([1.0, 0.5, 0.31])
    assert calibration_error(predicted, answered) == pytest.approx((0.92 + 0.98 - 1.5) / 3)
    assert calibration_error(torch.ones(2), torch.ones(2)) == 0


# Files


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = potentials([[0, 2], [1]])
    fit = fit_potentials(model, ranked(40), FitSettings(most_epochs=2))
    save_potentials(tmp_path / "made", model, task="two-doors", fit=fit, origin={"ranker": "distance to a corner"})
    return tmp_path / "made"


def test_loaded_potentials_are_those_that_were_saved(saved: Path) -> None:
    expected = potentials([[0, 2], [1]])
    fit_potentials(expected, ranked(40), FitSettings(most_epochs=2))
    found = load_potentials(saved)
    assert torch.equal(found(states(4)), expected(states(4)))
    assert found.groups == ((0, 2), (1,))
    assert not any(p.requires_grad for p in found.parameters())
    manifest = json.loads((saved / MANIFEST).read_text())
    assert manifest["origin"] == {"ranker": "distance to a corner"}
    assert manifest["fit"]["validation_pairs"] == 8


def test_damaged_weights_are_refused(saved: Path) -> None:
    path = saved / "potentials.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match="SHA-256"):
        load_potentials(saved)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("hidden_size", 10**9),
        ("hidden_size", 8),
        ("groups", [[0, 1, 2]]),
        ("groups", [[0, 5], [1]]),
        ("groups", None),
        ("layout", []),
    ],
)
def test_a_forged_manifest_is_refused(saved: Path, entry: str, value: object) -> None:
    manifest = json.loads((saved / MANIFEST).read_text())
    (saved / MANIFEST).write_text(json.dumps({**manifest, entry: value}))
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_potentials(saved)


def test_weights_that_are_no_weights_are_refused(saved: Path) -> None:
    (saved / "potentials.safetensors").write_bytes(b"no tensors")
    manifest = json.loads((saved / MANIFEST).read_text())
    manifest["files"]["potentials.safetensors"] = sha256(b"no tensors")
    (saved / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_potentials(saved)


def test_an_artifact_of_another_kind_is_refused() -> None:
    with pytest.raises(ArtifactError, match="of the kind `credit`, not `potentials`"):
        load_potentials(bundled_artifact("lbf-5x5-2p-1f"))
