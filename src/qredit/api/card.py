"""`CARD.md`: what a person should know about a program before using it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qredit.prompts import fenced
from qredit.task import is_task_file

if TYPE_CHECKING:
    from qredit.graphs import GenerationResult, Job
    from qredit.graphs.kinds import Assignment, Kind
    from qredit.sandbox import Accepted

_FORMULAS = {
    "weights": "`Q_tot(s, a) = sum_i w_i(s) Q_i + b(s)` with the weights below; weights of 1 are VDN.",
    "general": "`Q_tot(s, a) = f(Q_1, ..., Q_N; s)` with the function below; the sum of the `Q_i` is VDN.",
    "shares": "`r_i = share_i(s, a, s') R` with the shares below; shares of 1 are the team's reward.",
}
_USE = {
    "weights": """```python
from qredit import load_mixer

mixer = load_mixer("PATH/OF/THIS/FOLDER")
q_tot = mixer(agent_qs, states)  # [B, T, N], [B, T, S] -> [B, T, 1]
weights = mixer.credit(states)  # [B, T, N]
```
""",
    "general": """```python
from qredit import load_mixer

mixer = load_mixer("PATH/OF/THIS/FOLDER")
q_tot = mixer(agent_qs, states)  # [B, T, N], [B, T, S] -> [B, T, 1]
credit = mixer.credit(states, agent_qs)  # dQ_tot/dQ_i, [B, T, N]
```
""",
}
_STOPPED = {
    "budget": "**The budget was spent before the last round**: this is the best candidate until then.\n\n",
    "converged": "The score had stopped rising, so the run ended before its last round.\n\n",
}


def card(job: Job, result: GenerationResult, manifest: Mapping[str, Any]) -> str:
    """The card of a generated program in Markdown; whatever a model wrote stands inside fences."""
    written_by = " and ".join(dict.fromkeys(f"`{i.model}`" for i in result.identities.values()))
    usage = result.spend.usage
    origin = f"""- qredit {manifest["qredit"]}: `{_command(manifest)}`
- {_again(manifest)} repeats it from the recorded replies and compares what comes out
- {_models(result)}
- {result.spend.calls} calls, {usage.input_tokens} input and {usage.output_tokens} output
  tokens{" (estimated)" if usage.estimated else ""}"""
    return _card(
        job.kind,
        job.assignment,
        result.verdict,
        result.source,
        result.figures,
        manifest,
        head=f"Written by {written_by}, chosen from {_candidates(result)} candidates in\n{len(result.rounds)} rounds",
        note=_STOPPED.get(result.stopped, ""),
        why=f"Why it was chosen:\n\n{fenced(result.reason)}\n\n",
        origin=origin,
    )


def card_of_check(
    kind: Kind, assignment: Assignment, verdict: Accepted, source: str, figures: str, manifest: Mapping[str, Any]
) -> str:
    """The card of a program that `qredit check` accepted, or `qredit transfer` for another task than its own."""
    name, other = assignment.subject.name, manifest["taken_from"]
    head = f"Written for `{other}` and traced again for this task" if other else "Given as a file"
    command = f"qredit transfer ARTIFACT {name}" if other else f"qredit check FILE --task {name} --save FOLDER"
    origin = f"- qredit {manifest['qredit']}: `{command}`"
    if other:
        origin += f", where ARTIFACT is that for `{other}`"
        origin += f"\n- {_again(manifest)} traces it once more and compares what comes out"
    return _card(kind, assignment, verdict, source, figures, manifest, head=head, origin=origin)


def _card(
    kind: Kind,
    assignment: Assignment,
    verdict: Accepted,
    source: str,
    figures: str,
    manifest: Mapping[str, Any],
    *,
    head: str,
    origin: str,
    note: str = "",
    why: str = "",
) -> str:
    subject = assignment.subject
    title = f"{subject.task.title}. " if subject.task is not None else ""
    warnings = "\n".join(f"- {warning}" for warning in verdict.warnings) or "- none"
    formula = _FORMULAS.get(verdict.form, kind.title)
    rules = f" Scale `{manifest['scale']}`, IGM `{manifest['igm']}`." if verdict.form in _FORMULAS else ""
    words = _in_words(source, kind.functions)
    use = f"## Use\n\n{_USE[verdict.form]}\n" if verdict.form in _USE else ""
    return f"""# {kind.name.capitalize()} for `{subject.name}`

{title}{head}, checked in the jail `{manifest["jail"]}`.

{note}{formula}{rules}

## In words

What the writer says that it does:

{fenced(words or "nothing")}

{why}## Measured, on {manifest["probe_states"]} states of episodes

{fenced(figures)}

{_scenes(kind, assignment)}## The code, for people

{_executed(kind, verdict)}

{fenced(source, "python")}

## Warnings of the checks

{warnings}

{use}## Where it comes from

{origin}
"""


def _again(manifest: Mapping[str, Any]) -> str:
    task = " --task FILE" if is_task_file(str(manifest["task_argument"])) else ""
    return f"`qredit reproduce PATH/OF/THIS/FOLDER{task}`"


def _in_words(source: str, functions: tuple[str, ...]) -> str:
    """The docstring of the program's function."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    found = (n for n in body if isinstance(n, ast.FunctionDef) and n.name in functions)
    return next((ast.get_docstring(node) or "" for node in found), "")


def _scenes(kind: Kind, assignment: Assignment) -> str:
    scenes = kind.scenes(assignment)
    return f"The scenes:\n\n{fenced(scenes)}\n\n" if scenes else ""


def _executed(kind: Kind, verdict: Accepted) -> str:
    name, sha = kind.payload_file, verdict.payload_sha256
    if kind.artifact_kind == "credit":
        return f"Training executes `{name}` (SHA-256 `{sha}`), never this text."
    return f"What the checks made of it is `{name}` (SHA-256 `{sha}`)."


def _command(manifest: Mapping[str, Any]) -> str:
    settings = manifest["settings"]
    options = [
        f"--kind {manifest['program']}",
        f"--candidates {settings['candidates']}",
        f"--rounds {settings['rounds']}",
        f"--scale {manifest['scale']}",
        f"--igm {manifest['igm']}",
    ]
    return f"qredit generate {manifest['task']} --model {manifest['model']['asked']} {' '.join(options)}"


def _models(result: GenerationResult) -> str:
    lines = (
        f"{role}: `{i.model}` at `{i.endpoint}`, sampling {dict(i.parameters) or 'as the endpoint does by default'}"
        for role, i in result.identities.items()
    )
    return "\n- ".join(lines)


def _candidates(result: GenerationResult) -> int:
    return sum(len(summary.candidates) for summary in result.rounds)
