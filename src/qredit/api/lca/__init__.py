"""The experiments on LCA: `qredit experiment lca`; results and what they say are in `docs/results/lca.md`."""

from qredit.api.lca.errors import errors
from qredit.api.lca.methods import methods
from qredit.api.lca.worlds import WORLDS, World, potentials_by_rule

__all__ = ["WORLDS", "World", "errors", "methods", "potentials_by_rule"]
