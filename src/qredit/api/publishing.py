"""From the result of a generation to its artifact."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import qredit
from qredit.api.card import card
from qredit.artifact import Artifact, save_artifact

if TYPE_CHECKING:
    from qredit.graphs import GenerationResult, Job
    from qredit.runs import Run
    from qredit.subject import Subject


def publish(job: Job, result: GenerationResult, run: Run, *, jail: str, asked: str | None) -> Artifact:
    """Write the artifact of a finished generation into its run folder.

    Args:
        job: what was to be written.
        result: what came of it.
        run: the run folder.
        jail: where candidates ran.
        asked: the model as the user named it.
    """
    subject, verdict = job.assignment.subject, result.verdict
    coder = result.identities["coder"]
    manifest: dict[str, Any] = {
        "kind": job.kind.artifact_kind,
        "program": job.kind.name,
        "task": subject.name,
        "task_argument": run.record["settings"]["task"],
        "qredit": qredit.__version__,
        "form": verdict.form,
        "scale": job.assignment.scale,
        "igm": job.assignment.igm,
        "n_agents": subject.n_agents,
        "jail": jail,
        "probe_states": len(subject.states),
        "model": {
            "asked": asked,
            "name": coder.model,
            "endpoint": coder.endpoint,
            "parameters": dict(coder.parameters),
        },
        "models": {
            role: {"name": i.model, "endpoint": i.endpoint, "parameters": dict(i.parameters)}
            for role, i in result.identities.items()
        },
        "settings": dict(result.settings),
        "stopped": result.stopped,
        "prompt_hashes": dict(result.prompt_hashes),
        "checks": {
            "payload_sha256": verdict.payload_sha256,
            "warnings": list(verdict.warnings),
            "vdn_difference": verdict.vdn_difference,
        },
        "score": result.score,
        "spend": result.spend.to_json(),
        "chosen": result.chosen,
        "parents": list(result.parents),
    }
    files = {
        job.kind.payload_file: result.payload,
        job.kind.source_file: result.source.encode("utf-8", "replace"),
        **layout_file(subject),
    }
    files["CARD.md"] = card(job, result, manifest).encode("utf-8", "replace")
    return save_artifact(run.path / "artifact", manifest=manifest, files=files)


def layout_file(subject: Subject) -> dict[str, bytes]:
    """The state that an artifact is about."""
    layout = json.dumps(subject.layout.to_json(), indent=2, ensure_ascii=False) + "\n"
    return {"layout.json": layout.encode()}
