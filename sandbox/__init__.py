"""Where generated code runs: the gate, the jails, tracing to a credit graph, the contract checks.

`verify` is the door: it takes the Python that a language model wrote and gives back `Accepted` with a credit graph,
or `Rejected` with a message for the model. It needs a jail from `open_jail`. `describe_all` runs the second kind of
program, which puts observations into words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.sandbox.describing import Described as Described
    from qredit.sandbox.describing import describe_all as describe_all
    from qredit.sandbox.jails.jail import Jail as Jail
    from qredit.sandbox.jails.jail import open_jail as open_jail
    from qredit.sandbox.jails.jail import probe_jails as probe_jails
    from qredit.sandbox.verdict import Accepted as Accepted
    from qredit.sandbox.verdict import Rejected as Rejected
    from qredit.sandbox.verdict import Verdict as Verdict
    from qredit.sandbox.verification import verify as verify

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Accepted": ".verdict",
        "Described": ".describing",
        "Jail": ".jails.jail",
        "Rejected": ".verdict",
        "Verdict": ".verdict",
        "describe_all": ".describing",
        "open_jail": ".jails.jail",
        "probe_jails": ".jails.jail",
        "verify": ".verification",
    },
)
