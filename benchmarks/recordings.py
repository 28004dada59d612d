"""What came of the recorded runs: scores round by round, and why attempts were sent back.

    python benchmarks/recordings.py

Reads the runs that ship with qredit and prints two Markdown tables. A score is Kendall's tau with the measured truth,
for matrix games R squared of the best fit of the payoffs.
"""

from __future__ import annotations

import re
from collections import Counter

from qredit.api import inspect_run
from qredit.api.inspection import Attempt, Inspection
from qredit.prompts.files import ROOM

CAUSES = {
    r"per state, the limit is": "memory per state",
    r"nodes has \d+ entries": "length of the graph",
    r"cannot be traced": "other tracing",
    r"": "other",
}
"""Pattern in the message of a rejected attempt -> what the table calls it; the first that fits counts."""


def main() -> None:
    """Print both tables."""
    stories = [inspect_run(str(path.parent)) for path in sorted((ROOM / "recordings").glob("*/recording.jsonl"))]
    print("| task | scores of the candidates, by round | chosen, by round | attempts | tokens read + written |")
    print("|---|---|---|---:|---:|")
    for story in stories:
        print(_row(story))
    print("\n| why an attempt was sent back | how often |\n|---|---:|")
    causes = Counter(
        _cause(attempt) for story in stories for attempt in story.attempts if attempt.verdict != "accepted"
    )
    for cause, count in causes.most_common():
        print(f"| {cause} | {count} |")
    first = [a for story in stories for a in story.attempts if a.attempt == 1]
    accepted = sum(a.verdict == "accepted" for a in first)
    print(f"\nAccepted at the first attempt: {accepted} of {len(first)}.")


def _row(story: Inspection) -> str:
    rounds = sorted({choice.round for choice in story.choices})
    score = {attempt.sha: attempt.score for attempt in story.attempts if attempt.score is not None}
    by_round = "; ".join(", ".join(_scores(story, number)) for number in rounds)
    chosen = ", ".join(_shown(score.get(choice.chosen)) for choice in story.choices)
    tokens = f"{story.input_tokens:,} + {story.output_tokens:,}"
    return f"| {story.task} | {by_round} | {chosen} | {len(story.attempts)} | {tokens} |"


def _scores(story: Inspection, number: int) -> list[str]:
    last = {a.candidate: a for a in story.attempts if a.round == number}  # attempts come in order
    return [_shown(attempt.score) for attempt in last.values()]


def _shown(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"


def _cause(attempt: Attempt) -> str:
    return next(name for pattern, name in CAUSES.items() if re.search(pattern, attempt.message))


main()
