"""A chat model whose replies are written down beforehand: for tests, ours and other people's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from qredit.agents.messages import Identity, Message, Position, Reply, ReplySchema, Usage
from qredit.errors import RecordingError

Script = Callable[[Sequence[Message], Position], str | Reply]
SCRIPTED = Identity(endpoint="scripted", model="scripted", parameters={})


class ScriptedModel:
    """Answers from a script: a function of (messages, position), or a mapping from positions to texts.

    The order of the calls does not matter, so parallel candidates get the same replies in every run.

        ScriptedModel({Position("coder", 1, 1, 1): "```python ..."})
        ScriptedModel(lambda messages, position: CODE if position.role == "coder" else VERDICT)

    Another `identity` tells several of them apart, or gives one a price.

    An exception that the function raises is raised to the caller: that is how a test lets an endpoint fail.
    """

    def __init__(
        self,
        script: Script | Mapping[Position, str | Reply],
        *,
        latency_seconds: float = 0.0,
        identity: Identity = SCRIPTED,
    ) -> None:
        self._script = script
        self._identity = identity
        self._latency_seconds = latency_seconds
        self.calls: list[tuple[Position, tuple[Message, ...]]] = []
        """Every call so far, in the order in which they came."""

    @property
    def identity(self) -> Identity:
        """What answers."""
        return self._identity

    async def complete(
        self, messages: Sequence[Message], position: Position, *, schema: ReplySchema | None = None
    ) -> Reply:
        """Answer from the script.

        Raises:
            RecordingError: the mapping has nothing for this position.
        """
        self.calls.append((position, tuple(messages)))
        await asyncio.sleep(self._latency_seconds)
        if callable(self._script):
            said = self._script(messages, position)
        elif position in self._script:
            said = self._script[position]
        else:
            raise RecordingError(
                f"call `{position}`", cause="the script has no reply for it", remedy="Add one to the mapping."
            )
        if isinstance(said, Reply):
            return said
        read = sum(len(message.text) for message in messages)
        return Reply(text=said, usage=Usage(read // 4, len(said) // 4, estimated=True), model=self._identity.model)
