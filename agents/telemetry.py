"""No telemetry: the libraries below us can send every prompt to a tracing service, and here they do not by default."""

from __future__ import annotations

import os


def keep_to_this_machine() -> None:
    """Switch LangSmith's tracing off unless `LANGSMITH_TRACING` or `LANGSMITH_TRACING_V2` itself asks for it.

    Variables of the same service's older name, often set for other projects, count for nothing here.
    """
    asked = os.environ.setdefault("LANGSMITH_TRACING", "false")
    os.environ.setdefault("LANGSMITH_TRACING_V2", asked)  # read first, together with the older name
