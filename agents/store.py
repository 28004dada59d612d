"""The reply store: what was answered is on the disk before anything uses it, and is never asked again.

`replies.jsonl` in the run folder, one record per answered call:

    {"schema": 1, "key", "position": {"role", "round", "candidate", "attempt"}, "identity": {"endpoint", "model",
     "parameters"}, "prompt_sha256", "messages", "reply": {...}}

`key` is the SHA-256 over (endpoint, model, parameters, messages, role, sample), with the identity of the model that
answers in this role. The store is the authority on what was answered; the trace tells the story and checkpoints save
time. After kill -9 no answered call is repeated; a call in flight at that moment may be paid twice, since nobody can
know whether it was answered.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qredit.agents.budget import Budget, Ledger
from qredit.agents.messages import (
    ChatModel,
    Identity,
    Message,
    Position,
    Reply,
    ReplySchema,
    Role,
    Usage,
    canonical,
    messages_json,
    prompt_sha256,
)
from qredit.agents.team import Models
from qredit.errors import ArtifactError, BudgetSpentError, InfrastructureError, QreditError
from qredit.files import AppendOnlyLines, read_json_lines, sha256

SCHEMA = 1
FILE_NAME = "replies.jsonl"


def reply_key(identity: Identity, messages: Sequence[Message], position: Position) -> str:
    """The key of one call in the store."""
    return sha256(
        canonical(
            {
                "endpoint": identity.endpoint,
                "model": identity.model,
                "parameters": dict(identity.parameters),
                "messages": messages_json(messages),
                "role": position.role,
                "sample": position.sample,
            }
        )
    )


def read_replies(path: Path) -> list[dict[str, Any]]:
    """The records of a reply store, checked.

    Raises:
        ArtifactError: damaged, or of another version.
    """
    records = read_json_lines(path)
    for number, record in enumerate(records, 1):
        problem = None
        if record.get("schema") != SCHEMA:
            problem = f"schema version {record.get('schema')!r}, this qredit reads {SCHEMA}"
        else:
            try:
                Reply.from_json(record["reply"])
                Position(**record["position"])
                str(record["key"])
            except (KeyError, OverflowError, TypeError, ValueError) as error:
                problem = f"malformed record ({type(error).__name__}: {error})"
        if problem:
            raise ArtifactError(
                f"`{path}`, record {number}", cause=problem, remedy="Start a new run; this one cannot be resumed."
            )
    return records


class StoredModel:
    """The chat models of a run behind their reply store.

    The call itself runs in a task of its own: when the caller is cancelled because a sibling failed, the call in
    flight still ends and its answer is still stored. `drain` waits for such calls.

    No call is made that could exceed the budget (`Ledger` says how far it can be trusted). That it is spent is no
    `failure`: what is in flight and what follows from it is the caller's affair.
    """

    def __init__(self, models: Models | ChatModel, path: Path, budget: Budget | None = None) -> None:
        """Open or make the store.

        Args:
            models: what answers in each role.
            path: file of the store.
            budget: what the run may spend, all its sessions together; no limit if `None`.

        Raises:
            ArtifactError: the file is damaged, or of another version.
            ConfigurationError: the budget is in dollars, and the price of a model is not known.
            StorageError: the file cannot be written.
        """
        self._models = Models.of(models)
        self._ledger = Ledger(budget or Budget(), self._models.identities)
        records = read_replies(path) if path.exists() else []  # before opening: a refused file stays closed
        self._replies: dict[str, Reply] = {}
        for record in records:
            reply = Reply.from_json(record["reply"])
            self._replies[str(record["key"])] = reply
            self._ledger.enter(Position(**record["position"]).role, reply.usage)
        self._lines = AppendOnlyLines(path)
        self._flying: set[asyncio.Task[Reply]] = set()
        self.answered_live = 0
        """Calls of this session that went to the model and came back."""
        self.failure: QreditError | None = None
        """The first fault of the model or the disk; after it no new call is made."""

    @property
    def identity(self) -> Identity:
        """What answers the coder's requests."""
        return self._models.identity("coder")

    @property
    def identities(self) -> Mapping[Role, Identity]:
        """What answers, by role."""
        return self._models.identities

    @property
    def in_flight(self) -> int:
        """Calls that are under way."""
        return len(self._flying)

    async def complete(
        self, messages: Sequence[Message], position: Position, *, schema: ReplySchema | None = None
    ) -> Reply:
        """Answer from the store, or ask the model and store what it answers.

        Raises:
            BudgetSpentError: the call could exceed the budget; it was not made.
            QreditError: the model's or the disk's; also at once when an earlier call failed.
        """
        key = reply_key(self._models.identity(position.role), messages, position)
        stored = self._replies.get(key)
        if stored is not None:
            return stored
        if self.failure is not None:
            raise self.failure
        ticket = await self._set_aside(position.role, messages)
        task = asyncio.create_task(self._ask(key, ticket, tuple(messages), position, schema))
        self._flying.add(task)
        task.add_done_callback(functools.partial(self._landed, ticket))
        return await asyncio.shield(task)

    async def _set_aside(self, role: Role, messages: Sequence[Message]) -> int:
        """A ticket of the ledger; where too little is left, a call in flight may yet need less than it holds."""
        while True:
            try:
                return self._ledger.reserve(role, messages)
            except BudgetSpentError:
                if not self._flying:
                    raise
            await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
            if self.failure is not None:
                raise self.failure

    def get(self, key: str) -> Reply | None:
        """The stored reply of this key."""
        return self._replies.get(key)

    async def drain(self) -> None:
        """Wait until the calls in flight have ended and their answers are stored; faults stay in `failure`."""
        while self._flying:
            await asyncio.wait(self._flying)

    async def abandon(self) -> None:
        """Cancel the calls in flight and wait until their connections are closed: the user wants to stop now."""
        flying = list(self._flying)
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)

    def spend(self) -> Usage:
        """Tokens of all answered calls in the store, of earlier sessions too."""
        return sum(self._ledger.spent.values(), Usage())

    def spend_by_role(self) -> dict[Role, Usage]:
        """The same by role."""
        return self._ledger.spent

    def cost(self) -> float | None:
        """US dollars of these calls; `None` if the price of one is not known."""
        return self._ledger.cost()

    @property
    def reserved(self) -> Usage:
        """Tokens that are set aside for the calls in flight."""
        return self._ledger.reserved

    def model_seconds(self) -> float:
        """Time of all answered calls in the store added up."""
        return sum(reply.seconds for reply in self._replies.values())

    @property
    def calls(self) -> int:
        """Answered calls in the store."""
        return len(self._replies)

    def replies(self) -> list[Reply]:
        """All answered calls in the store."""
        return list(self._replies.values())

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    async def _ask(
        self, key: str, ticket: int, messages: tuple[Message, ...], position: Position, schema: ReplySchema | None
    ) -> Reply:
        model = self._models[position.role]
        identity = model.identity
        try:
            reply = await model.complete(messages, position, schema=schema)
            self._lines.append(
                {
                    "schema": SCHEMA,
                    "key": key,
                    "position": {
                        "role": position.role,
                        "round": position.round,
                        "candidate": position.candidate,
                        "attempt": position.attempt,
                    },
                    "identity": {
                        "endpoint": identity.endpoint,
                        "model": identity.model,
                        "parameters": dict(identity.parameters),
                    },
                    "prompt_sha256": prompt_sha256(messages),
                    "messages": messages_json(messages),
                    "reply": reply.to_json(),
                }
            )
        except QreditError as error:
            if self.failure is None or (
                isinstance(error, InfrastructureError) and not isinstance(self.failure, InfrastructureError)
            ):
                self.failure = error
            raise
        self._ledger.land(ticket, reply.usage)
        self._replies[key] = reply
        self.answered_live += 1
        return reply

    def _landed(self, ticket: int, task: asyncio.Task[Reply]) -> None:
        self._flying.discard(task)
        self._ledger.release(ticket)  # here and not in the task: one that is cancelled at once never runs
        if not task.cancelled():
            task.exception()  # marks it as seen: `failure` keeps it when nobody awaits the task any more
