"""Potentials: state-scoring models that rankings teach, and the individual rewards that follow from them (LCA)."""

from qredit.marl.potentials.encoding import EgoEncoding, whole_fields
from qredit.marl.potentials.files import KIND, load_potentials, save_potentials
from qredit.marl.potentials.fitting import Fit, FitSettings, best_potentials, fit_potentials
from qredit.marl.potentials.losses import preference_loss, probability_better
from qredit.marl.potentials.model import Potentials
from qredit.marl.potentials.rankings import Rankings
from qredit.marl.potentials.rewards import PotentialReward

__all__ = [
    "KIND",
    "EgoEncoding",
    "Fit",
    "FitSettings",
    "PotentialReward",
    "Potentials",
    "Rankings",
    "best_potentials",
    "fit_potentials",
    "load_potentials",
    "preference_loss",
    "probability_better",
    "save_potentials",
    "whole_fields",
]
