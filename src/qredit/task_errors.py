"""What is wrong with a task file, in the words of its own entries, each with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from qredit.errors import TaskFileError
from qredit.located_yaml import LocatedYaml, Problem, YamlError, parse_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

ModelT = TypeVar("ModelT", bound=BaseModel)
Place = tuple[str | int, ...]

MOST_PROBLEMS = 5
LONGEST_VALUE = 40
_REMEDY = "Correct it; `qredit tasks --schema` describes every entry."


def validated(model: type[ModelT], text: bytes, file: str) -> tuple[ModelT, dict[str, int]]:
    """The YAML text as the model, and the lines of its outer entries.

    Args:
        model: the form of the file.
        text: its content.
        file: its name for messages.

    Raises:
        TaskFileError: no YAML, or not of this form; up to 5 problems, each with its line.
    """
    try:
        document = parse_yaml(text)
    except YamlError as error:
        raise _failure(file, error.problems) from error
    try:
        return model.model_validate(document.data), _lines(document)
    except ValidationError as error:
        raise _failure(file, list(_problems(model, document, error.errors()))) from error
    except RecursionError as error:
        raise _failure(file, [Problem(None, "an entry holds itself")]) from error


def _failure(file: str, problems: list[Problem]) -> TaskFileError:
    shown = sorted(problems, key=lambda problem: problem.line or 0)[:MOST_PROBLEMS]
    if len(problems) == 1:
        (problem,) = problems
        what = f"`{file}`" if problem.line is None else f"`{file}`, line {problem.line}"
        return TaskFileError(what, cause=problem.text, remedy=_REMEDY)
    told = [problem.text if problem.line is None else f"line {problem.line}: {problem.text}" for problem in shown]
    if len(problems) > len(shown):
        told.append(f"and {len(problems) - len(shown)} more")
    return TaskFileError(f"`{file}`", cause="\n  ".join([f"{len(problems)} mistakes", *told]), remedy=_REMEDY)


def _problems(model: type[BaseModel], document: LocatedYaml, errors: list[ErrorDetails]) -> Iterator[Problem]:
    """One problem per place: pydantic reports a value that fits none of several types once for each of them."""
    told: set[Place] = set()
    missing = [error["loc"] for error in errors if error["type"] == "missing"]
    for error in errors:
        place = document.existing(error["loc"])
        if error["type"] == "contradiction":
            yield from (Problem(document.line_of(at), text) for at, text in error["ctx"]["found"])
        elif error["type"] == "extra_forbidden":
            text, meant = _unknown_entry(model, place)
            missing = [loc for loc in missing if loc != (*place[:-1], meant)]  # the misspelt one is not missing too
            yield Problem(document.line_of(place), text)
        elif error["type"] != "missing" and place not in told:
            told.add(place)
            yield Problem(document.line_of(place), _text(place, error))
    for outer in dict.fromkeys(loc[:-1] for loc in missing):
        names = ", ".join(f"`{loc[-1]}`" for loc in missing if loc[:-1] == outer)
        yield Problem(document.line_of(outer), f"missing{f' in `{_dotted(outer)}`' if outer else ''}: {names}")


def _text(place: Place, error: ErrorDetails) -> str:
    message = error["msg"]
    if error["type"] == "field":
        return message
    if not place:
        return "the file does not hold the entries of a task, such as `name: my-task`"
    if len(place) < len(error["loc"]):  # what follows names the types that it might have had
        message = "it must be true, false, a number or a text"
    return f"`{_dotted(place)}`{_shown(error['input'])}: {message}"


def _unknown_entry(model: type[BaseModel], place: Place) -> tuple[str, str | None]:
    """What to say of an entry that does not exist, and which one was probably meant."""
    known = _entries(model, place[:-1])
    near = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(f'`{name}`' for name in known)}"
    return f"there is no entry `{_dotted(place)}`; {hint}", near[0] if near else None


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))


def _shown(value: object) -> str:
    """A value as it stands in the file, if it is short."""
    text = str(value) if isinstance(value, (str, int, float)) else ""
    return f" is `{text}`" if 0 < len(text) <= LONGEST_VALUE and text.isprintable() else ""


def _entries(model: type[BaseModel], place: Place) -> list[str]:
    """The entries that may stand at a place of the form."""
    for step in place:
        if isinstance(step, str):
            model = _models_in(model.model_fields[step].annotation)[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation such as `tuple[FieldSpec, ...] | None` mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _lines(document: LocatedYaml) -> dict[str, int]:
    """Lines of the outer entries and of those inside them, for errors that are found when an environment is made."""
    found: dict[str, int] = {}
    for key, value in document.data.items():
        found[key] = document.line_of((key,))
        inner = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        found |= {f"{key}.{step}": document.line_of((key, step)) for step in inner}
    return found
