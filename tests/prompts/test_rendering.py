"""Strict rendering, fences that hold, figures that are the same everywhere."""

from __future__ import annotations

import math
import re
from pathlib import Path

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import ConfigurationError
from qredit.files import sha256
from qredit.prompts import fenced, figure, kind_templates, render, template_hashes
from qredit.prompts.rendering import TEMPLATES, bound


def test_a_missing_value_raises() -> None:
    with pytest.raises(jinja2.UndefinedError, match="request"):
        render("coder_repair", attempt=2, source=None, problem="p")
    with pytest.raises(ConfigurationError, match="no_such_template"):
        render("no_such_template")


def test_values_are_never_template_source() -> None:
    hostile = "{{ 7 * 7 }} {% include 'task.j2' %} {{ request.__class__ }}"
    text = render("coder_repair", request=hostile, attempt=2, source=hostile, problem=hostile)
    assert text.count(hostile) == 3
    assert "49" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "```python\na\n```"),
        ("a ``` b", "````python\na ``` b\n````"),
        ("\n```\n`````\n", "``````python\n```\n`````\n``````"),
        ("a\r\nb\rc", "```python\na\nb\nc\n```"),
        ("a\x1b[2Jb\u202ec\ud800\u2028d", "```python\na[2Jbcd\n```"),
        ("", "```python\n\n```"),
    ],
)
def test_fences(text: str, expected: str) -> None:
    assert fenced(text, "python") == expected


@given(st.text(alphabet=st.sampled_from(list("`~\n\r x")), max_size=60))
def test_no_line_of_a_text_closes_its_fence(text: str) -> None:
    first, *middle, last = fenced(text, "python").split("\n")
    fence = first.removesuffix("python")
    assert last == fence
    assert set(fence) == {"`"}
    assert not any(re.fullmatch(rf" *`{{{len(fence)},}} *", line) for line in middle)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1, "1.0"),
        (0.03333, "0.033"),
        (0.999, "1.0"),
        (0.0996, "0.10"),
        (9.96, "10"),
        (123.4, "120"),
        (-1.26, "-1.3"),
        (1e-9, "0"),
        (3000.0, "3000"),
        (math.nan, "not finite"),
        (-math.inf, "not finite"),
    ],
)
def test_two_significant_digits(value: float, text: str) -> None:
    assert figure(value) == text


@given(st.floats(1e-4, 1e6))
def test_figures_are_near_and_short(value: float) -> None:
    text = figure(value)
    assert "e" not in text
    assert float(text) == pytest.approx(value, rel=0.051)
    assert len(text.replace(".", "").strip("0")) <= 2


def test_bounds_of_a_range_are_exact() -> None:
    assert [bound(v) for v in (0, -1.0, 255, 0.5, math.inf)] == ["0", "-1", "255", "0.50", "not finite"]


def test_hashes_of_the_templates_of_a_kind() -> None:
    hashes = template_hashes(kind_templates("describe"))
    assert hashes["coder"] == sha256((TEMPLATES / "coder.j2").read_bytes())
    assert hashes["fields"] == sha256((TEMPLATES / "describe" / "fields.j2").read_bytes())  # its own comes first
    assert {"coder_refine", "coder_repair", "evaluator", "ideas", "role_coder", "role_evaluator", "task"} <= set(hashes)


def test_the_templates_of_a_kind_come_first(tmp_path: Path) -> None:
    (tmp_path / "fields.j2").write_text("mine: {{ layout }}")
    (tmp_path / "all.j2").write_text("{% include 'fields.j2' %}, {% include 'scenes.j2' %}")
    assert render("all", folder=tmp_path, layout="x", scenes="").split() == ["mine:", "x,"]
