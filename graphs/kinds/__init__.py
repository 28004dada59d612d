"""The kinds of programs that language models write: one file and one registry line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.graphs.kinds.credit_checks import check_form as check_form
    from qredit.graphs.kinds.credit_checks import verify_program as verify_program
    from qredit.graphs.kinds.kind import Assignment as Assignment
    from qredit.graphs.kinds.kind import Kind as Kind
    from qredit.graphs.kinds.kind import Score as Score
    from qredit.graphs.kinds.registry import KINDS as KINDS
    from qredit.graphs.kinds.registry import kind_named as kind_named

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Assignment": ".kind",
        "KINDS": ".registry",
        "Kind": ".kind",
        "Score": ".kind",
        "check_form": ".credit_checks",
        "kind_named": ".registry",
        "verify_program": ".credit_checks",
    },
)
