"""What tokens cost: list prices of well-known hosted models, or prices that the user gave.

The table `prices.yaml` is dated and small on purpose: for a model that it does not know, tokens are counted and no
dollars. What answers on this machine costs nothing, under whatever name; behind a proxy on loopback that passes the
calls on to a paid service the user has to give the price.
"""

from __future__ import annotations

import functools
import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from qredit.agents.messages import Identity, Role, Usage
from qredit.errors import ConfigurationError

TABLE = Path(__file__).parent / "prices.yaml"
_MILLION = 1_000_000
_SNAPSHOT = re.compile(r"-(latest|\d{4}|20\d{6}|20\d\d-\d\d-\d\d)")


@dataclass(frozen=True)
class Price:
    """Price of a model's tokens."""

    input_usd: float
    """US dollars per million tokens read."""
    output_usd: float
    """US dollars per million tokens written, those of the reasoning included."""
    checked: date | None = None
    """The day on which a list price was last compared with its provider's page; `None` for a price that was given."""

    def __post_init__(self) -> None:
        for value in (self.input_usd, self.output_usd):
            if not (math.isfinite(value) and value >= 0):
                raise ConfigurationError(
                    f"price of {value} USD per million tokens",
                    cause="a price is 0 or more",
                    remedy="Correct `--price-in` or `--price-out`.",
                )

    def of(self, usage: Usage) -> float:
        """US dollars for these tokens."""
        return (usage.input_tokens * self.input_usd + usage.output_tokens * self.output_usd) / _MILLION


@dataclass(frozen=True)
class PriceTable:
    """List prices of hosted models."""

    as_of: date
    """The day up to which the table was compared with published prices."""
    models: Mapping[str, Mapping[str, Price]]
    """Host of the provider -> name of the model in lower case -> its price."""


FREE = Price(0.0, 0.0)
"""The price of what answers on this machine, and of recorded and scripted replies."""


@functools.cache
def price_table() -> PriceTable:
    """The table that ships with qredit."""
    import yaml

    data = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    models = {
        host: {row["name"]: Price(row["input"], row["output"], row["checked"]) for row in provider["models"]}
        for provider in data["providers"]
        for host in provider["hosts"]
    }
    return PriceTable(data["as_of"], models)


def price_of(model: str, endpoint: str) -> Price | None:
    """The list price of a model at an endpoint, or `None` if it is not known.

    Only a provider's own host counts: elsewhere the same name may cost something else. The longest name in the table
    that the model's name begins with is taken, if nothing but a snapshot (`-2025-04-14`, `-latest`) follows it:
    `gpt-5-pro` must not get the price of `gpt-5`.

    Args:
        model: name of the model, in any case.
        endpoint: base URL, or another endpoint of an `Identity`, such as `recording:<task>`.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or _on_this_machine(host):
        return FREE
    listed = price_table().models.get(host, {})
    name = model.strip().lower()
    fitting = [known for known in listed if _is_snapshot_of(name, known)]
    return listed[max(fitting, key=len)] if fitting else None


def prices_of(
    identities: Mapping[Role, Identity], given: Mapping[Role, Price] | None = None
) -> dict[Role, Price | None]:
    """The price of each role's model: the one that the user gave, or else the list price."""
    given = given or {}
    return {
        role: given[role] if role in given else price_of(identity.model, identity.endpoint)
        for role, identity in identities.items()
    }


def unlisted(identities: Mapping[Role, Identity]) -> tuple[Role, ...]:
    """The roles to which a price that the user gives applies: those whose model is asked over HTTP and is not listed.

    A model on this machine is one of them, since a proxy there may pass the calls on to a paid service.
    """
    return tuple(
        role
        for role, identity in identities.items()
        if urlsplit(identity.endpoint).scheme in ("http", "https")
        and price_of(identity.model, identity.endpoint) in (None, FREE)
    )


def cost(usage: Mapping[Role, Usage], prices: Mapping[Role, Price | None]) -> float | None:
    """US dollars for the tokens of each role; `None` if a role used tokens whose price is not known."""
    total = 0.0
    for role, used in usage.items():
        price = prices.get(role)
        if price is not None:
            total += price.of(used)
        elif used.input_tokens or used.output_tokens:
            return None
    return total


def _is_snapshot_of(name: str, known: str) -> bool:
    rest = name.removeprefix(known)
    return name.startswith(known) and (not rest or _SNAPSHOT.fullmatch(rest) is not None)


def _on_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
