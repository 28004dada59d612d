"""Properties of the gate over texts and programs made by hypothesis."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from qredit.sandbox.gate import check_gate
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
        assert 1 <= first.line <= max(text.count("\n"), text.count("\r")) + 2
        assert first.message.isprintable()
        assert len(first.message) <= 3 * QUOTE_LIMIT


@given(st.binary())
def test_no_bytes_break_it(data: bytes) -> None:
    verdict = check_gate(data)
    assert verdict is None or verdict.message.isprintable()


@given(TEXTS, st.integers(0, 10))
def test_blank_lines_and_comments_at_the_end_save_nothing(text: str, count: int) -> None:
    verdict = check_gate(text)
    assume(verdict is not None)
    assert check_gate(text + "\n" * count + "# fine\n") is not None or text.rstrip(" \t").endswith("\\")


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
