"""From what a model said to what we can use. What cannot be used is a value with the reason, as the model reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

LARGEST_CODE = 40_000
LARGEST_TIPS = 6_000
LARGEST_REPLY = 2_000_000
PYTHON = frozenset({"", "py", "python", "python3"})
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`\n]*$")
_THINK = re.compile(r"^\s*<think>(.*?)(?:</think>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Code:
    """A module that a reply held."""

    source: str
    """The text of the block, ending in a newline."""
    note: str = ""
    """What had to be decided to find it, such as which of two blocks was taken."""


@dataclass(frozen=True)
class Choice:
    """An evaluator's verdict."""

    number: int
    """Number of the chosen candidate, one of those that were shown."""
    reason: str
    """Why."""
    tips: str
    """Advice for the next version."""


@dataclass(frozen=True)
class Unusable:
    """A reply that cannot be used: a misbehaviour of the model, fed back to it."""

    problem: str
    """What is wrong with it and what is wanted, as the model reads it."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    language: str
    """The word behind the fence, in lower case."""
    text: str
    """What stands in it."""
    closed: bool
    """Whether its closing fence is there."""


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, answer) of a reply whose thinking stands in `<think>` at its start; the end may be missing."""
    found = _THINK.match(text)
    return (found[1].strip(), text[found.end() :]) if found else ("", text)


def fenced_blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a Markdown text, in order; a block ends at a fence of its kind that is as long."""
    opening, language, lines = "", "", list[str]()
    for line in text.split("\n"):
        line = line.rstrip("\r")
        fence = _FENCE.match(line)
        if not opening:
            if fence:
                opening, language, lines = fence[1], fence[2].lower(), []
        elif fence and not fence[2] and fence[1][0] == opening[0] and len(fence[1]) >= len(opening):
            yield Block(language, "\n".join(lines) + "\n", closed=True)
            opening = ""
        else:
            lines.append(line)
    if opening:
        yield Block(language, "\n".join(lines) + "\n", closed=False)


def parse_code(text: str, *, functions: Collection[str] = ("credit",), finish_reason: str = "") -> Code | Unusable:
    """The module in a coder's reply, which defines one of these functions.

    The rule for several blocks: of the closed Python blocks (or unlabelled ones), the LAST that defines an entry
    function at the start of a line; if none does, the last one, whose defect the checks will name.
    """
    wanted = "Reply with the complete module in ONE fenced block that starts with ```python and ends with ```."
    if not text.strip():
        cut = " before its first word: all its tokens went into reasoning" if finish_reason == "length" else ""
        return Unusable(f"The reply was empty{cut}. {wanted}")
    if len(text) > LARGEST_REPLY:
        return Unusable(f"The reply has {len(text)} characters. {wanted}")
    blocks = [block for block in fenced_blocks(split_thinking(text)[1]) if block.language in PYTHON]
    closed = [block for block in blocks if block.closed and block.text.strip()]
    if not closed:
        if blocks and not blocks[-1].closed:
            return Unusable(f"The code block has no end: the reply was cut off. Write less before it. {wanted}")
        return Unusable(f"The reply has no Python block. {wanted}")
    entry = re.compile(rf"^def (?:{'|'.join(map(re.escape, functions))})\s*\(", re.MULTILINE)
    entries = [block for block in closed if entry.search(block.text)]
    source = (entries or closed)[-1].text
    if len(source) > LARGEST_CODE:
        return Unusable(f"The module has {len(source)} characters, more than {LARGEST_CODE}. {wanted}")
    note = (
        f"the reply has {len(closed)} blocks; the last that defines the function was taken" if len(closed) > 1 else ""
    )
    return Code(source, note)


def parse_choice(text: str, numbers: Collection[int], *, finish_reason: str = "") -> Choice | Unusable:
    """The verdict in an evaluator's reply: the whole reply, the last fenced JSON object, or the last bare object.

    It reads what every rung of the ladder json_schema -> json_object -> fenced JSON delivers. The whole reply comes
    first: within one object, such as in its `analysis`, may stand quoted what looks like another verdict.
    """
    wanted = (
        'End with one fenced block that starts with ```json and holds {"choice": number, "reason": text, "tips": text}.'
    )
    answer = split_thinking(text)[1]
    if len(answer) > LARGEST_REPLY:
        return Unusable(f"The reply has {len(answer)} characters. {wanted}")
    if not answer.strip() and finish_reason == "length":
        return Unusable(f"The reply was empty before its first word: all its tokens went into reasoning. {wanted}")
    problem = "it holds no JSON object"
    for piece in _json_pieces(answer):
        try:
            data = json.loads(piece, parse_constant=_no_constant, strict=False)  # raw line ends are common
        except (ValueError, RecursionError) as error:
            problem = f"the JSON cannot be read ({str(error)[:200]})"
            continue
        if isinstance(data, dict) and "choice" in data:
            return _choice(data, numbers, wanted)
        problem = "the JSON is not an object with `choice`"
    if finish_reason == "length":
        return Unusable(f"The reply was cut off before its verdict ended. Reason in fewer words. {wanted}")
    return Unusable(f"The verdict could not be read: {problem}. {wanted}")


def _choice(data: dict[str, Any], numbers: Collection[int], wanted: str) -> Choice | Unusable:
    number = data["choice"]
    if isinstance(number, str) and re.fullmatch(r"\s*(?:candidate\s+)?[0-9]{1,4}\s*", number, re.IGNORECASE):
        number = int(number.split()[-1])
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if type(number) is not int or number not in numbers:
        known = ", ".join(map(str, sorted(numbers)))
        return Unusable(f"There is no candidate {str(data['choice'])[:40]!r}; the candidates are {known}. {wanted}")
    tips, reason = data.get("tips", ""), data.get("reason", "")
    if isinstance(tips, list):
        tips = "\n".join(f"- {tip}" for tip in tips)
    if not isinstance(tips, str) or not tips.strip():
        return Unusable(f"`tips` is missing or empty: the writers need them. {wanted}")
    return Choice(number, _shortened(reason if isinstance(reason, str) else ""), _shortened(tips))


def _json_pieces(text: str) -> Iterator[str]:
    """Texts that may be the verdict, the likeliest first."""
    if text.lstrip().startswith("{"):
        yield text.strip()
    blocks = [block.text for block in fenced_blocks(text) if block.language in ("json", "")]
    yield from reversed(blocks)
    tail = text[-4 * LARGEST_TIPS :]  # bounded, since each start in it costs a parse
    end = tail.rfind("}")
    starts = [found.start() for found in re.finditer(r"\{", tail[: end + 1])][-50:]
    for start in reversed(starts):
        yield tail[start : end + 1]


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _shortened(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LARGEST_TIPS else text[: LARGEST_TIPS - 3] + "..."
