"""A paper's worth of output: LaTeX tables, vector pictures, BibTeX, an appendix of prompts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.marl.paper.folder import write_paper as write_paper
    from qredit.marl.paper.prompts import Call as Call

__getattr__, __dir__ = lazy_exports(__name__, {"Call": ".prompts", "write_paper": ".folder"})
