"""What to generate, with which models, and what it may cost; the command line's options are made from this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from qredit.errors import ConfigurationError


@dataclass(frozen=True)
class EvaluatorSettings:
    """Model and sampling of the evaluator; whatever is unset is as for the coder."""

    evaluator_model: str | None = None
    """Model of the evaluator, if it is another than the coder's."""
    evaluator_base_url: str | None = None
    """Endpoint of the evaluator; its key comes from $EVALUATOR_API_KEY and never from $OPENAI_API_KEY."""
    evaluator_temperature: float | None = None
    """Sampling temperature of the evaluator."""
    evaluator_top_p: float | None = None
    """Nucleus sampling of the evaluator."""
    evaluator_max_reply_tokens: int | None = None
    """Most tokens of a reply of the evaluator."""


@dataclass(frozen=True)
class RankerSettings:
    """Model and sampling of the ranker; whatever is unset is as for the coder."""

    ranker_model: str | None = None
    """Model of the ranker, if it is another than the coder's: most calls of a run are its calls."""
    ranker_base_url: str | None = None
    """Endpoint of the ranker; its key comes from $RANKER_API_KEY and never from $OPENAI_API_KEY."""
    ranker_temperature: float | None = None
    """Sampling temperature of the ranker."""
    ranker_top_p: float | None = None
    """Nucleus sampling of the ranker."""
    ranker_max_reply_tokens: int | None = None
    """Most tokens of a reply of the ranker."""


@dataclass(frozen=True)
class Spending:
    """What a run may spend, all its sessions together."""

    max_tokens: int | None = None
    """Most tokens of the whole run, read and written; at the limit the best candidate so far is published."""
    max_usd: float | None = None
    """Most US dollars of the whole run, by list price."""
    price_in: float | None = None
    """US dollars per million tokens read, for models without a known price."""
    price_out: float | None = None
    """US dollars per million tokens written."""


@dataclass(frozen=True)
class Request:
    """What to generate, with which models and under which checks."""

    task: str
    """Name of a built-in task or of a member of a family, or path of a task file."""
    model: str | None = None
    """Name of the model; `replay` for the recorded replies of a built-in task, `human` to answer by files."""
    base_url: str | None = None
    """Base URL of an OpenAI-compatible endpoint; comes before OPENAI_BASE_URL."""
    kind: str | None = None
    """Kind of program: weights, general, shares, describe, or an installed package's; by default the task's own."""
    jail: str = "auto"
    """Jail that candidates run in: auto, bubblewrap, lockdown or docker."""
    sandbox_image: str | None = None
    """For the `docker` jail, the image with qredit in it; by default this machine's Python is mounted."""
    scale: Literal["sum_to_n", "raw"] = "sum_to_n"
    """Whether weights are normalised to sum to N."""
    igm: Literal["enforce", "relax"] | None = None
    """Whether negative weights are clamped at 0 or kept; by default as the task says."""
    truth_states: int = 32
    """States in which the true credit is measured before the run, where none ships with the task; 0 measures none, and
    then there is no selection score."""
    evaluator: EvaluatorSettings = field(default_factory=EvaluatorSettings)
    """Model and sampling of the evaluator, where they differ."""
    ranker: RankerSettings = field(default_factory=RankerSettings)
    """Model and sampling of the ranker, where they differ; for runs that rank."""
    spending: Spending = field(default_factory=Spending)
    """What may be spent."""

    def __post_init__(self) -> None:
        if self.truth_states < 0:
            raise ConfigurationError(
                f"{self.truth_states} states with true credit",
                cause="there cannot be fewer than none",
                remedy="Give --truth-states 0 or more.",
            )
