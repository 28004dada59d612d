"""Who speaks when: the LangGraph state machine that generates programs (QLLM, algorithm 1, part 1).

`qredit.graphs.kinds` holds the kinds of programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.graphs.events import Event as Event
    from qredit.graphs.generation import Job as Job
    from qredit.graphs.generation import generate as generate
    from qredit.graphs.results import GenerationResult as GenerationResult
    from qredit.graphs.running import pause as pause
    from qredit.graphs.settings import GenerationSettings as GenerationSettings
    from qredit.graphs.trace import read_trace as read_trace

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Event": ".events",
        "GenerationResult": ".results",
        "GenerationSettings": ".settings",
        "Job": ".generation",
        "generate": ".generation",
        "pause": ".running",
        "read_trace": ".trace",
    },
)
