"""How good a model's rankings are, beside the rule that ships with the task, and whether the size of a prompt matters.

    python benchmarks/rankings.py runs/rank-two-switch-001
    python benchmarks/rankings.py runs/rank-two-switch-001 --again 20 --pairs-per-prompt 1 --model NAME --base-url URL

Prints one JSON line. Without `--again` nothing is asked. With it the first pairs of the run are asked once more, with
the same texts, in prompts of another size, each pair in both orders; `--folder` keeps the replies, so that an
interrupted one goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qredit.agents import ModelSettings, open_model
from qredit.agents.store import StoredModel
from qredit.agents.team import Models
from qredit.artifact import load_artifact
from qredit.graphs.kinds.ranking import program_of
from qredit.graphs.ranking import Pair, Plan, Ranker
from qredit.marl.potentials.heuristics import heuristic_answers
from qredit.marl.potentials.transitions import Transitions
from qredit.task import load_task

Answers = NDArray[np.float64]


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("run", type=Path)
    parser.add_argument("--again", type=int, default=0, help="pairs to ask once more")
    parser.add_argument("--queries", type=int, default=2, help="answers per pair")
    parser.add_argument("--pairs-per-prompt", type=int, default=1)
    parser.add_argument("--model")
    parser.add_argument("--base-url")
    parser.add_argument("--folder", type=Path, help="where replies are kept")
    parser.add_argument("--timeout-seconds", type=float, default=600.0)
    options = parser.parse_args()
    artifact = load_artifact(options.run / "artifact")
    task = load_task(artifact.task)
    lines = (options.run / "rankings.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    answers = np.array([[np.nan if a is None else a for a in record["answers"]] for record in records])
    rule = heuristic_answers(task, _transitions(records)).double().numpy()
    found: dict[str, Any] = {"task": task.name, "pairs": len(records), "beside_the_rule": _beside(answers[:, 0], rule)}
    if answers.shape[1] > 1:
        found["both_orders"] = _equal(answers[:, 0], answers[:, 1])
    if options.again:
        again = asyncio.run(_ask(options, task, program_of(artifact.files["payload.json"]).guide, records))
        count = len(again)
        found["again"] = {
            "pairs": count,
            "pairs_per_prompt": options.pairs_per_prompt,
            "equal_to_the_run": _equal(answers[:count, 0], again[:, 0]),
            "beside_the_rule": _beside(again[:, 0], rule[:count]),
            "the_run_on_the_same_pairs": _beside(answers[:count, 0], rule[:count]),
        }
        if options.queries > 1:
            found["again"]["both_orders"] = _equal(again[:, 0], again[:, 1])
    print(json.dumps(found))


def _transitions(records: list[dict[str, Any]]) -> Transitions:
    """Transitions as the run wrote them down."""
    count = len(records)
    return Transitions(
        states=torch.tensor([record["state"] for record in records]),
        actions=torch.tensor([record["actions"] for record in records]),
        next_states=torch.tensor([record["next_state"] for record in records]),
        egos=torch.tensor([record["ego"] for record in records]),
        gains=torch.zeros(count),
        key_steps=(),
    )


def _beside(answers: Answers, rule: Answers) -> dict[str, Any]:
    """How often answers are those of the rule, in all and where both decide."""
    asked = ~np.isnan(answers)
    decided = asked & (rule != 0.5)
    both = decided & (answers != 0.5)
    return {
        "equal": f"{int((answers == rule)[asked].sum())} of {int(asked.sum())}",
        "equal_where_the_rule_decides": f"{int((answers == rule)[decided].sum())} of {int(decided.sum())}",
        "equal_where_both_decide": f"{int((answers == rule)[both].sum())} of {int(both.sum())}",
    }


def _equal(one: Answers, other: Answers) -> str:
    both = ~np.isnan(one) & ~np.isnan(other)
    return f"{int((one == other)[both].sum())} of {int(both.sum())}"


async def _ask(options: argparse.Namespace, task: Any, guide: str, records: list[dict[str, Any]]) -> Answers:
    settings = ModelSettings(model=options.model or "unset", timeout_seconds=options.timeout_seconds, max_retries=0)
    model = open_model(options.model, environ=os.environ, base_url=options.base_url, settings=settings, task=task.name)
    folder = options.folder or options.run / f"again-{options.pairs_per_prompt}"
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [Pair(record["ego"], record["before"], record["after"]) for record in records[: options.again]]
    plan = Plan(queries=options.queries, pairs_per_prompt=options.pairs_per_prompt)
    with closing(StoredModel(Models(model, ranker=model), folder / "replies.jsonl")) as store:
        ranker = Ranker(store.complete, task, on_answer=lambda done, total: None)
        try:
            return await ranker.ask(guide, pairs, plan)
        finally:
            await store.drain()


if __name__ == "__main__":
    main()
