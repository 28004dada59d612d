"""Strict rendering: an undefined variable raises, and what people or models wrote is only ever a value.

Task text and model text never become template source. Text that a model wrote stands inside a fence that is longer
than any run of backticks in it, so that it cannot end its own fence and speak in our voice.
"""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path

import jinja2

from qredit.errors import ConfigurationError
from qredit.files import sha256

TEMPLATES = Path(__file__).parent / "templates"
_BACKTICKS = re.compile(r"`+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def render(name: str, /, *, folder: Path | None = None, **values: object) -> str:
    """Render the template `<name>.j2` with these values.

    Args:
        name: the template.
        folder: the templates of a kind of program; they come before those that all kinds share.

    Raises:
        ConfigurationError: there is no such template.
        jinja2.UndefinedError: the template uses a value that is not given.
    """
    try:
        template = _environment(folder).get_template(f"{name}.j2")
    except jinja2.TemplateNotFound as error:
        raise ConfigurationError(
            f"prompt template `{error.name}`",
            cause=f"neither `{folder}` nor `{TEMPLATES}` has it",
            remedy="Add it to the folder of the kind's templates.",
        ) from error
    return template.render(**values).strip() + "\n"


def kind_templates(kind: str) -> Path:
    """The folder of the templates of a built-in kind of program."""
    return TEMPLATES / kind


@functools.cache
def template_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each template that a kind uses, by its name, for the record of a run and of an artifact."""
    paths = {path.stem: path for path in (*TEMPLATES.glob("*.j2"), *folder.glob("*.j2"))}
    return {name: sha256(paths[name].read_bytes()) for name in sorted(paths)}


def fenced(text: str, language: str = "") -> str:
    """`text` in a code fence that nothing in it can close; control characters other than tab and newline are dropped.

    Carriage returns become newlines, and characters that change the direction of writing go too: what a person
    reads in the trace is what the model read.
    """
    clean = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip("\n")
    longest = max((len(run) for run in _BACKTICKS.findall(clean)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{clean}\n{fence}"


def figure(value: float) -> str:
    """A measured number with two significant digits and no exponent, equal on every machine: 0.033, 1.2, 140."""
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    digits = 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    if rounded == 0 or abs(rounded) < 1e-6:
        return "0"
    digits = 1 - math.floor(math.log10(abs(rounded)))  # 9.96 became 10: one decimal less
    return f"{rounded:.{max(digits, 0)}f}"


def bound(value: float) -> str:
    """A bound of a range: exact when it is a whole number, which comes from the layout and not from measuring."""
    return str(int(value)) if math.isfinite(value) and value == int(value) else figure(value)


@functools.cache
def _environment(folder: Path | None) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES] if folder is None else [folder, TEMPLATES]),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # plain text for a model, not HTML
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(fenced=fenced, figure=figure, bound=bound)
    return environment
