"""Descriptions of an agent's situation: `describe(observation, ego) -> str`, for rankings (LCA, section 4)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from qredit.graphs.kinds.kind import Assignment, Kind, Score, Scorer
from qredit.graphs.kinds.scenes import scene_rows, state_scenes
from qredit.prompts import figure, kind_templates

if TYPE_CHECKING:
    from qredit.sandbox import Accepted, Jail, Rejected, Verdict


JUDGEMENTS = re.compile(
    r"(?<![\w-])(?:better|worse|best|worst|good|bad|scores?|rewards?|rewarding|optimal|promising|(?:un)?favou?rable|"
    r"(?:dis)?advantages?|(?:un)?desirable|prefer|preferable|preferred|should|ought)(?![\w-])",
    re.IGNORECASE,
)
"""Words that no description needs."""


def describes(source: str, assignment: Assignment, jail: Jail) -> Verdict:
    """Check that a function describes the probe states, each for every agent; the payload is the texts."""
    from qredit.sandbox import Rejected, describe_all

    subject = assignment.subject
    states = np.repeat(subject.states, subject.n_agents, axis=0)  # [M N, S], each state for every agent
    egos = np.tile(np.arange(subject.n_agents), len(subject.states))
    described = describe_all(source, states, egos, layout=subject.layout, jail=jail)
    if isinstance(described, Rejected):
        return described
    return judging(described.texts) or described.to_accepted()


def judging(texts: Iterable[str]) -> Rejected | None:
    """The refusal of texts of which one judges: a ranker that reads "better" repeats it, and knows nothing.

    Names are not looked at, so that `best_cell` passes; what a text hints at without these words is for the evaluator.
    """
    from qredit.sandbox import Rejected

    for text in texts:
        found = JUDGEMENTS.search(text)
        if found is not None:
            line = next(line for line in text.splitlines() if JUDGEMENTS.search(line))
            message = (
                f'A text says "{found[0]}" ("{line.strip()[:200]}"): that gives the answer away. Say what is there, in '
                "places and numbers of steps, and leave the judging to the ranker."
            )
            return Rejected("contract", "unsupported", message, line=None, seconds=0.0)
    return None


def _texts(accepted: Accepted) -> list[str]:
    texts: list[str] = json.loads(accepted.payload)
    return texts


def _measure(accepted: Accepted, assignment: Assignment) -> str:
    texts, n_agents = _texts(accepted), assignment.subject.n_agents
    lengths = [len(text) for text in texts]
    lines = [
        f"texts: {len(texts)}, on average {figure(sum(lengths) / len(lengths))} characters, at most {max(lengths)}",
    ]
    for number, row in enumerate(scene_rows(assignment.subject.probes), 1):
        ego = (number - 1) % n_agents
        lines.append(f"scene {number} for agent {ego}: {texts[row * n_agents + ego]}")
    return "\n".join(lines)


def _scorer(assignment: Assignment) -> Scorer:
    """How many of the situations that differ read differently, in [0, 1]."""
    subject = assignment.subject
    situations = len(np.unique(subject.states, axis=0)) * subject.n_agents

    def score(accepted: Accepted) -> Score:
        share = min(1.0, len(set(_texts(accepted))) / situations)
        return Score(share, f"score: {figure(share)} (share of different situations that read differently)")

    return score


DESCRIBE = Kind(
    name="describe",
    title="an agent's situation in words, for rankings by a language model",
    functions=("describe",),
    templates=kind_templates("describe"),
    check=describes,
    measure=_measure,
    scorer=_scorer,
    scenes=state_scenes,
    source_file="describe.py",
    payload_file="texts.json",
)
