"""Properties of the gate over texts and programs made by hypothesis."""

from __future__ import annotations

import re

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qredit.sandbox.gate.check import check_gate
from qredit.sandbox.gate.text import MAX_BRACKETS
from qredit.sandbox.verdict import QUOTE_LIMIT
from tests.sandbox.gate_attacks import FORBIDDEN_INSIDE, HEAD, UNSUPPORTED_INSIDE, inside

PIECES = st.sampled_from(
    ["torch", "credit", "state", "__class__", "eval", "(", ")", "[", "]", "{", "}", "'", '"', '"""', "\\", "\n", "    ",
     ":", "=", ".", ",", "lambda", "if", "else", "for", "in", "def", "import", "not", "-", "**", "#", "f'", "\t", "1",
     "\x00", "\u202e", "\ud800", "\N{MINUS SIGN}", "x"]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join), st.lists(PIECES, max_size=60).map(" ".join))
FORBIDDEN = st.sampled_from([code for code, _ in FORBIDDEN_INSIDE])
UNSUPPORTED = st.sampled_from([code for code, _ in UNSUPPORTED_INSIDE])

NAMES = st.sampled_from(["x", "y", "total"])


def _joined(template: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda given: template.format(*given))


EXPRESSIONS = st.recursive(
    st.one_of(NAMES, st.integers(-9, 9).map(str), st.just("math.pi"), st.just("state['near']")),
    lambda inner: st.one_of(
        _joined("({} + {})", inner, inner),
        _joined("({} * {})", inner, inner),
        _joined("torch.where({} > 0, {}, {})", inner, inner, inner),
        _joined("torch.clamp({}, min=0.1)", inner),
        _joined("F.softplus({})", inner),
        _joined("({}).sum(dim=1, keepdim=True)", inner),
        _joined("({} if isinstance({}, float) else {})", inner, inner, inner),
        _joined("torch.stack([{} for _ in range(2)]).mean(dim=0)", inner),
    ),
    max_leaves=12,
)
STATEMENTS = _joined("{} = {}", NAMES, EXPRESSIONS)
BODIES = st.lists(STATEMENTS, min_size=1, max_size=8)


@given(TEXTS)
def test_no_text_breaks_it(text: str) -> None:
    first, second = check_gate(text), check_gate(text)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert (first.stage, first.kind, first.message, first.line) == (
            "gate",
            second.kind,
            second.message,
            second.line,
        )
        assert first.line is not None
        assert 1 <= first.line <= text.count("\n") + 1
        assert first.message.isprintable()
        assert len(first.message) <= 2 * QUOTE_LIMIT


@given(st.binary())
def test_no_bytes_break_it(data: bytes) -> None:
    verdict = check_gate(data)
    assert verdict is None or verdict.message.isprintable()


@given(TEXTS, st.integers(0, 10))
def test_blank_lines_and_comments_at_the_end_save_nothing(text: str, count: int) -> None:
    assume(not text.endswith(("\r", "\\", "\\\n")))  # a newline would complete a line's end, or join two lines
    assume(check_gate(text) is not None)
    assert check_gate(text + "\n" * count + "# fine\n") is not None


@given(BODIES)
def test_programs_of_allowed_pieces_pass(body: list[str]) -> None:
    lines = "".join(f"    {line}\n" for line in body)
    source = f"{HEAD}\n\ndef credit(state):\n    x = y = total = state['near']\n{lines}    return total\n"
    assert check_gate(source) is None


@given(BODIES, FORBIDDEN, UNSUPPORTED, st.integers(0, 8))
def test_one_forbidden_thing_anywhere_wins(body: list[str], forbidden: str, unsupported: str, place: int) -> None:
    assume("\n" not in forbidden + unsupported)
    assume(unsupported.isascii() and unsupported.isprintable())  # a text that is refused as such is not parsed at all
    lines = [unsupported, *body]
    lines.insert(min(place, len(lines)), forbidden)
    verdict = check_gate(inside("\n".join(lines)))
    assert verdict is not None
    assert verdict.kind == "forbidden"


LONG = st.builds(
    lambda stem, count: (stem * count)[:3000], st.sampled_from(["a", "near_", "A1", "x__y"]), st.integers(1, 3000)
)
PLACES = st.sampled_from(
    ["{}", "{} = 1", "x.{}", "x.{} = 1", "torch.{}", "F.{}()", "math.{}", "x._{}", "torch.hub.{}", "import {}",
     "from {} import a", "from torch import {}", "def {}(): pass", "f({}=1)", "f(__{}=1)", "y = '{}'", "y = '__{}'",
     "y: {} = 1", "class {}: pass", "global {}", "lambda {}: 0", "f'{{{}}}'", "'{}' '{}", "{} {}", "1{}", "({}"]
)  # fmt: skip


@given(st.lists(st.tuples(PLACES, LONG), min_size=1, max_size=4))
def test_a_message_quotes_little_of_the_candidate(parts: list[tuple[str, str]]) -> None:
    """Whatever is long in the source: up to three things are told, and each name is cut."""
    verdict = check_gate(inside("\n".join(place.format(name, name) for place, name in parts)))
    if verdict is not None:
        assert verdict.message.isprintable()
        assert len(verdict.message) <= QUOTE_LIMIT
        runs = re.findall(r"(?:near_|x__y|A1|a){16,}", verdict.message)
        assert max(map(len, runs), default=0) <= 120


@given(st.sampled_from(["\n", "\r", "\x1b[2J", "\u202e", "\u2028", "\x00", "`", '"']), PLACES)
def test_a_message_holds_no_character_that_could_end_or_hide_it(character: str, place: str) -> None:
    verdict = check_gate(inside(place.format(f"a{character}b", "c")))
    if verdict is not None:
        assert verdict.message.isprintable()
        assert f"a{character}b" not in verdict.message


@given(st.sampled_from("([{-~!@'\"\\#\n ,.:=x1"), st.sampled_from("([{-~!@'\"\\#\n ,.:=x1"), st.integers(1, 65_000))
@settings(max_examples=50)
def test_no_repetition_is_too_deep(first: str, second: str, count: int) -> None:
    """Runs of brackets, operators, quotes and blanks: what would take a parser or a regular expression down."""
    text = "x = " + (first + second) * (count // 2)
    verdict = check_gate(text)
    assert verdict is None or verdict.kind == "unsupported"
    assert check_gate(text + "\nimport os\n") is not None


@given(st.lists(st.tuples(st.sampled_from("([{"), st.integers(1, 40)), min_size=1, max_size=6))
def test_depth_alone_decides_about_brackets(groups: list[tuple[str, int]]) -> None:
    """Balanced brackets pass up to the limit and are refused beyond it, by the gate and not by the parser."""
    closing = {"(": ")", "[": "]", "{": "}"}
    opened = "".join(bracket * count for bracket, count in groups)
    source = f"def credit(s):\n    return {opened}s{''.join(closing[b] for b in reversed(opened))}\n"
    verdict = check_gate(source)
    assert (verdict is None) == (len(opened) <= MAX_BRACKETS)
    assert verdict is None or verdict.message.startswith("Line 2: brackets are nested deeper than 40.")
