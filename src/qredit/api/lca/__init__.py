"""The experiments on LCA: `qredit experiment lca`; results and what they say are in `docs/results/lca.md`."""

from qredit.api.lca.episode import Episode, play_episode
from qredit.api.lca.episode_figure import save_episode
from qredit.api.lca.errors import errors
from qredit.api.lca.methods import methods
from qredit.api.lca.worlds import WORLDS, World, potentials_by_rule

__all__ = ["WORLDS", "Episode", "World", "errors", "methods", "play_episode", "potentials_by_rule", "save_episode"]
