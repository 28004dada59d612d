"""Settings of a generation's models and of what it may spend; the command line's options are made from them."""

from __future__ import annotations

from dataclasses import dataclass


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
