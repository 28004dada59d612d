"""What is said to the models: role templates, task texts and recorded replies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.prompts.files import probe_states_path as probe_states_path
    from qredit.prompts.files import ranking_path as ranking_path
    from qredit.prompts.files import recording_path as recording_path
    from qredit.prompts.rendering import fenced as fenced
    from qredit.prompts.rendering import figure as figure
    from qredit.prompts.rendering import kind_templates as kind_templates
    from qredit.prompts.rendering import render as render
    from qredit.prompts.rendering import template_hashes as template_hashes

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "fenced": ".rendering",
        "figure": ".rendering",
        "kind_templates": ".rendering",
        "probe_states_path": ".files",
        "ranking_path": ".files",
        "recording_path": ".files",
        "render": ".rendering",
        "template_hashes": ".rendering",
    },
)
