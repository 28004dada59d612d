"""Finished comparisons on disk, made up: final returns are given, curves rise to them in a straight line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENVIRONMENT = {"adapter": "lbf", "id": "Foraging-8x8-2p-2f-v3"}
POINTS = 5


def write_training(
    folder: Path,
    final: float,
    *,
    start: float = 0.0,
    steps: int = 1000,
    seconds: float = 10.0,
    sampled: float | None = None,
    settings: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] = ENVIRONMENT,
    mixer: str | None = None,
) -> Path:
    """A finished train run folder."""
    folder.mkdir(parents=True)
    result = {
        "final_return": final,
        "area_under_curve": (start + final) / 2,
        "environment_steps": steps,
        "seconds": seconds,
    }
    (folder / "result.json").write_text(json.dumps(result))
    lines = ["environment_steps,seconds,greedy_return,sampled_return"]
    for point in range(POINTS):
        part = point / (POINTS - 1)
        drawn = "" if sampled is None else start + part * (sampled - start)
        lines.append(f"{part * steps},{part * seconds},{start + part * (final - start)},{drawn}")
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    record = {"task": {"environment": dict(environment)}, "training": dict(settings or {}), "mixer_sha256": mixer}
    (folder / "run.json").write_text(json.dumps({"schema": 1, "kind": "train", "settings": record}))
    return folder


def write_comparison(
    folder: Path,
    finals: Mapping[str, Sequence[float]],
    *,
    task: str = "toy",
    random_return: float = 0.0,
    optimum: float | None = None,
    sampled: Mapping[str, Sequence[float]] | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    mixers: Mapping[str, str] | None = None,
    environment: Mapping[str, Any] = ENVIRONMENT,
    command: str | None = None,
) -> Path:
    """A finished comparison; `finals` holds, by algorithm, the final return of seed 0, 1, ..."""
    for name, values in finals.items():
        for seed, final in enumerate(values):
            write_training(
                folder / f"{name}-seed{seed}",
                final,
                start=random_return,
                sampled=sampled[name][seed] if sampled and name in sampled else None,
                settings={"algorithm": name, "seed": seed, "gamma": 0.99, "own": {}, **(settings or {}).get(name, {})},
                environment=environment,
                mixer=(mixers or {}).get(name),
            )
    means = {name: sum(values) / len(values) for name, values in finals.items()}
    rows = {"random policy": random_return, **means, **({} if optimum is None else {"optimum": optimum})}
    data = {
        "schema": 1,
        "task": task,
        "seeds": list(range(len(next(iter(finals.values()))))),
        "environment_steps": 1000,
        "jobs": 2,
        "random_episodes": 100,
        "picture": "learning_curves.png",
        "rows": [{"name": name, "mean_return": value} for name, value in rows.items()],
    }
    (folder / "comparison.json").write_text(json.dumps(data))
    record = {"schema": 1, "kind": "compare", "name": task, "status": "finished", "created": "", "settings": {}}
    (folder / "run.json").write_text(json.dumps({**record, **({"command": command} if command else {})}))
    return folder
