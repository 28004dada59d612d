"""A person as model: what is written for them, what counts as an answer, and what does not."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from qredit.agents import Message, Position, Reply, open_model
from qredit.agents.human import LARGEST_REPLY, HumanModel, read_reply, reply_path
from qredit.agents.messages import Identity, Usage
from qredit.agents.verdict_schema import verdict_schema
from qredit.errors import ArtifactError, ConfigurationError, StorageError, UserError

MESSAGES = (Message("system", "You are terse.\n"), Message("user", "# Say\n\nhello."))
FIRST = Position("coder", 2, 3, 1)


class Person:
    """Does one thing at each pause, and remembers the prompts."""

    def __init__(self, *deeds: str | bytes | None) -> None:
        self.deeds = list(deeds)
        self.paused: list[Path] = []

    async def __call__(self, prompt: Path) -> None:
        self.paused.append(prompt)
        deed = self.deeds.pop(0)
        if deed is not None:
            reply_path(prompt).write_bytes(deed.encode() if isinstance(deed, str) else deed)


def ask(model: HumanModel, position: Position = FIRST) -> Reply:
    """One call."""
    return asyncio.run(model.complete(MESSAGES, position, schema=verdict_schema([1])))


def test_a_prompt_and_its_reply(tmp_path: Path) -> None:
    person = Person("hello there\n")
    model = HumanModel(tmp_path / "human", person)
    assert model.identity == Identity("human", "human", {})
    reply = ask(model)
    prompt = tmp_path / "human" / "coder-2-3-1.prompt.md"
    assert person.paused == [prompt]
    assert prompt.read_text() == (
        "<!-- Paste all of this into a chat. Save its answer, as it is, as `coder-2-3-1.reply.md` in this folder. -->\n"
        "\n# System message\n\nYou are terse.\n\n# User message\n\n# Say\n\nhello.\n"
    )
    assert reply == Reply("hello there\n", usage=Usage(7, 3, estimated=True), model="human")  # 15 + 13 and 12 / 4
    assert [p.name for p in sorted(prompt.parent.iterdir())] == ["coder-2-3-1.prompt.md", "coder-2-3-1.reply.md"]


def test_an_answered_call_does_not_pause(tmp_path: Path) -> None:
    person = Person("one", "two")
    model = HumanModel(tmp_path, person)
    assert [ask(model).text, ask(model).text] == ["one", "one"]
    assert ask(HumanModel(tmp_path, person)).text == "one"  # as after a resume
    assert ask(model, Position("coder", 2, 3, 2)).text == "two"
    assert [path.name for path in person.paused] == ["coder-2-3-1.prompt.md", "coder-2-3-2.prompt.md"]


def test_nothing_and_blanks_are_no_answer(tmp_path: Path) -> None:
    person = Person(None, "", " \n\t", "now")
    assert ask(HumanModel(tmp_path, person)).text == "now"
    assert len(person.paused) == 4


def test_a_file_that_is_being_written_elsewhere_is_no_answer(tmp_path: Path) -> None:
    for name in ("coder-2-3-1.reply.md.part", ".coder-2-3-1.reply.md.x1", "coder-2-3-1.reply.md~"):
        (tmp_path / name).write_text("half of")
    person = Person("whole")
    assert ask(HumanModel(tmp_path, person)).text == "whole"


def test_bytes_of_other_editors(tmp_path: Path) -> None:
    assert ask(HumanModel(tmp_path, Person(b"\xef\xbb\xbfcaf\xe9"))).text == "caf\ufffd"


def test_a_lone_surrogate_in_a_prompt(tmp_path: Path) -> None:
    model = HumanModel(tmp_path, Person("ok"))
    asyncio.run(model.complete((Message("user", "a \ud83d b"),), FIRST))
    assert "a ? b" in (tmp_path / "coder-2-3-1.prompt.md").read_text()


@pytest.mark.parametrize("kind", ["link", "dangling link", "folder", "pipe", "too large"])
def test_what_is_no_reply_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "coder-2-3-1.reply.md"
    (tmp_path / "secret").write_text("secret")
    if kind.endswith("link"):
        path.symlink_to(tmp_path / ("secret" if kind == "link" else "nothing"))
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"x" * (LARGEST_REPLY + 1))
    person = Person()
    with pytest.raises(ArtifactError, match=r"coder-2-3-1\.reply\.md.*as a regular file of at most 2000000 bytes"):
        ask(HumanModel(tmp_path, person))
    assert person.paused == []


def test_a_pause_that_raises(tmp_path: Path) -> None:
    """As an interrupt of the graph does: the prompt is there, and the next session goes on from it."""

    class InterruptError(Exception):
        pass

    async def interrupt(prompt: Path) -> None:
        assert "hello." in prompt.read_text()
        raise InterruptError

    with pytest.raises(InterruptError):
        ask(HumanModel(tmp_path, interrupt))
    prompt = tmp_path / "coder-2-3-1.prompt.md"
    assert read_reply(prompt) is None
    reply_path(prompt).write_text("later")
    assert read_reply(prompt) == "later"
    assert ask(HumanModel(tmp_path, interrupt)).text == "later"


def test_without_a_pause_the_run_stops_with_a_way_on(tmp_path: Path) -> None:
    model = open_model("human", environ={}, human_folder=tmp_path)
    assert isinstance(model, HumanModel)
    with pytest.raises(UserError, match=r"save the answer as `coder-2-3-1.reply.md` beside it, then `--resume RUN`"):
        ask(model)
    (tmp_path / "coder-2-3-1.reply.md").write_text("done")
    assert ask(model).text == "done"


def test_a_pause_can_be_given(tmp_path: Path) -> None:
    model = open_model("human", environ={}, human_folder=tmp_path, pause=Person("hi"))
    assert isinstance(model, HumanModel)
    assert ask(model).text == "hi"


def test_without_a_folder() -> None:
    with pytest.raises(ConfigurationError, match="no folder for its prompts"):
        open_model("human", environ={"OPENAI_API_KEY": "k"}, base_url="http://127.0.0.1:1/v1")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        ask(HumanModel(tmp_path / "file" / "human", Person()))
