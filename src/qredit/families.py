"""Task families: a name that fits a family's pattern is a task without a file of its own.

The text is rendered from `prompts/tasks/families/<family>.yaml.j2`. Names come from a command line, so a pattern lets
digits and fixed words through and nothing else; what it captures is all that a template gets.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2

TEMPLATES = Path(__file__).parent / "prompts" / "tasks" / "families"
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Family:
    """Tasks whose text follows from their name."""

    name: str
    """Its template is `<name>.yaml.j2`."""
    pattern: str
    """Regular expression of the whole task name; each named group is a variable of the template.

    Digits become a number. A group that captured a word after its hyphen, such as `(?P<coop>-coop)?`, becomes true, and
    false when it is left out. Everything else stays text.
    """
    shown: str
    """The form of the names for people: `lbf-ROWSxCOLUMNS-Np-Ff[-coop][-2s]`."""
    members: tuple[str, ...]
    """The names that are listed as built-in."""


_SIDE = r"[3-9]|[1-9]\d"
_TEAM = r"[2-9]|[1-9]\d"
_COUNT = r"[1-9]\d?"
_PASSENGERS = r"\d|[1-5]\d|6[0-4]"

FAMILIES: tuple[Family, ...] = (
    Family(
        "lbf",
        rf"lbf-(?P<rows>{_SIDE})x(?P<columns>{_SIDE})-(?P<agents>{_TEAM})p-(?P<foods>{_COUNT})f(?P<coop>-coop)?(?P<near>-2s)?",
        "lbf-ROWSxCOLUMNS-Np-Ff[-coop][-2s]",
        ("lbf-5x5-2p-1f", "lbf-8x8-2p-2f-coop-2s", "lbf-10x10-3p-3f-2s", "lbf-15x15-4p-3f-2s"),
    ),
    Family(
        "lbf-inert",
        rf"lbf-inert-(?P<passengers>{_PASSENGERS})",
        "lbf-inert-K",
        ("lbf-inert-0", "lbf-inert-2", "lbf-inert-4", "lbf-inert-8"),
    ),
    Family(
        "matrix-penalty",
        r"matrix-penalty-(?P<penalty>0|[1-9]\d{0,2})",
        "matrix-penalty-K",
        ("matrix-penalty-0", "matrix-penalty-25", "matrix-penalty-50", "matrix-penalty-75", "matrix-penalty-100"),
    ),
    Family("mpe-spread", rf"mpe-spread-(?P<agents>{_TEAM})", "mpe-spread-N", ("mpe-spread-3", "mpe-spread-6")),
    Family(
        "rware",
        r"rware-(?P<size>tiny|small|medium|large)-(?P<agents>[2-9]|1\d)ag",
        "rware-SIZE-Nag",
        ("rware-tiny-2ag", "rware-tiny-4ag", "rware-small-4ag"),
    ),
    Family(
        "spread-inert",
        rf"spread-inert-(?P<passengers>{_PASSENGERS})",
        "spread-inert-K",
        ("spread-inert-0", "spread-inert-2", "spread-inert-4", "spread-inert-8"),
    ),
)
"""One line per family."""


def family_names() -> list[str]:
    """The members of all families, sorted."""
    return sorted(name for family in FAMILIES for name in family.members)


def family_text(name: str) -> str | None:
    """The YAML text of the task of this name, or `None` when it fits no family."""
    for family in FAMILIES:
        fit = re.fullmatch(family.pattern, name, re.ASCII)
        if fit is not None:
            values = {group: _value(captured) for group, captured in fit.groupdict().items()}
            return _templates().get_template(f"{family.name}.yaml.j2").render(name=name, **values).strip() + "\n"
    return None


def _value(captured: str | None) -> int | bool | str:
    if captured is None or captured.startswith("-"):
        return captured is not None
    return int(captured) if captured.isdecimal() else captured


def _spelled(number: int) -> str:
    """A number as running text has it: words up to ten."""
    return NUMBER_WORDS[number] if number < len(NUMBER_WORDS) else str(number)


@functools.cache
def _templates() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # YAML for a parser and plain text for a model, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # what is included ends its own line
    )
    environment.filters["spelled"] = _spelled
    return environment
