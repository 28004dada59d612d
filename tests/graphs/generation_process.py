"""A generation in a process of its own, to be killed: `python -m tests.graphs.generation_process RUN BASE_URL`."""

from __future__ import annotations

import sys
from pathlib import Path

from qredit.agents import ModelSettings
from qredit.agents.client import EndpointModel
from qredit.graphs import GenerationResult, GenerationSettings
from qredit.runs import Run
from tests.graphs import support

SETTINGS = GenerationSettings(candidates=3, rounds=2)


def run_against(run: Run, base_url: str) -> GenerationResult:
    """One generation against a server, holding the run's lock."""
    with run.writing():
        return support.run_it(run, EndpointModel(ModelSettings("m", base_url)), SETTINGS)


if __name__ == "__main__":
    run_against(Run(Path(sys.argv[1])), sys.argv[2])
