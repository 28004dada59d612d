"""`CARD.md`: what a person should know about a credit function before training with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qredit.prompts import fenced

if TYPE_CHECKING:
    from qredit.graphs import GenerationResult
    from qredit.task import Task


def card(task: Task, result: GenerationResult, manifest: Mapping[str, Any]) -> str:
    """The card in Markdown; whatever a model wrote stands inside fences."""
    verdict = result.verdict
    warnings = "\n".join(f"- {warning}" for warning in verdict.warnings) or "- none"
    return f"""# Credit function for `{task.name}`

{task.title}. Written by `{result.identity.model}`, chosen from {_candidates(result)} candidates in
{len(result.rounds)} rounds, traced and checked in the jail `{manifest["jail"]}`.

`Q_tot(s, a) = sum_i w_i(s) Q_i + b(s)` with the weights below, form `{verdict.form}`,
scale `{manifest["scale"]}`, IGM `{manifest["igm"]}`. Weights of 1 are VDN.

## What it credits, on {manifest["probe_states"]} states of a random policy

{fenced(result.figures)}

## The function, for people

Training executes `credit.graph.json` (SHA-256 `{verdict.graph_sha256}`), never this text.

{fenced(result.source, "python")}

## Why the evaluator chose it

{fenced(result.reason)}

## Warnings of the checks

{warnings}

## Use

```python
from qredit import load_mixer

mixer = load_mixer("PATH/OF/THIS/FOLDER")
q_tot = mixer(agent_qs, states)  # [B, T, N], [B, T, S] -> [B, T, 1]
weights = mixer.credit(states)  # [B, T, N]
```

## Where it comes from

- qredit {manifest["qredit"]}, `qredit generate {task.name} --model {manifest["model"]["asked"]}`
- endpoint `{result.identity.endpoint}`, sampling {dict(result.identity.parameters) or "the endpoint's defaults"}
- {result.spend.calls} calls, {result.spend.usage.input_tokens} input and {result.spend.usage.output_tokens} output
  tokens{" (estimated)" if result.spend.usage.estimated else ""}
"""


def _candidates(result: GenerationResult) -> int:
    return sum(len(summary.candidates) for summary in result.rounds)
