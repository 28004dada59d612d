"""`prompts.tex`: what the models were asked and what they answered, word by word, as an appendix.

A model's text must not end the environment that it stands in and speak to LaTeX: each text has an environment with a
name that does not occur in it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from qredit.marl.paper.latex import ascii_text, code, escape

LINE_LENGTH = 92
"""What fits into the text width of LaTeX's article class, in letters of this size."""
_SIZE = r"\scriptsize"
CONTINUED = "    > "
_NOTE = (
    "One call of each form: role, first or later round, repair; {} shows any other. Characters outside ASCII are "
    f"written without their accents or as {{}}. Lines of more than {LINE_LENGTH} characters go on in the next "
    "line after {}."
)


@dataclass(frozen=True)
class Call:
    """One call of a language model."""

    title: str
    """Which call, such as `coder/1/2/1`."""
    parts: tuple[tuple[str, str], ...]
    """(speaker, text) of each message, in order, the reply last."""


def prompts_tex(calls: Sequence[Call], *, run: str) -> str:
    """The appendix.

    Args:
        calls: the calls, in order.
        run: name of the run that made the credit function.
    """
    head = [
        rf"\section{{Prompts of run {code(run)}}}",
        _NOTE.format(code("qredit inspect RUN --call CALL"), code("<U+1F600>"), code(">")),
        "",
    ]
    told: dict[tuple[str, str], str] = {}
    return "\n".join([*head, *(_call(call, told) for call in calls)])


def _call(call: Call, told: dict[tuple[str, str], str]) -> str:
    """One call; what an earlier one said word by word is not said again, and `told` grows by what is new."""
    lines = [rf"\subsection{{{code(call.title)}}}"]
    for speaker, text in call.parts:
        earlier = told.setdefault((speaker, text), call.title)
        body = verbatim(text) if earlier == call.title else f"As in call {code(earlier)}.\n"
        lines.append(rf"\paragraph{{{escape(speaker)}}}\mbox{{}}" + "\n" + body)
    return "\n".join(lines)


def verbatim(text: str) -> str:
    """Text in an environment of `fancyvrb` that it cannot break out of."""
    lines = [piece for line in ascii_text(text).split("\n") for piece in _wrapped(line)]
    body = "\n".join(lines)
    name = "QreditText"
    while name in body:
        name += "x"
    define = rf"\DefineVerbatimEnvironment{{{name}}}{{Verbatim}}{{fontsize={_SIZE}}}"
    return "\n".join([define, rf"\begin{{{name}}}", body, rf"\end{{{name}}}"]) + "\n"


def _wrapped(line: str) -> list[str]:
    if len(line) <= LINE_LENGTH:
        return [line]
    return textwrap.wrap(
        line,
        LINE_LENGTH,
        subsequent_indent=CONTINUED,
        drop_whitespace=False,
        expand_tabs=False,
        replace_whitespace=False,
        break_on_hyphens=False,
    )
