"""A person as chat model, for those who only have a chat window: each prompt is a file, and so is each reply."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from qredit.agents.messages import Identity, Message, Position, Reply, ReplySchema, Usage
from qredit.errors import ArtifactError, UserError
from qredit.files import read_untrusted, write_atomic

LARGEST_REPLY = 2_000_000
HEADINGS = {"system": "System message", "user": "User message", "assistant": "Earlier reply"}

Pause = Callable[[Path], Awaitable[None]]


async def stop_until_answered(prompt: Path) -> None:
    """Stop the run here; it goes on from this call once the reply is there.

    Raises:
        UserError: always.
    """
    raise UserError(
        f"`{prompt}` has no reply yet",
        cause="with the model `human` a person answers each prompt",
        remedy=f"Paste it into a chat, save the answer as `{reply_path(prompt).name}` beside it, then `--resume RUN`.",
    )


class HumanModel:
    """Writes `<role>-<round>-<candidate>-<attempt>.prompt.md`, and answers with the text of `....reply.md` beside it.

    A reply counts once its file is there under this very name and holds a word; programs that write a file under
    another name and rename it then are never read half-way.
    """

    def __init__(self, folder: Path, pause: Pause = stop_until_answered) -> None:
        """Take replies from a folder.

        Args:
            folder: where prompts are written and replies are expected; made when the first prompt is.
            pause: awaited with the path of a prompt for as long as its reply is missing; it may raise.
        """
        self._folder = folder
        self._pause = pause

    @property
    def identity(self) -> Identity:
        """What answers."""
        return Identity(endpoint="human", model="human", parameters={})

    async def complete(
        self, messages: Sequence[Message], position: Position, *, schema: ReplySchema | None = None
    ) -> Reply:
        """Ask the person; the messages say the wanted form in words, so `schema` adds nothing.

        Raises:
            ArtifactError: the reply is no regular file, or too large.
            StorageError: the prompt cannot be written.
        """
        name = f"{position.role}-{position.round}-{position.candidate}-{position.attempt}"
        prompt = self._folder / f"{name}.prompt.md"
        write_atomic(prompt, prompt_text(messages, reply_path(prompt).name).encode("utf-8", "replace"))
        while (text := read_reply(prompt)) is None:
            await self._pause(prompt)
        read = sum(len(message.text) for message in messages)
        return Reply(text=text, usage=Usage(read // 4, len(text) // 4, estimated=True), model="human")


def reply_path(prompt: Path) -> Path:
    """Where the reply to a prompt is expected: `x.prompt.md` -> `x.reply.md`."""
    return prompt.with_name(prompt.name.removesuffix(".prompt.md") + ".reply.md")


def read_reply(prompt: Path) -> str | None:
    """The reply to a prompt; `None` while there is none, or nothing in it.

    Raises:
        ArtifactError: no regular file, or too large.
    """
    path = reply_path(prompt)
    if not os.path.lexists(path):  # a link that leads nowhere is refused below instead of being waited for
        return None
    try:
        data = read_untrusted(path, limit=LARGEST_REPLY)
    except ArtifactError as error:
        remedy = f"Save the answer of the chat there as a regular file of at most {LARGEST_REPLY} bytes."
        raise ArtifactError(error.what, cause=error.cause, remedy=remedy) from error
    text = data.decode("utf-8-sig", "replace")
    return text if text.strip() else None


def prompt_text(messages: Sequence[Message], reply_name: str) -> str:
    """The messages as one text to paste into a chat; the note for the person is a comment in it."""
    note = f"<!-- Paste all of this into a chat. Save its answer, as it is, as `{reply_name}` in this folder. -->"
    parts = [f"# {HEADINGS[message.speaker]}\n\n{message.text.strip()}" for message in messages]
    return "\n\n".join([note, *parts]) + "\n"
