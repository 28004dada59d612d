"""From each agent's value to the team's: `forward(agent_qs [B, T, N], states [B, T, S]) -> Q_tot [B, T, 1]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qredit._lazy import lazy_exports

if TYPE_CHECKING:
    from qredit.marl.mixers.credit import CreditMixer as CreditMixer
    from qredit.marl.mixers.credit import load_mixer as load_mixer
    from qredit.marl.mixers.mixer import Mixer as Mixer
    from qredit.marl.mixers.mixer import Steps as Steps
    from qredit.marl.mixers.qllm import QLLMMixer as QLLMMixer
    from qredit.marl.mixers.qmix import QMixer as QMixer
    from qredit.marl.mixers.state_scale import StateScale as StateScale
    from qredit.marl.mixers.vdn import VDNMixer as VDNMixer

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "CreditMixer": ".credit",
        "Mixer": ".mixer",
        "QLLMMixer": ".qllm",
        "QMixer": ".qmix",
        "StateScale": ".state_scale",
        "Steps": ".mixer",
        "VDNMixer": ".vdn",
        "load_mixer": ".credit",
    },
)
