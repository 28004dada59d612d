"""Whether an artifact was made for the task that is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    from qredit.credit import CreditGraph
    from qredit.marl.environment import BatchedEnvironment
    from qredit.marl.potentials import Potentials


def check_credit(graph: CreditGraph, environment: BatchedEnvironment, path: Path | None) -> None:
    """Whether a credit function is for a task of these sizes.

    Raises:
        ConfigurationError: it is for others.
    """
    n, size = environment.n_agents, environment.layout.size
    if graph.header.form == "shares":
        what, size = "numbers in the transition", 2 * size + n
    else:
        what = "numbers in the state"
    sizes = (("agents", graph.header.n_agents, n), (what, graph.header.state_size, size))
    _check(f"artifact `{path}`", sizes, "Generate a credit function for this task.")


def check_potentials(potentials: Potentials, environment: BatchedEnvironment, path: Path | None) -> None:
    """Whether potentials are for a task of these sizes.

    Raises:
        ConfigurationError: they are for others.
    """
    sizes = (
        ("agents", potentials.n_agents, environment.n_agents),
        ("numbers in the state", potentials.layout.size, environment.layout.size),
    )
    _check(f"potentials `{path}`", sizes, "Rank transitions of this task: `qredit rank`.")


def _check(artifact: str, sizes: tuple[tuple[str, int, int], ...], remedy: str) -> None:
    wrong = [f"made for {made} {what}, the task has {has}" for what, made, has in sizes if made != has]
    if wrong:
        raise ConfigurationError(artifact, cause="; ".join(wrong), remedy=remedy)
