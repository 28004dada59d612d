"""The functions behind the command line; the only place where `graphs`, `sandbox` and `marl` meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.api.checking import check as check
    from qredit.api.diagnosis import doctor as doctor
    from qredit.api.fidelity import measure_fidelity as measure_fidelity
    from qredit.api.generation import generate as generate
    from qredit.api.inspection import inspect_run as inspect_run
    from qredit.api.reporting import report as report
    from qredit.api.reporting import write_paper as write_paper
    from qredit.api.subjects import load_subject as load_subject
    from qredit.api.training import compare as compare
    from qredit.api.training import submit as submit
    from qredit.api.training import train as train
    from qredit.api.walkthrough import quickstart as quickstart

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "check": ".checking",
        "compare": ".training",
        "doctor": ".diagnosis",
        "generate": ".generation",
        "inspect_run": ".inspection",
        "load_subject": ".subjects",
        "measure_fidelity": ".fidelity",
        "quickstart": ".walkthrough",
        "report": ".reporting",
        "submit": ".training",
        "train": ".training",
        "write_paper": ".reporting",
    },
)
