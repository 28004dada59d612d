"""Words and numbers as LaTeX. Names, settings and prompts are untrusted text: none of it may act as a command.

What comes out is plain ASCII, so that it compiles with every engine and encoding.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from qredit.marl.statistics import Interval
from qredit.marl.tables import number

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    # Two hyphens in a row would become a dash.
    "-": "-{}",
}
_PLAIN = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u2010": "-",
    "\u2011": "-",
    "\u2013": "-",
    "\u2014": "--",
    "\u2212": "-",
    "\u2026": "...",
    "\u2022": "*",
    "\u00b7": "*",
    "\u00d7": "x",
    "\u2190": "<-",
    "\u2192": "->",
    "\u21d2": "=>",
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u2248": "~=",
    "\u2208": " in ",
    "\u00a0": " ",
}
_LINE_ENDS = re.compile("\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def ascii_text(text: str) -> str:
    """Any text in printable ASCII and line ends: letters without their accents, other characters as `<U+1F600>`."""
    lines = _LINE_ENDS.sub("\n", text).expandtabs(4)
    return "".join(character if character == "\n" else _ascii(character) for character in lines)


def escape(text: str) -> str:
    """Text as LaTeX that prints it, on one line."""
    return "".join(_SPECIAL.get(character, character) for character in ascii_text(text).replace("\n", " "))


def code(text: str) -> str:
    """Text in a typewriter face."""
    return rf"\texttt{{{escape(text)}}}"


def mean_and_interval(value: float, interval: Interval | None, *, bold: bool = False) -> str:
    """A mean, and its interval in small figures where there is one."""
    mean = rf"\textbf{{{_figure(value)}}}" if bold else _figure(value)
    if interval is None:
        return mean
    return rf"{mean} {{\footnotesize [{_figure(interval.low)}, {_figure(interval.high)}]}}"


def tabular(alignment: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A `booktabs` table of cells that are LaTeX already."""
    lines = [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", _row(head), r"\midrule", *map(_row, rows)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def floating(body: str, *, caption: str, label: str) -> str:
    """A table that floats; wider than the line it is scaled down."""
    fitted = rf"\resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{%{chr(10)}{body}}}"
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\label{{{label}}}", fitted, r"\end{table}"]
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    return number(value).replace("-", r"\textminus{}")


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _ascii(character: str) -> str:
    if " " <= character <= "~":
        return character
    if character in _PLAIN:
        return _PLAIN[character]
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return bare if len(bare) == 1 and bare.isalpha() and character.isalpha() else f"<U+{ord(character):04X}>"
