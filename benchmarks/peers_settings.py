"""What `benchmarks/peers.py` measures: each setting of a peer, and the ways in which ours trains beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LBF, SPREAD = "lbf-10x10-3p-3f-2s", "mpe-spread-3"


@dataclass(frozen=True)
class Ours:
    """One way in which ours trains beside the peer."""

    base: str
    """A name of `SETTINGS` in `benchmarks/training.py`."""
    steps: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Laid over it."""
    copies: int = 1
    unequal: str | None = None


@dataclass(frozen=True)
class Setting:
    """What the peer trains, and ours beside it."""

    peer: str
    name: str
    task: str
    algorithm: str
    steps: int
    changes: Mapping[str, Any]
    """Laid over the peer's own configuration."""
    ours: tuple[Ours, ...]
    copies: int = 1
    workers: int = 0
    """Processes of the peer that only play."""

    @property
    def title(self) -> str:
        """What `--only` looks into."""
        return f"{self.peer}-{self.name}-{self.task}-{self.algorithm}"


def hard_targets(algorithm: str, **others: Any) -> dict[str, Any]:
    """Our Q-learning with targets as everybody else moves them, and QMIX's hypernetworks on what the agents see."""
    own = {"own": {"hypernet_input": "observations"}} if algorithm == "qmix" else {}
    return {"target_update_tau": 1.0, "target_update_interval": 200, **own, **others}


def like_epymarl(algorithm: str) -> dict[str, Any]:
    """Our Q-learning with EPyMARL's conventions, as far as they change the work; see `beside_epymarl.py`."""
    return hard_targets(algorithm, reward_statistics="batches", mask_actions=False)


PPO_LIKE_EPYMARL = {
    "mask_actions": False,
    "target_update_tau": 0.01,
    "target_update_interval": 4,
    "own": {
        "n_step": 5,
        "padded_returns": True,
        "entropy_coefficient": 0.001,
        "normalise_advantages": False,
        "refresh_advantages": True,
    },
}
JAXMARL_QMIX = {"NUM_ENVS": 8, "BUFFER_BATCH_SIZE": 32, "HIDDEN_SIZE": 64, "LEARNING_STARTS": 0} | {
    "MIXER_EMBEDDING_DIM": 32,
    "MIXER_HYPERNET_HIDDEN_DIM": 64,
}
JAXMARL_IPPO = {"NUM_ENVS": 16, "NUM_STEPS": 128, "UPDATE_EPOCHS": 4, "NUM_MINIBATCHES": 4, "ACTIVATION": "relu"}
BENCHMARL_QMIX = {
    "off_policy_n_envs_per_worker": 8,
    "off_policy_collected_frames_per_batch": 200,
    "off_policy_n_optimizer_steps": 1,
    "off_policy_train_batch_size": 800,
    "off_policy_memory_size": 125_000,
    "soft_target_update": False,
    "hard_target_update_frequency": 200,
}
BENCHMARL_IPPO = {
    "on_policy_n_envs_per_worker": 10,
    "on_policy_collected_frames_per_batch": 250,
    "on_policy_n_minibatch_iters": 4,
    "on_policy_minibatch_size": 250,
}
MORE = "ours: GAE, 64 environments, 4 minibatches"
COLLECTION = "collections: ours 64 x 25 steps, theirs 16 x 128"
GRU = Ours("one-per-8-episodes-gru", 200_000, hard_targets("qmix"))
FASTEST = Ours("ppo-64-environments", 500_000, unequal=MORE)


def two(ours: Ours, unequal: str | None = None) -> Ours:
    """The same in two processes."""
    return Ours(ours.base, ours.steps, ours.changes, copies=2, unequal=unequal)


PPO_BESIDE_JAX = Ours("ppo-64-environments", 500_000, unequal=COLLECTION)
SETTINGS = (
    *(
        Setting(
            "epymarl", "one-per-episode", task, name, 25_000, {}, (Ours("one-per-episode", 60_000, like_epymarl(name)),)
        )
        for task in (LBF, SPREAD)
        for name in ("qmix", "vdn")
    ),
    *(
        Setting(
            *("epymarl", "one-per-8-episodes", task, "qmix", 60_000),
            {"runner": "parallel", "batch_size_run": 8},
            (Ours("one-per-8-episodes", 300_000, like_epymarl("qmix")),),
            workers=8,
        )
        for task in (LBF, SPREAD)
    ),
    *(
        Setting(
            *("epymarl", "ppo-10-environments", task, name, 40_000),
            {"lr": 0.0005, "epochs": 4, "batch_size_run": 10, "batch_size": 10, "buffer_size": 10},
            (Ours("ppo-10-environments", 200_000, PPO_LIKE_EPYMARL), FASTEST),
            workers=10,
        )
        for task in (LBF, SPREAD)
        for name in ("ippo", "mappo")
    ),
    Setting("jaxmarl", "one-per-8-episodes-gru", SPREAD, "qmix", 500_000, JAXMARL_QMIX, (GRU, two(GRU, "two of ours"))),
    Setting("jaxmarl", "two-of-each", SPREAD, "qmix", 400_000, JAXMARL_QMIX, (two(GRU),), copies=2),
    Setting(
        *("jaxmarl", "ppo-4-minibatches", SPREAD, "ippo", 1_500_000, JAXMARL_IPPO),
        (PPO_BESIDE_JAX, two(PPO_BESIDE_JAX, f"{COLLECTION}; two of ours")),
    ),
    Setting(
        *("benchmarl", "one-per-8-episodes", SPREAD, "qmix", 15_000, BENCHMARL_QMIX),
        (Ours("one-per-8-episodes", 300_000, hard_targets("qmix")),),
    ),
    Setting(
        *("benchmarl", "ppo-10-environments", SPREAD, "ippo", 15_000, BENCHMARL_IPPO),
        (Ours("ppo-10-environments", 200_000), FASTEST),
    ),
)
