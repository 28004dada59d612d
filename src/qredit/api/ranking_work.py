"""The steps of `qredit rank`: a module is written, the ranker is tried and asked, potentials learn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qredit.agents.store import FILE_NAME as REPLIES
from qredit.agents.store import StoredModel
from qredit.api.generation import assignment_of, job_of
from qredit.api.models import budget_of
from qredit.api.publishing import publish
from qredit.api.ranking_settings import RankingSettings
from qredit.errors import ConfigurationError, UnreliableRankerError
from qredit.files import sha256, write_atomic
from qredit.graphs import Event, GenerationSettings
from qredit.graphs import generate as run_graph
from qredit.graphs.generation import ending_cleanly
from qredit.graphs.identity import task_of
from qredit.graphs.kinds.describe import judging
from qredit.graphs.kinds.ranking import RANKING, RankingProgram, program_of
from qredit.graphs.ranking.asking import Plan, Ranker
from qredit.graphs.ranking.questions import Pair
from qredit.graphs.ranking.reliability import Reliability
from qredit.graphs.ranking.trial import probe, trial_of
from qredit.graphs.trace import Trace
from qredit.sandbox import Rejected, describe_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from qredit.agents.messages import Message, Position, Reply
    from qredit.agents.team import Models
    from qredit.api.settings import Request
    from qredit.graphs.engine import Say
    from qredit.graphs.events import OnEvent
    from qredit.graphs.kinds import Assignment
    from qredit.marl.potentials import Fit
    from qredit.marl.potentials.transitions import Transitions
    from qredit.runs import Run
    from qredit.sandbox import Jail, Verdict
    from qredit.subject import Subject
    from qredit.task import Task

RANKINGS = "rankings.jsonl"
POTENTIALS = "potentials"
TEXTS_TOGETHER = 1000
"""Texts of one call into the jail, whose time is limited: a search for a way takes milliseconds per text."""
PROBE_ROUND = 1000
"""Round of the positions of the last probe, after all rounds of the generation."""


@dataclass(frozen=True)
class Answered:
    """The full set with its answers."""

    reliability: Reliability
    """Of the ranker, from the last probe."""
    pairs: Sequence[Pair]
    """`M` transitions in words."""
    answers: NDArray[np.float64]
    """Those of the ranker, `[M, Q]`; `nan` where one could not be read."""
    calls: int
    """Calls of models in all."""


class RankingWork:
    """The steps of one ranking, in the order of its methods: `write`, `rank`, `teach`."""

    def __init__(
        self, request: Request, ranking: RankingSettings, subject: Subject, models: Models, jail: Jail, run: Run
    ) -> None:
        from qredit.marl.potentials.transitions import sample_transitions

        self._request, self._ranking, self._subject = request, ranking, subject
        self._models, self._jail, self._run = models, jail, run
        self._task: Task = task_of(subject)
        seed = ranking.transition_seed
        self._transitions = sample_transitions(self._task, ranking.pairs, seed)
        self._probes = sample_transitions(self._task, ranking.probe_pairs, seed + 1, of_earners=True)
        gains = self._probes.gains.numpy()
        self._known: NDArray[np.float64] = np.where(gains > 0, 1.0, np.where(gains < 0, 0.0, np.nan))

    def write(
        self, settings: GenerationSettings, on_event: Callable[[Event], None], *, asked: str | None
    ) -> RankingProgram:
        """Have the module written, tried and chosen."""
        trial = trial_of(self._task, lambda program: self._pairs(program, self._probes), self._known)
        kind = replace(RANKING, check=self._check)
        job = job_of(
            self._request, kind, self._subject, self._models, jail=self._jail, settings=settings, run=self._run
        )
        assignment = replace(assignment_of(self._request, self._subject), key_steps=self._transitions.key_steps)
        job = replace(job, assignment=assignment, scorer=None, trial=trial)
        result = asyncio.run(run_graph(job, self._run, settings=settings, on_event=on_event))
        publish(job, result, self._run, jail=self._jail.name, asked=asked)
        return program_of(result.payload)

    def _check(self, source: str, assignment: Assignment, jail: Jail) -> Verdict:
        """As for every module, and on all situations that will be ranked, the rare ones included."""
        verdict = RANKING.check(source, assignment, jail)
        if isinstance(verdict, Rejected):
            return verdict
        for given in (self._probes, self._transitions):
            described = self._describe(source, given)
            refused = described if isinstance(described, Rejected) else judging(described)
            if refused is not None:
                return refused
        return verdict

    async def rank(
        self, program: RankingProgram, on_event: OnEvent, on_progress: Callable[[int, int], None]
    ) -> Answered:
        """Try the ranker once more, then have the full set ranked."""
        ranking = self._ranking
        plan = Plan(
            queries=ranking.queries,
            pairs_per_prompt=ranking.pairs_per_prompt,
            attempts=ranking.ranking_attempts,
            seed=ranking.transition_seed,
        )
        budget = budget_of(self._request.spending, self._models)
        with (
            closing(StoredModel(self._models, self._run.path / REPLIES, budget=budget)) as store,
            closing(Trace(self._run.trace_path)) as trace,
        ):
            identity = self._models.identity("ranker")

            async def say(messages: Sequence[Message], position: Position) -> Reply:
                reply = await store.complete(messages, position)
                trace.add_message(position, identity, messages, reply, parent=None)
                return reply

            async with ending_cleanly(store, trace, self._run, on_event):
                found, pairs, answers = await self._probe_and_ask(say, program, plan, on_progress)
            return Answered(found, pairs, answers, store.calls)

    async def _probe_and_ask(
        self, say: Say, program: RankingProgram, plan: Plan, on_progress: Callable[[int, int], None]
    ) -> tuple[Reliability, Sequence[Pair], NDArray[np.float64]]:
        probes = self._pairs(program, self._probes)
        found, _ = await probe(say, self._task, program, probes, self._known, round_=PROBE_ROUND, number=0)
        if found.problems() and not self._ranking.accept_unreliable:
            raise UnreliableRankerError(
                f"the ranker `{self._models.identity('ranker').model}`",
                cause="; ".join(found.problems()),
                remedy="Nothing was spent on the full set. Take another model, or more rounds so that the guide "
                "gets better; --accept-unreliable --resume RUN ranks all the same.",
            )
        ranker = Ranker(say, self._task, on_answer=on_progress)
        pairs = self._pairs(program, self._transitions)
        return found, pairs, await ranker.ask(program.guide, pairs, plan)

    def teach(self, program: RankingProgram, answered: Answered) -> Fit:
        """Write the data set down, and teach potentials."""
        import torch

        from qredit.marl.potentials import FitSettings, Rankings, best_potentials, save_potentials

        given = self._transitions
        self._write_rankings(answered)
        rankings = Rankings.of_answers(given.states, given.next_states, given.egos, torch.from_numpy(answered.answers))
        settings = FitSettings(seed=self._ranking.transition_seed, most_epochs=1000)
        potentials, fit = best_potentials(self._subject.layout, self._groups(), rankings, settings)
        ranker = self._models.identity("ranker")
        origin = {
            "rankings": "language model",
            "model": ranker.model,
            "parameters": dict(ranker.parameters),
            "settings": asdict(self._ranking),
            "reliability": asdict(answered.reliability),
            "rankings_sha256": sha256((self._run.path / RANKINGS).read_bytes()),
        }
        save_potentials(
            self._run.path / POTENTIALS,
            potentials,
            task=self._task.name,
            fit=fit,
            origin=origin,
            files={"describe.py": program.source.encode()},
        )
        return fit

    def _groups(self) -> list[list[int]]:
        agents = list(range(self._subject.n_agents))
        shared = self._ranking.models == "one" or (self._ranking.models == "auto" and self._task.exchangeable_agents)
        return [agents] if shared else [[agent] for agent in agents]

    def _describe(self, source: str, given: Transitions) -> tuple[str, ...] | Rejected:
        """Texts of all states before, then of all states after, `[2 M]`."""
        states = np.concatenate([given.states.numpy(), given.next_states.numpy()])
        egos = np.tile(given.egos.numpy(), 2)
        texts: list[str] = []
        for start in range(0, len(states), TEXTS_TOGETHER):
            part = slice(start, start + TEXTS_TOGETHER)
            found = describe_all(source, states[part], egos[part], layout=self._subject.layout, jail=self._jail)
            if isinstance(found, Rejected):
                return found
            texts += found.texts
        return tuple(texts)

    def _pairs(self, program: RankingProgram, given: Transitions) -> Sequence[Pair]:
        """Transitions in the words of a program that was accepted.

        Raises:
            ConfigurationError: it fails now; the machine is too busy, or the folder was changed.
        """
        described = self._describe(program.source, given)
        if isinstance(described, Rejected):
            raise ConfigurationError(
                "the chosen `describe`",
                cause=described.message,
                remedy="--resume RUN tries once more; start a new run if it fails again.",
            )
        count = len(given)
        return [Pair(int(given.egos[m]), described[m], described[count + m]) for m in range(count)]

    def _write_rankings(self, answered: Answered) -> None:
        given = self._transitions
        lines = []
        for m, pair in enumerate(answered.pairs):
            record: dict[str, Any] = {
                "pair": m,
                "ego": pair.ego,
                "state": [round(float(x), 6) for x in given.states[m]],
                "actions": given.actions[m].tolist(),
                "next_state": [round(float(x), 6) for x in given.next_states[m]],
                "before": pair.before,
                "after": pair.after,
                "answers": [None if np.isnan(a) else float(a) for a in answered.answers[m]],
            }
            lines.append(json.dumps(record, ensure_ascii=False))
        write_atomic(self._run.path / RANKINGS, ("\n".join(lines) + "\n").encode())
