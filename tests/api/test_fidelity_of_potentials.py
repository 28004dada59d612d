"""`qredit fidelity` with potentials: an agent's credit is what its step earns it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from qredit import api
from qredit.errors import ArtifactError
from qredit.marl.adapters import layout_of
from qredit.marl.counterfactual import measure_probes
from qredit.marl.potentials import Fit, PotentialReward, Potentials, save_potentials
from qredit.marl.truth_settings import TruthSettings
from qredit.task import load_task

TASK = "two-switch"
QUICK = TruthSettings(states=3, visited=24, continuations=3, horizon=4)
NO_FIT = Fit(1, 1, 1, 0.0, 0.0, None, 0.0)


def saved(folder: Path, *, silent: int) -> Path:
    """Potentials of which one agent's are the same everywhere."""
    torch.manual_seed(0)
    potentials = Potentials(layout_of(load_task(TASK)), [[0], [1]], hidden_size=4)
    for parameter in potentials.scores[silent].parameters():
        torch.nn.init.zeros_(parameter)
    save_potentials(folder, potentials, task=TASK, fit=NO_FIT, origin={})
    return folder


@pytest.mark.parametrize("silent", [0, 1])
def test_only_one_agent_earns(tmp_path: Path, silent: int) -> None:
    truth = measure_probes(load_task(TASK), QUICK)
    probes = truth.probes
    assert probes.true_credit is not None
    assert probes.actions is not None
    assert probes.next_states is not None
    earner = 1 - silent
    earns = (probes.actions[:, earner] != 0) & (probes.states != probes.next_states).any(axis=1)
    known = ~np.isnan(probes.true_credit).any(axis=1)
    points = np.where(earns, probes.true_credit[:, earner] > probes.true_credit[:, silent], 0.5)[known]
    # As the potentials of a run that ranked, and on their own.
    (tmp_path / "run").mkdir()
    saved(tmp_path / "run" / "potentials", silent=silent)
    for name in (tmp_path / "run", tmp_path / "run" / "potentials"):
        (found,) = api.measure_fidelity([str(name)], settings=QUICK)
        assert found.truth is not None
        assert found.truth.source == "measured"
        assert found.fidelity is not None
        assert found.fidelity.top1 == pytest.approx(points.mean())
        assert 0.0 < found.fidelity.top1 < 1.0


def test_potentials_that_are_the_return_order_all_actions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reward of an alternative is looked up; for potentials that are the same everywhere all are equal."""
    truth = measure_probes(load_task(TASK), QUICK)
    returns = {
        (one.state.tobytes(), actions.tobytes(), ego): value
        for one in truth.alternatives
        for actions, ego, value in zip(one.actions, one.egos.tolist(), one.returns.tolist(), strict=True)
    }

    def earned(self: PotentialReward, states: Tensor, actions: Tensor, next_states: Tensor, **rule: object) -> Tensor:
        rows = zip(states.numpy(), actions.numpy(), strict=True)
        return torch.tensor([[returns.get((s.tobytes(), a.tobytes(), i), 0.0) for i in range(2)] for s, a in rows])

    path = saved(tmp_path / "potentials", silent=0)
    (plain,) = api.measure_fidelity([str(path)], settings=QUICK)
    monkeypatch.setattr(PotentialReward, "earned", earned)
    (best,) = api.measure_fidelity([str(path)], settings=QUICK)
    assert best.actions is not None
    assert plain.actions is not None
    assert [best.actions.rewards.top1, best.actions.rewards.tau] == pytest.approx([1, 1])
    assert best.actions.uniform == plain.actions.uniform
    assert plain.actions.uniform.tau == 0
    assert plain.actions.rewards.tau < 1


def test_a_credit_function_has_no_rewards(tmp_path: Path) -> None:
    (found,) = api.measure_fidelity(["builtin"], task="lbf-5x5-2p-1f")
    assert found.actions is None


def test_potentials_of_another_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="made for another state than that of `victim-rubble`"):
        api.measure_fidelity([str(saved(tmp_path / "potentials", silent=0))], task="victim-rubble")
