"""Rankings by rule: what a person who knows the task would answer, as the truth that language models stand beside.

Also with errors put into them, because rankings of a small model are wrong now and then (LCA, section 5.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from qredit.errors import ConfigurationError
from qredit.marl.adapters import make_simulator
from qredit.marl.environments import pistonball_ranking as pistonball
from qredit.marl.environments.rooms import Rooms
from qredit.marl.environments.rooms import ranking as rooms
from qredit.marl.potentials.rankings import Rankings
from qredit.marl.potentials.transitions import Transitions
from qredit.marl.streams import Stream, generator

if TYPE_CHECKING:
    from qredit.marl.environments.simulator import Simulator
    from qredit.task import Task

Rule: TypeAlias = "Callable[[Simulator, Transitions], Tensor]"
"""From `M` transitions to `[M]`: 1 where the state after is better for the ego, 0 where that before, 1/2 for unsure."""


def heuristic_answers(task: Task, transitions: Transitions) -> Tensor:
    """Answers of the rule that ships for a task, `[M]`.

    Raises:
        ConfigurationError: there is none.
    """
    rule = RULES.get(task.environment.adapter) if task.environment is not None else None
    if rule is None:
        raise ConfigurationError(
            f"task `{task.name}`",
            cause=f"a heuristic ranker ships for the adapters {', '.join(f'`{name}`' for name in RULES)} alone",
            remedy="Let a language model rank: `qredit rank`.",
        )
    return rule(make_simulator(task), transitions)


def answers_with_errors(answers: Tensor, *, accuracy: float, queries: int, seed: int) -> Tensor:
    """`Q` answers per pair `[M, Q]`, each right with the given probability and else the opposite; unsure is a toss-up.

    Args:
        answers: right ones, `[M]`.
        accuracy: between 1/2 and 1; with 1, unsure stays unsure.
        queries: `Q`.
        seed: of the errors.
    """
    asked = answers.unsqueeze(1).expand(-1, queries)
    if accuracy == 1:
        return asked.clone()
    rng = generator(Stream.RANKING_ERRORS, seed)
    drawn = torch.from_numpy(rng.random((len(answers), queries)))
    flipped = torch.where(drawn < accuracy, asked, 1 - asked)
    return torch.where(asked == 0.5, (drawn < 0.5).to(asked.dtype), flipped)


def rankings_of(transitions: Transitions, answers: Tensor) -> Rankings:
    """Rankings out of answers `[M]` or `[M, Q]`."""
    asked = answers.unsqueeze(1) if answers.ndim == 1 else answers
    return Rankings.of_answers(transitions.states, transitions.next_states, transitions.egos, asked)


def _rooms(simulator: Simulator, transitions: Transitions) -> Tensor:
    assert isinstance(simulator, Rooms)
    before, after = (
        [simulator.snapshot_of(state) for state in states.numpy()]
        for states in (transitions.states, transitions.next_states)
    )
    egos = transitions.egos.tolist()
    return torch.tensor([rooms.rank(simulator.plan, a, b, ego) for a, b, ego in zip(before, after, egos, strict=True)])


def _pistonball(simulator: Simulator, transitions: Transitions) -> Tensor:
    before, after = (simulator.layout.named(states.numpy()) for states in (transitions.states, transitions.next_states))
    places = (named["ball_position"][:, 0].tolist() for named in (before, after))
    balls, egos = zip(*places, strict=True), transitions.egos.tolist()
    rows = zip(before["piston_height"], after["piston_height"], before["piston_x"], balls, egos, strict=True)
    return torch.tensor([pistonball.rank(*row) for row in rows])


RULES: Mapping[str, Rule] = {"rooms": _rooms, "pistonball": _pistonball}
"""By the task's adapter."""
