"""What the tests of training share: credit graphs by hand, a tiny environment with a known optimum, small settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from qredit.artifact import CREDIT_GRAPH, save_artifact
from qredit.credit import CreditGraph, parse_graph
from qredit.layout import StateField, StateLayout
from qredit.marl import adapters
from qredit.marl.environments.simulator import Snapshot, StepResult
from qredit.marl.settings import TrainSettings
from qredit.runs import Run, create_run
from qredit.task import EnvironmentSpec, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAMES: Mapping[str, Sequence[Sequence[float]]] = {
    "additive": [[1, 3, 0], [4, 6, 3], [2, 4, 1]],
    "monotone": [[0, 1, 2], [1, 3, 5], [2, 5, 8]],
}
"""Payoff matrices; `additive` is a sum of a row's and a column's value, `monotone` is not."""
SMALL = TrainSettings(
    total_steps=600,
    n_environments=4,
    buffer_episodes=12,
    batch_episodes=4,
    updates_per_collection=2,
    hidden_size=8,
    mixing_size=4,
    hypernet_size=8,
    learning_rate=1e-3,
    epsilon_anneal_steps=400,
    target_update_tau=0.1,
    evaluation_interval=250,
    evaluation_episodes=6,
    checkpoint_interval=200,
)
"""A training of about a second on a small board."""


class MatrixGame:
    """Two agents choose at once and get a payoff; `steps` rounds, after which the world has ended.

    The state is the joint action of the round before, `(-1, -1)` at first; an agent observes nothing but a constant.
    """

    n_agents, n_actions, observation_size = 2, 3, 1
    layout = StateLayout((StateField("last_action", (2,), "index", -1, 2, "Last joint action.", ("action",)),))

    def __init__(self, task: Task, spec: EnvironmentSpec) -> None:
        self.payoff = np.array(GAMES[spec.id])
        self.time_limit = int(spec.arguments.get("steps", 1))
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Nothing here is random."""
        self._round, self._last = 0, (-1, -1)

    def step(self, actions: Sequence[int]) -> StepResult:
        """Both get half of the payoff."""
        row, column = actions
        self._round, self._last = self._round + 1, (row, column)
        half = float(self.payoff[row, column]) / 2
        return StepResult((half, half), terminated=self._round >= self.time_limit, truncated=False)

    def state(self) -> NDArray[np.float32]:
        """The last joint action, `[S]`."""
        return np.array(self._last, dtype=np.float32)

    def observations(self) -> NDArray[np.float32]:
        """A constant, `[N, O]`."""
        return np.ones((2, 1), dtype=np.float32)

    def available_actions(self) -> NDArray[np.bool_]:
        """All, `[N, A]`."""
        return np.ones((2, 3), dtype=np.bool_)

    def save(self) -> Snapshot:
        """Round and last joint action."""
        return self._round, self._last

    def restore(self, snapshot: Snapshot) -> None:
        """Go back."""
        self._round, self._last = snapshot

    def scripted_actions(self, rng: np.random.Generator) -> list[int]:
        """The best pair."""
        return [int(i) for i in np.unravel_index(self.payoff.argmax(), self.payoff.shape)]


class Graphs:
    """Credit graphs written by hand, for states of `size` numbers."""

    def __init__(self, n_agents: int, size: int) -> None:
        self.n_agents, self.size = n_agents, size

    def ones(self, *, form: str = "weights", scale: str = "sum_to_n", bias_of: int | None = None) -> CreditGraph:
        """Weights of one; with `bias_of`, `f_b(s) = s[bias_of]`."""
        nodes: list[dict[str, Any]] = [
            {"op": "aten.sym_size.int", "args": ["state", 0]},
            {"op": "aten.new_ones.default", "args": ["state", ["n0", self.n_agents]]},
        ]
        return self._graph(nodes, ["n1"], form=form, scale=scale, bias_of=bias_of)

    def first_numbers(
        self,
        *,
        form: str = "weights",
        scale: str = "sum_to_n",
        igm: str = "enforce",
        bias_of: int | None = None,
    ) -> CreditGraph:
        """The weights are the first `N` numbers of the state."""
        nodes = [{"op": "aten.slice.Tensor", "args": ["state", 1, 0, self.n_agents]}]
        return self._graph(nodes, ["n0"], form=form, scale=scale, igm=igm, bias_of=bias_of)

    def product(self) -> CreditGraph:
        """The general form `Q_tot = prod_i Q_i`."""
        nodes = [{"op": "aten.prod.dim_int", "args": ["agents_q", 1, True]}]
        return self._graph(nodes, ["n0"], form="general")

    def _graph(
        self,
        nodes: list[dict[str, Any]],
        outputs: list[str],
        *,
        form: str = "weights",
        scale: str = "sum_to_n",
        igm: str = "enforce",
        bias_of: int | None = None,
    ) -> CreditGraph:
        if bias_of is not None:
            outputs = [*outputs, f"n{len(nodes)}"]
            nodes = [*nodes, {"op": "aten.slice.Tensor", "args": ["state", 1, bias_of, bias_of + 1]}]
        header = {
            "form": form,
            "scale": scale,
            "igm": igm,
            "n_agents": self.n_agents,
            "state_size": self.size,
            "has_bias": bias_of is not None,
        }
        document = {"format": 1, "header": header, "constants": [], "nodes": nodes, "outputs": outputs}
        return parse_graph(json.dumps(document).encode())


SaveGraph = Callable[[CreditGraph], Path]
MakeRun = Callable[[], Run]
GameTask = Callable[..., Task]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tests share two cores with others."""
    torch.set_num_threads(1)


@pytest.fixture
def graphs() -> type[Graphs]:
    """`graphs(n_agents, state_size)` writes credit graphs."""
    return Graphs


@pytest.fixture
def save_graph(tmp_path: Path) -> SaveGraph:
    """Makes an artifact of a credit graph; returns its folder."""

    def save(graph: CreditGraph) -> Path:
        folder = tmp_path / f"artifact-{graph.sha256[:12]}"
        manifest = {"kind": "credit", "task": "any"}
        return save_artifact(folder, manifest=manifest, files={CREDIT_GRAPH: graph.to_bytes()}).path

    return save


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a new run folder of a training."""
    return lambda: create_run("train", "test", {}, root=tmp_path / "trainings")


@pytest.fixture
def game_task(monkeypatch: pytest.MonkeyPatch) -> GameTask:
    """`game_task("additive", steps=1)`: a task in a matrix game; the adapter exists for this test only."""
    monkeypatch.setattr(adapters, "ADAPTERS", {**adapters.ADAPTERS, "matrix": MatrixGame})

    def make(game: str, steps: int = 1) -> Task:
        return Task(
            name=f"matrix-{game}",
            title="A matrix game",
            description="Two agents choose at once.",
            goal="The highest payoff.",
            reward="The payoff.",
            n_agents=2,
            actions=("A", "B", "C"),
            time_limit=steps,
            environment=EnvironmentSpec(adapter="matrix", id=game, arguments={"steps": steps}),
        )

    return make


@pytest.fixture
def small() -> TrainSettings:
    """Settings of a training of about a second."""
    return SMALL
