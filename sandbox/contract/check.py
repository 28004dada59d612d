"""The behaviour contract: what a graph must do on probe states, and what its author hears when it does not.

Pure functions of a header and a callable; nothing here executes candidate Python. The checks run in the jail, in a
child that has never seen the candidate's source. They are samples, not proofs: a function that misbehaves only in
states that no probe reaches passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qredit.credit.schema import Header
from qredit.layout import StateLayout
from qredit.sandbox.contract import credit, equivariance, outputs, shares, values
from qredit.sandbox.contract.probe_states import Rows, probe_states
from qredit.sandbox.contract.subject import SEED, RawFunction, Subject
from qredit.sandbox.contract.subject import ContractError as ContractError
from qredit.sandbox.contract.subject import ContractResourceError as ContractResourceError

CHECKS = (
    outputs.check_inputs_unchanged,
    outputs.check_shapes,
    outputs.check_finite,
    outputs.check_repeatable,
    outputs.check_rows,
)
"""What holds for every form, in the order in which it is checked: each may rely on those before it, and all on inputs
that nobody changes."""


@dataclass(frozen=True)
class ContractReport:
    """What is worth knowing about a function that keeps the contract."""

    warnings: tuple[str, ...]
    """One sentence each."""
    vdn_difference: float | None
    """Share of the rollout states, in [0, 1], in which the credit differs from VDN's; None for what gives no credit."""


def check_contract(
    header: Header,
    run: RawFunction,
    *,
    layout: StateLayout,
    states: Tensor,
    rows: Rows = "rollout state",
    exchangeable: bool = False,
) -> ContractReport:
    """Check a function on rollout states and on edge states made from them.

    Args:
        header: form, scale, igm and sizes, as the graph declares them.
        run: the graph's raw outputs.
        layout: the named fields of the state, or of a transition.
        states: states of rollouts, `[M, S]`, float32, `M >= 1`; or transitions.
        rows: which of them.
        exchangeable: whether a result that depends on an agent's number earns a warning.

    Raises:
        ContractError: the first check that fails; the text says what, where and the remedy.
    """
    probe = probe_states(layout, states, rows)
    generator = torch.Generator().manual_seed(SEED)
    normal_q = torch.randn(probe.states.shape[0], header.n_agents, generator=generator)
    subject = Subject(header=header, run=run, probe=probe, normal_q=normal_q)
    for check in CHECKS:
        check(subject)
    difference: float | None = None
    if header.form == "value":
        values.check_values(subject)
        warnings = list(values.warnings_of(subject))
    else:
        (shares.check_shares if header.form == "shares" else credit.check_gradients)(subject)
        difference = credit.vdn_difference(subject)
        warnings = list((shares.warnings_of if header.form == "shares" else credit.warnings_of)(subject, difference))
    if exchangeable:
        warnings += equivariance.warnings_of(subject)
    return ContractReport(tuple(warnings), difference)
