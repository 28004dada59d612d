"""What a run may spend, and the ledger that no call passes by."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qredit.agents.messages import Identity, Message, Role, Usage
from qredit.agents.prices import Price, cost, price_table, prices_of
from qredit.errors import BudgetSpentError, ConfigurationError

CHARACTERS_PER_TOKEN = 4
FIRST_OUTPUT_TOKENS = 4000
"""Tokens that a reply is expected to have before any was seen, where its length is not limited."""


@dataclass(frozen=True)
class Budget:
    """Limits on what a run spends, all its sessions together; `None` is no limit."""

    max_tokens: int | None = None
    """Most tokens, read and written."""
    max_usd: float | None = None
    """Most US dollars; the price of every role's model must be known."""
    prices: Mapping[Role, Price] = field(default_factory=dict)
    """Prices that the user gave, by role; for the other roles the list price counts."""

    def __post_init__(self) -> None:
        usd = self.max_usd
        if self.max_tokens is not None and self.max_tokens < 1:
            raise _no_budget("--max-tokens", self.max_tokens)
        if usd is not None and not (math.isfinite(usd) and usd > 0):
            raise _no_budget("--max-usd", usd)


class Ledger:
    """What was spent and what is reserved for calls in flight, never more than the budget together.

    A call reserves its input (four characters per token) and the output that is to be expected: the largest so far,
    or its `max_tokens`, or 4000 tokens. What a reply turns out to need beyond its reservation is spent all the same:
    by that much, and by no more, can the calls in flight overrun the budget. Tokens of calls that fail are not
    counted, since nobody says how many they were.

    Every method may be called from any thread.
    """

    def __init__(self, budget: Budget, identities: Mapping[Role, Identity]) -> None:
        """Open an empty ledger.

        Args:
            budget: the limits.
            identities: what answers, by role.

        Raises:
            ConfigurationError: there is a limit in dollars, and the price of a model is not known.
        """
        self._budget = budget
        self._prices = prices_of(identities, budget.prices)
        self._known = {role: price for role, price in self._prices.items() if price is not None}
        self._most_output = {role: identity.parameters.get("max_tokens") for role, identity in identities.items()}
        if budget.max_usd is not None:
            for role, identity in identities.items():
                if role not in self._known:
                    raise _unpriced(identity)
        self._lock = threading.Lock()
        self._tickets = itertools.count(1)
        self._spent: dict[Role, Usage] = {}
        self._reserved: dict[int, tuple[Role, Usage]] = {}
        self._largest_output = 0

    @property
    def spent(self) -> dict[Role, Usage]:
        """Tokens of the answered calls, by role."""
        with self._lock:
            return dict(self._spent)

    @property
    def reserved(self) -> Usage:
        """Tokens that are reserved for calls in flight."""
        with self._lock:
            return sum((usage for _, usage in self._reserved.values()), Usage())

    def cost(self) -> float | None:
        """US dollars of the answered calls; `None` if the price of one is not known."""
        return cost(self.spent, self._prices)

    def enter(self, role: Role, usage: Usage) -> None:
        """Count an answered call of an earlier session."""
        with self._lock:
            self._enter(role, usage)

    def reserve(self, role: Role, messages: Sequence[Message]) -> int:
        """Set aside what the next call may need; the number it returns goes to `land` or `release`.

        Raises:
            BudgetSpentError: less than that is left.
        """
        with self._lock:
            need = Usage(_input_tokens(messages), self._expected_output(role), estimated=True)
            self._check(role, need)
            ticket = next(self._tickets)
            self._reserved[ticket] = (role, need)
            return ticket

    def land(self, ticket: int, usage: Usage) -> None:
        """The call was answered: what it used takes the place of its reservation."""
        with self._lock:
            role, _ = self._reserved.pop(ticket)
            self._enter(role, usage)

    def release(self, ticket: int) -> None:
        """The call ended in another way; without effect if it has landed."""
        with self._lock:
            self._reserved.pop(ticket, None)

    def _enter(self, role: Role, usage: Usage) -> None:
        # A figure below 0, from a faulty endpoint or a stranger's folder, must not earn anything.
        used = Usage(max(0, usage.input_tokens), max(0, usage.output_tokens), usage.estimated)
        self._spent[role] = self._spent.get(role, Usage()) + used
        self._largest_output = max(self._largest_output, used.output_tokens)

    def _expected_output(self, role: Role) -> int:
        most = self._most_output.get(role)
        limit = int(most) if isinstance(most, int | float) and most > 0 else None
        if not self._largest_output:
            return limit or FIRST_OUTPUT_TOKENS
        return min(self._largest_output, limit or self._largest_output)

    def _check(self, role: Role, need: Usage) -> None:
        flying: dict[Role, Usage] = {}
        for other, usage in self._reserved.values():
            flying[other] = flying.get(other, Usage()) + usage
        parts = (self._spent, flying, {role: need})
        if self._budget.max_tokens is not None:
            spent, reserved, next_call = (_tokens(part) for part in parts)
            if spent + reserved + next_call > self._budget.max_tokens:
                raise BudgetSpentError(
                    f"budget of {self._budget.max_tokens} tokens",
                    cause=f"{spent} are spent, {reserved} are reserved for calls in flight, and the next call needs "
                    f"about {next_call}",
                    remedy="Raise it with `--max-tokens` and go on with `--resume RUN`.",
                )
        if self._budget.max_usd is not None:
            usd = [math.fsum(self._known[by].of(usage) for by, usage in part.items()) for part in parts]
            if math.fsum(usd) > self._budget.max_usd:
                raise BudgetSpentError(
                    f"budget of {self._budget.max_usd:g} USD",
                    cause=f"{usd[0]:.4f} are spent, {usd[1]:.4f} are reserved for calls in flight, and the next call "
                    f"needs about {usd[2]:.4f}",
                    remedy="Raise it with `--max-usd` and go on with `--resume RUN`.",
                )


def _no_budget(option: str, value: float) -> ConfigurationError:
    return ConfigurationError(
        f"`{option}` {value}", cause="a budget is more than 0", remedy="Correct it, or leave it out."
    )


def _input_tokens(messages: Sequence[Message]) -> int:
    return math.ceil(sum(len(message.text) for message in messages) / CHARACTERS_PER_TOKEN)


def _tokens(part: Mapping[Role, Usage]) -> int:
    return sum(usage.input_tokens + usage.output_tokens for usage in part.values())


def _unpriced(identity: Identity) -> ConfigurationError:
    return ConfigurationError(
        f"`--max-usd` with model `{identity.model}` at {identity.endpoint}",
        cause=f"its price is not known (price table of {price_table().as_of})",
        remedy="Limit the tokens with `--max-tokens`, or give the price with `--price-in` and `--price-out` (USD per "
        "million tokens).",
    )
