"""Credit functions of the form `weights`: `credit(state) -> weights [B, N]` and perhaps a bias (QLLM, equation 3)."""

from __future__ import annotations

from qredit.graphs.kinds.credit_checks import check_form, fidelity_scorer
from qredit.graphs.kinds.credit_figures import credit_figures
from qredit.graphs.kinds.kind import Kind
from qredit.graphs.kinds.scenes import state_scenes
from qredit.prompts import kind_templates

WEIGHTS = Kind(
    name="weights",
    title="weight of each agent per state, and a bias, for value decomposition",
    functions=("credit",),
    templates=kind_templates("weights"),
    check=check_form("weights"),
    measure=credit_figures,
    scorer=fidelity_scorer,
    scenes=state_scenes,
    artifact="credit",
    source_file="credit.py",
    payload_file="credit.graph.json",
)
