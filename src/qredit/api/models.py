"""From the settings of a command to the models of a run and its budget."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qredit.agents import ModelSettings, open_model
from qredit.agents.budget import Budget, Ledger
from qredit.agents.prices import Price, unlisted
from qredit.agents.team import Models
from qredit.api.settings import EvaluatorSettings, RankerSettings, Request, Spending
from qredit.errors import ConfigurationError

if TYPE_CHECKING:
    from qredit.agents import ChatModel
    from qredit.agents.messages import Role


@dataclass(frozen=True)
class _Own:
    """What a role has of its own."""

    role: Role
    model: str | None
    base_url: str | None
    sampling: Mapping[str, Any]
    """Fields of `ModelSettings`; `None` where nothing is said."""

    @staticmethod
    def of(role: Role, settings: EvaluatorSettings | RankerSettings) -> _Own | None:
        said = {name.removeprefix(f"{role}_"): value for name, value in asdict(settings).items()}
        if all(value is None for value in said.values()):
            return None
        return _Own(role, said.pop("model"), said.pop("base_url"), said)


def open_models(
    request: Request, sampling: ModelSettings | None, *, recording: Path, human_folder: Path | None = None
) -> Models:
    """The models that a request asks for; opens no connection.

    Raises:
        ConfigurationError: no model, or neither a URL nor a key.
        RecordingError: `replay` without a recording.
    """

    def open_(
        name: str | None, base_url: str | None, settings: ModelSettings | None, environ: Mapping[str, str]
    ) -> ChatModel:
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

    def own(given: _Own | None) -> ChatModel | None:
        if given is None:
            return None
        if request.model in ("replay", "human"):
            article = "an" if given.role == "evaluator" else "a"
            raise ConfigurationError(
                f"{article} {given.role} of its own beside `--model {request.model}`",
                cause="a recording and a human answer for all roles",
                remedy=f"Leave the --{given.role} options out.",
            )
        base = sampling or ModelSettings(model=request.model or "unset")
        settings = replace(base, **{name: value for name, value in given.sampling.items() if value is not None})
        environ = dict(os.environ)
        if given.base_url is not None:  # another provider must not see the coder's key
            environ["OPENAI_API_KEY"] = environ.pop(f"{given.role.upper()}_API_KEY", "")
        return open_(given.model or request.model, given.base_url or request.base_url, settings, environ)

    from qredit.graphs import pause

    coder = open_(request.model, request.base_url, sampling, os.environ)
    evaluator, ranker = own(_Own.of("evaluator", request.evaluator)), own(_Own.of("ranker", request.ranker))
    return Models(coder, evaluator, ranker)


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
