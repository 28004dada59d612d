"""`qredit fidelity` with potentials: an agent's credit is what its step earns it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from qredit import api
from qredit.api.subjects import load_subject
from qredit.errors import ArtifactError
from qredit.marl.adapters import layout_of
from qredit.marl.potentials import Fit, Potentials, save_potentials
from qredit.task import load_task

TASK = "two-switch"
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
    probes = load_subject(TASK).probes
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
        (found,) = api.measure_fidelity([str(name)])
        assert found.fidelity is not None
        assert found.fidelity.top1 == pytest.approx(points.mean())
        assert 0.0 < found.fidelity.top1 < 1.0


def test_potentials_of_another_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="made for another state than that of `victim-rubble`"):
        api.measure_fidelity([str(saved(tmp_path / "potentials", silent=0))], task="victim-rubble")
