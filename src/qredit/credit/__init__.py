"""The credit graph: what an accepted credit function becomes, and the only thing that training executes.

Data from a stranger enters through `parse_graph` alone. This room needs the standard library and torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.credit.form import Credit as Credit
    from qredit.credit.form import apply_form as apply_form
    from qredit.credit.form import credit_weights as credit_weights
    from qredit.credit.form import weighted_sum as weighted_sum
    from qredit.credit.interpreter import interpret as interpret
    from qredit.credit.parser import parse_graph as parse_graph
    from qredit.credit.schema import CreditGraph as CreditGraph
    from qredit.credit.schema import GraphError as GraphError
    from qredit.credit.schema import Header as Header
    from qredit.credit.specialiser import specialise as specialise

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Credit": ".form",
        "CreditGraph": ".schema",
        "GraphError": ".schema",
        "Header": ".schema",
        "apply_form": ".form",
        "credit_weights": ".form",
        "interpret": ".interpreter",
        "parse_graph": ".parser",
        "specialise": ".specialiser",
        "weighted_sum": ".form",
    },
)
