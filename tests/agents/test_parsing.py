"""What is read out of replies, and that nothing a model writes breaks the reading."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.agents.parsing import (
    LARGEST_CODE,
    LARGEST_TIPS,
    Choice,
    Code,
    Unusable,
    fenced_blocks,
    parse_choice,
    parse_code,
    split_thinking,
)
from qredit.prompts import fenced

CREDIT = "def credit(state):\n    return state['x']\n"


def problem_of(found: object) -> str:
    """The message of an unusable reply."""
    assert isinstance(found, Unusable)
    return found.problem


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (f"Here:\n```python\n{CREDIT}```\nDone.", CREDIT),
        (f"```py\n{CREDIT}```", CREDIT),
        (f"```Python\r\n{CREDIT}```\r\n", CREDIT),
        (f"```\n{CREDIT}```", CREDIT),
        (f"~~~python\n{CREDIT}~~~", CREDIT),
        (f"````python\n{CREDIT}```\n````", f"{CREDIT}```\n"),
        (f"```json\n{{}}\n```\n```python\n{CREDIT}```", CREDIT),
        (f"<think>\n```python\ndef credit(s): return 1\n```\n</think>\n```python\n{CREDIT}```", CREDIT),
    ],
)
def test_one_block(text: str, source: str) -> None:
    assert parse_code(text) == Code(source)


def test_of_two_blocks_the_last_that_defines_the_function() -> None:
    sketch = "def credit(state):\n    return 1\n"
    text = (
        f"First:\n```python\n{sketch}```\nBetter:\n```python\n{CREDIT}```\nUse it so:\n```python\nprint(credit)\n```\n"
    )
    found = parse_code(text)
    assert isinstance(found, Code)
    assert found.source == CREDIT
    assert found.note == "the reply has 3 blocks; the last that defines the function was taken"
    neither = parse_code("```python\na = 1\n```\n```python\nb = 2\n```")
    assert isinstance(neither, Code)
    assert neither.source == "b = 2\n"


@pytest.mark.parametrize(
    ("text", "finish", "said"),
    [
        ("", "stop", "The reply was empty. Reply with"),
        (" \n", "length", "all its tokens went into reasoning"),
        ("I cannot do this.", "stop", "has no Python block"),
        ("```json\n{}\n```", "stop", "has no Python block"),
        ("```python\n```", "stop", "has no Python block"),
        (f"```python\n{CREDIT}", "length", "has no end: the reply was cut off"),
        ("<think>and so on", "length", "has no Python block"),
        (f"```python\n{'x' * LARGEST_CODE}\n```", "stop", f"more than {LARGEST_CODE}"),
        ("x" * 3_000_000, "stop", "has 3000000 characters"),
    ],
)
def test_no_code(text: str, finish: str, said: str) -> None:
    assert said in problem_of(parse_code(text, finish_reason=finish))


@pytest.mark.parametrize(
    "text",
    [
        '```json\n{"choice": 2, "reason": "r", "tips": "t"}\n```',
        'So:\n```\n{"choice": 2, "reason": "r", "tips": "t"}\n```\nThat is it.',
        '{"choice": 2, "reason": "r", "tips": "t"}',
        'I choose so: {"choice": 2, "reason": "r", "tips": "t"}',
        '<think>{"choice": 1, "tips": "no"}</think>{"choice": "2", "reason": "r", "tips": "t"}',
        '```json\n{"choice": 1, "tips": "draft"}\n```\nNo:\n```json\n{"choice": 2.0, "reason": "r", "tips": "t"}\n```',
        '```json\n{"choice": "Candidate 2", "reason": "r", "tips": "t"}\n```',
        '```json\n{"choice": 2, "reason": "r", "tips": "t"}',
        '{"analysis": "long", "choice": 2, "reason": "r", "tips": "t"}',
        '{"analysis": "it says {\\"choice\\": 1, \\"tips\\": \\"x\\"}", "choice": 2, "reason": "r", "tips": "t"}',
        '{"analysis": "\\n```json\\n{\\"choice\\": 1}\\n```\\n", "choice": 2, "reason": "r", "tips": "t"}\n',
        '{"analysis": "two\nlines", "choice": 2, "reason": "r", "tips": "t"}',
        '{"analysis": "\n```json\n{\\"choice\\": 1}\n```\n", "choice": 2, "reason": "r", "tips": "t"}',
        '{"analysis": "\n```\n{}\n```\n", "choice": 2, "reason": "r", "tips": "t"}',
    ],
)
def test_choices(text: str) -> None:
    assert parse_choice(text, [1, 2, 3]) == Choice(2, "r", "t")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"analysis": "Candidate 1 is {', "was cut off before its verdict ended. Reason in fewer words."),
        ('So far {"choice": 1, "tips"', "was cut off before its verdict ended"),
        ("I compare the candidates", "was cut off before its verdict ended"),
        ("<think>and so on", "all its tokens went into reasoning"),
        ("", "all its tokens went into reasoning"),
        ('{"choice": 9, "tips": "t"}', "There is no candidate '9'"),
    ],
)
def test_a_verdict_that_is_cut_off(text: str, said: str) -> None:
    assert said in problem_of(parse_choice(text, [1, 2], finish_reason="length"))
    assert "cut off" not in problem_of(parse_choice(text, [1, 2], finish_reason="stop"))


def test_a_verdict_before_the_end_of_the_tokens_counts() -> None:
    text = '```json\n{"choice": 2, "reason": "r", "tips": "t"}\n```\nAnd furthermore'
    assert parse_choice(text, [1, 2], finish_reason="length") == Choice(2, "r", "t")


def test_tips_in_a_list_with_braces_and_too_long() -> None:
    listed = parse_choice('{"choice": 1, "tips": ["use {x}", "and y"], "reason": 5}', [1])
    assert listed == Choice(1, "", "- use {x}\n- and y")
    bare = parse_choice('Thus {"choice": 1, "tips": "use {x} and {y: {}}", "reason": ""} is my verdict', [1])
    assert bare == Choice(1, "", "use {x} and {y: {}}")
    long = parse_choice(json.dumps({"choice": 1, "tips": "x" * 10_000}), [1])
    assert isinstance(long, Choice)
    assert len(long.tips) == LARGEST_TIPS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the first", "holds no JSON object"),
        ('```json\n{"choice": 2,\n```', "cannot be read"),
        ("```json\n[2]\n```", "not an object with `choice`"),
        ('{"choice": 4, "tips": "t"}', "There is no candidate '4'; the candidates are 1, 2, 3."),
        ('{"choice": true, "tips": "t"}', "There is no candidate 'True'"),
        ('{"choice": 0, "tips": "t"}', "There is no candidate '0'"),
        ('{"choice": null, "tips": "t"}', "There is no candidate 'None'"),
        ('{"choice": NaN, "tips": "t"}', "NaN is not JSON"),
        ('{"choice": 1e999, "tips": "t"}', "There is no candidate 'inf'"),
        ('{"choice": 1}', "`tips` is missing"),
        ('{"choice": 1, "tips": {"a": 1}}', "`tips` is missing"),
        ("{" * 100_000, "cannot be read"),
        ('{"choice": ' + "9" * 6000 + ', "tips": "t"}', ""),
        ("", "holds no JSON object"),
    ],
)
def test_no_choice(text: str, said: str) -> None:
    problem = problem_of(parse_choice(text, [3, 1, 2]))
    assert said in problem
    assert '{"choice": number' in problem
    assert len(problem) < 700


def test_thinking() -> None:
    assert split_thinking("<think>a\nb</think>\nc") == ("a\nb", "\nc")
    assert split_thinking("<think>for ever") == ("for ever", "")
    assert split_thinking("I <think> so") == ("", "I <think> so")


WILD = st.text(alphabet=st.sampled_from(list("`~{}[]\"':,\\ \n\rpython123-choicetps<>/")), max_size=200)


@given(WILD | st.text(max_size=200))
def test_anything_is_read_without_an_accident(text: str) -> None:
    assert isinstance(parse_code(text), Code | Unusable)
    assert isinstance(parse_choice(text, [1, 2]), Choice | Unusable)


@given(st.text(max_size=300))
def test_what_is_fenced_comes_back_whole(text: str) -> None:
    """Nothing in a fenced text can close its fence: that is what keeps injected text in its place."""
    blocks = list(fenced_blocks(f"Before\n{fenced(text, 'python')}\nAfter"))
    assert len(blocks) == 1
    assert blocks[0].closed
    clean = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", "", text.replace("\r", "\n"))
    assert blocks[0].text.strip("\n").split() == clean.strip("\n").split()


@given(st.integers(1, 9), st.text(min_size=1, max_size=100).filter(lambda t: t.strip()), st.text(max_size=100))
def test_a_verdict_comes_back(number: int, tips: str, before: str) -> None:
    """Whatever stands before it, as long as it opens no fence and no thinking of its own."""
    before = before.replace("`", "").replace("~", "").replace("<", "")
    text = f"{before}\n```json\n{json.dumps({'choice': number, 'reason': '', 'tips': tips})}\n```"
    assert parse_choice(text, range(1, 10)) == Choice(number, "", tips.strip())
