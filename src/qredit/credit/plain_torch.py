"""A credit function as one file of plain torch, for code bases that cannot install this package.

What comes from the artifact as text (the task, fields and their meaning) is a stranger's: it stands in comments only,
on one line each, without what is not printable. Names in code are checked identifiers with a number behind them.
"""

from __future__ import annotations

import builtins
import keyword
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from qredit.credit.plain_body import Body, function_body
from qredit.credit.plain_text import FORMS, HELPERS, RULES, WITH_VALUES
from qredit.credit.schema import CreditGraph, Header
from qredit.errors import ConfigurationError
from qredit.layout import StateLayout

WIDTH = 100
"""Characters of a comment's line."""
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}", re.ASCII)
_TAKEN = frozenset({"F", "math", "nn", "torch", *dir(builtins)})


@dataclass(frozen=True)
class Origin:
    """Where a credit function comes from, for the head of the file."""

    task: str
    """The task that it was made for."""
    sha256: str
    """SHA-256 of the credit graph's file."""
    version: str
    """Version of qredit that writes the file."""


@dataclass(frozen=True)
class PlainTorch:
    """A file of plain torch."""

    text: str
    """Its content."""
    torch_version: tuple[int, int]
    """The first version of torch that has all that it calls."""


def plain_torch(
    graph: CreditGraph, layout: StateLayout | None, origin: Origin, *, class_name: str = "CreditMixer"
) -> PlainTorch:
    """Write a credit graph as a module that imports torch and the standard library.

    Args:
        graph: from `parse_graph`, of the form `weights`, `general` or `shares`.
        layout: of the graph's flat input, if known: that of a state, or of a transition for `shares`.
        origin: for the comment at the head.
        class_name: of the `nn.Module`.

    Raises:
        ConfigurationError: another form, or a class name that Python or the file does not allow.
    """
    header = graph.header
    if header.form not in FORMS:
        raise ConfigurationError(
            f"a credit function of the form `{header.form}`",
            cause="only weights, general functions and shares can be written as plain torch",
            remedy="Give an artifact with a function `credit`, `tfcaf` or `share`.",
        )
    check_class_name(class_name)
    body = function_body(graph, layout)
    helpers = HELPERS + (WITH_VALUES if any("_with_values(" in line for line in body.lines) else "")
    code = [*helpers.split("\n")[:-1], *_class(header, body, class_name)]
    needs_math = any("math." in line for line in (*body.lines, *body.buffers))
    functional = any("F." in line for line in body.lines)
    head = [*_comment(header, layout, origin, body, class_name), ""]
    head += ["import math", ""] if needs_math else []
    head += ["import torch", *(["import torch.nn.functional as F"] if functional else []), "from torch import nn"]
    return PlainTorch("\n".join([*head, "", *code]) + "\n", body.torch_version)


def check_class_name(name: str) -> None:
    """Refuse what is no name for a class of the file.

    Raises:
        ConfigurationError: no identifier in ASCII, a keyword, or a name that the file uses otherwise.
    """
    if not _IDENTIFIER.fullmatch(name) or keyword.iskeyword(name) or name in _TAKEN:
        raise ConfigurationError(
            f"class name `{name}`",
            cause="it is no identifier of ASCII letters, digits and underscores, or Python or torch has it already",
            remedy="Give a name such as `CreditMixer`.",
        )


def one_line(text: str) -> str:
    """A stranger's text for a comment: what is not printable, line ends among it, as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _class(header: Header, body: Body, class_name: str) -> Iterator[str]:
    rules = [f"        {line}" if line else "" for name in _rules(header) for line in RULES[name]]
    sizes = {"N": header.n_agents, "S": header.state_size, "STATE": (header.state_size - header.n_agents) // 2}
    blocks = {"BUFFERS": body.buffers, "FUNCTION": body.lines, "RULES": rules}
    form = f"{header.form} with bias" if header.has_bias else header.form
    for line in FORMS[form]:
        block = blocks.get(line.strip())
        if block is None:
            yield (
                line.replace("CLASS", class_name).format(**sizes) if "{" in line else line.replace("CLASS", class_name)
            )
        else:
            yield from block


def _rules(header: Header) -> Iterator[str]:
    if header.igm == "enforce":
        yield "enforce"
    if header.scale == "sum_to_n":
        yield "sum_to_n"


def _comment(header: Header, layout: StateLayout | None, origin: Origin, body: Body, class_name: str) -> Iterator[str]:
    oldest = ".".join(map(str, body.torch_version))
    yield "# A credit function for cooperative multi-agent reinforcement learning, in plain torch."
    yield "#"
    yield f"# `qredit export` {origin.version} wrote it from an artifact. It needs torch >= {oldest} and nothing else."
    yield f"# Credit graph: SHA-256 {origin.sha256}"
    yield f"# Form `{header.form}`, scale `{header.scale}`, IGM `{header.igm}`; N = {header.n_agents} agents."
    yield f"# Task: {one_line(origin.task)[: WIDTH - 8]}"
    yield "#"
    yield from (f"# {line}".rstrip() for line in _usage(header, class_name))
    yield "#"
    yield from _layout(header, layout)


def _layout(header: Header, layout: StateLayout | None) -> Iterator[str]:
    what = "a transition: state, number of each agent's action, next state" if header.form == "shares" else "the state"
    yield f"# The numbers that it reads, float32, of {what} ({header.state_size} in all):"
    if layout is None:
        yield "# (the artifact does not say what they mean)"
        return
    for field, part in layout.slices():
        known = f", {field.low:g} to {field.high:g}" if field.low < field.high else ""
        head = f"[{part.start}:{part.stop}] {field.name} {list(field.shape)}, {field.unit}{known}"
        yield from _wrapped(f"{head}: {field.meaning}")


def _usage(header: Header, class_name: str) -> Iterator[str]:
    if header.form == "shares":
        yield "Train agent i on the reward `shares[..., i] * team_reward`."
        return
    yield "In EPyMARL or PyMARL: put this file into `learners/` as `credit_mixer.py`, and in `learners/q_learner.py`"
    yield ""
    yield f"    from .credit_mixer import {class_name}    # beside the other imports"
    yield '    elif args.mixer == "credit":              # beside the other mixers'
    yield f"        self.mixer = {class_name}()"
    yield ""
    yield "The environment's `get_state()` must return the numbers below, in this order."
    if header.has_bias:
        yield "If the learner scales rewards, set `bias_unit` to the scaled value of a reward of 1."


def _wrapped(text: str) -> Iterator[str]:
    for number, line in enumerate(textwrap.wrap(one_line(text), WIDTH - 6)):
        yield f"#   {line}" if number == 0 else f"#       {line}"
