"""Credit functions of the general form: `tfcaf(agents_q, state) -> Q_tot [B, 1]` (QLLM, equation 8)."""

from __future__ import annotations

from qredit.graphs.kinds.credit_checks import check_form, fidelity_scorer
from qredit.graphs.kinds.credit_figures import credit_figures
from qredit.graphs.kinds.kind import Kind
from qredit.graphs.kinds.scenes import state_scenes
from qredit.prompts import kind_templates

GENERAL = Kind(
    name="general",
    title="any function of the agents' values and the state, for value decomposition",
    functions=("tfcaf",),
    templates=kind_templates("general"),
    check=check_form("general"),
    measure=credit_figures,
    scorer=fidelity_scorer,
    scenes=state_scenes,
    artifact="credit",
    source_file="credit.py",
    payload_file="credit.graph.json",
)
