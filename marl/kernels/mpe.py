"""Which compiled world plays which particle world."""

from __future__ import annotations

from collections.abc import Mapping

from qredit.marl.environments.mpe import ParticleWorld
from qredit.marl.kernels.adversary import CompiledAdversary
from qredit.marl.kernels.particle_batch import CompiledParticles
from qredit.marl.kernels.spread import CompiledSpread
from qredit.marl.kernels.tag import CompiledTag

_GAMES: Mapping[str, type[CompiledAdversary | CompiledSpread | CompiledTag]] = {
    "simple_adversary_v3": CompiledAdversary,
    "simple_spread_v3": CompiledSpread,
    "simple_tag_v3": CompiledTag,
}


def compiled_particles(simulator: ParticleWorld, n_environments: int, *, n_threads: int = 1) -> CompiledParticles:
    """Compile a particle world.

    Args:
        simulator: the official one, which gives sizes and physics.
        n_environments: `B`.
        n_threads: over how many threads the environments are divided.
    """
    return _GAMES[simulator.official.metadata["name"]](simulator, n_environments, n_threads=n_threads)
