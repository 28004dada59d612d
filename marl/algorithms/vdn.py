"""VDN: `Q_tot = sum_i Q_i`."""

from __future__ import annotations

from qredit.marl.algorithms.algorithm import Problem
from qredit.marl.algorithms.value_decomposition import ValueDecomposition
from qredit.marl.mixers import Mixer, VDNMixer


class VDN(ValueDecomposition):
    """Value decomposition by a sum."""

    title = "VDN"
    source = "Sunehag et al. 2018, Value-Decomposition Networks For Cooperative Multi-Agent Learning"

    def make_mixer(self, problem: Problem) -> Mixer:
        """The sum."""
        return VDNMixer()
