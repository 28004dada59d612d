"""What the user has of a peer of `benchmarks/peers.py`: how to start it, and which versions it has."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers_settings import Setting

HERE = Path(__file__).parent
PACKAGES = {
    "ours": ("torch", "numba", "numpy"),
    "epymarl": ("torch", "numpy", "lbforaging", "pettingzoo", "mpe2"),
    "jaxmarl": ("jax", "flax", "numpy"),
    "benchmarl": ("benchmarl", "torchrl", "pettingzoo", "torch", "numpy"),
}
INSTALLED = ("benchmarl",)
"""Peers that need no checkout."""


@dataclass(frozen=True)
class Peer:
    """What the user has of a peer."""

    name: str
    python: str
    checkout: Path | None

    def command(self, setting: Setting) -> list[str]:
        """One training of the setting."""
        where = {} if self.checkout is None else {"checkout": str(self.checkout.resolve())}
        job = {"task": setting.task, "algorithm": setting.algorithm, "steps": setting.steps, "changes": setting.changes}
        return [self.python, "-W", "ignore", str(HERE / f"peers_{self.name}.py"), json.dumps({**where, **job})]

    @property
    def threads(self) -> int:
        """Of a process, at most."""
        return os.cpu_count() or 1 if self.name == "jaxmarl" else 1

    def versions(self) -> dict[str, str]:
        """Of its packages, and its commit."""
        found = versions_of(self.name, self.python)
        if self.checkout is not None:
            command = ["git", "-C", str(self.checkout), "log", "-1", "--format=%h %cs"]
            found["commit"] = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        return found


def versions_of(name: str, python: str) -> dict[str, str]:
    """Versions of the packages that an interpreter has."""
    code = (
        "import importlib.metadata as m, json, sys; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    found = json.loads(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout)
    lower = {package.lower(): value for package, value in found.items()}
    return {package: lower[package] for package in PACKAGES[name] if package in lower}
