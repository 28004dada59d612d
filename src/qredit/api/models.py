"""From the settings of a command to the models of a run and its budget."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qredit.agents import ModelSettings, open_model
from qredit.agents.budget import Budget, Ledger
from qredit.agents.prices import Price, unlisted
from qredit.agents.team import Models
from qredit.api.settings import EvaluatorSettings, Request, Spending
from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    from qredit.agents import ChatModel

EVALUATOR_KEY = "EVALUATOR_API_KEY"


def open_models(
    request: Request, sampling: ModelSettings | None, *, recording: Path, human_folder: Path | None = None
) -> Models:
    """The models that a request asks for; opens no connection.

    Raises:
        ConfigurationError: no model, or neither a URL nor a key.
        RecordingError: `replay` without a recording.
    """
    coder = _open(request, request.model, request.base_url, sampling, os.environ, recording, human_folder)
    evaluator = request.evaluator
    if evaluator == EvaluatorSettings():
        return Models(coder)
    if request.model in ("replay", "human"):
        raise ConfigurationError(
            f"an evaluator of its own beside `--model {request.model}`",
            cause="a recording and a human answer for all roles",
            remedy="Leave the --evaluator options out.",
        )
    base = sampling or ModelSettings(model=request.model or "unset")
    own: dict[str, Any] = {
        "temperature": evaluator.evaluator_temperature,
        "top_p": evaluator.evaluator_top_p,
        "max_reply_tokens": evaluator.evaluator_max_reply_tokens,
    }
    settings = replace(base, **{name: value for name, value in own.items() if value is not None})
    environ = dict(os.environ)
    if evaluator.evaluator_base_url is not None:  # another provider must not see the coder's key
        environ["OPENAI_API_KEY"] = environ.pop(EVALUATOR_KEY, "")
    return Models(
        coder,
        _open(
            request,
            evaluator.evaluator_model or request.model,
            evaluator.evaluator_base_url or request.base_url,
            settings,
            environ,
            recording,
            human_folder,
        ),
    )


def _open(
    request: Request,
    name: str | None,
    base_url: str | None,
    settings: ModelSettings | None,
    environ: os._Environ[str] | dict[str, str],
    recording: Path,
    human_folder: Path | None,
) -> ChatModel:
    from qredit.graphs import pause

    return open_model(
        name,
        environ=environ,
        base_url=base_url,
        recording=recording if recording.exists() else None,
        settings=settings,
        task=request.task,
        human_folder=human_folder,
        pause=pause,
    )


def budget_of(spending: Spending, models: Models) -> Budget:
    """The budget of a run, perhaps without limits; prices that the user gave stand where no list price is known.

    Raises:
        ConfigurationError: one price without the other, a limit that is none, or a limit in dollars for a model whose
            price nobody knows.
    """
    if (spending.price_in is None) != (spending.price_out is None):
        raise ConfigurationError(
            "one price without the other",
            cause="tokens read and tokens written both cost",
            remedy="Give both --price-in and --price-out, in US dollars per million tokens.",
        )
    prices = {}
    if spending.price_in is not None and spending.price_out is not None:
        prices = dict.fromkeys(unlisted(models.identities), Price(spending.price_in, spending.price_out))
    budget = Budget(spending.max_tokens, spending.max_usd, prices)
    Ledger(budget, models.identities)  # raises if a price is missing
    return budget
