"""YAML that a person wrote: its data, and the line on which each entry stands.

Stricter than `yaml.safe_load`: an entry given twice is a mistake there too, and merge keys (`<<`) are refused, because
a short file could unfold to more entries than any machine holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

_MERGE = "tag:yaml.org,2002:merge"
_UNUSABLE = (ValueError, LookupError, AttributeError, TypeError, OverflowError)
"""What PyYAML raises for scalars that are not what they claim: 2001-99-99, a number of 5000 digits, `!!bool maybe`."""


@dataclass(frozen=True)
class Problem:
    """Something in the file that has to be corrected."""

    line: int | None
    """From 1, where it is known."""
    text: str
    """What is wrong, for the person who wrote the file."""


class YamlError(Exception):
    """The text is no YAML that can be used."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.text for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class LocatedYaml:
    """The data of a YAML text, and where its parts stand."""

    data: Any
    root: yaml.Node | None
    """The text as a tree; `None` when it is empty."""

    def line_of(self, where: tuple[str | int, ...]) -> int:
        """The line of an entry or, if it is not there, of the innermost part that should hold it."""
        return self._find(where)[0]

    def existing(self, where: tuple[str | int, ...]) -> tuple[str | int, ...]:
        """The longest part of a path that leads to something in the text."""
        return where[: self._find(where)[1]]

    def _find(self, where: tuple[str | int, ...]) -> tuple[int, int]:
        """Line of the innermost part that exists, and how many steps of the path led to it."""
        node, line = self.root, 1 if self.root is None else self.root.start_mark.line + 1
        for depth, step in enumerate(where):
            found = _child(node, step)
            if found is None:
                return line, depth
            node, line = found
        return line, len(where)


def parse_yaml(text: bytes) -> LocatedYaml:
    """Parse one document.

    Raises:
        YamlError: no YAML, an entry given twice, or a value that its type cannot hold; each with its line.
    """
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            problems = list(_mistakes(root))
            if problems:
                raise YamlError(problems)
            return LocatedYaml(None if root is None else loader.construct_document(root), root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = [part for part in (error.context, error.problem) if part]
        raise YamlError([Problem(None if mark is None else mark.line + 1, f"no YAML: {', '.join(parts)}")]) from error
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise YamlError([Problem(None, f"no YAML: {' '.join(str(error).split())}")]) from error


class _Loader(yaml.SafeLoader):
    """The safe loader, whose errors all know their line."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except _UNUSABLE as error:
            tag = node.tag.rpartition(":")[2]
            detail = f" ({error})" if isinstance(error, ValueError) else ""
            raise yaml.constructor.ConstructorError(
                None, None, f"this is no usable {tag}{detail}", node.start_mark
            ) from error


def _mistakes(root: yaml.Node | None) -> Iterator[Problem]:
    """Entries that stand twice in one mapping, and merge keys, from top to bottom."""
    waiting = [] if root is None else [root]
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias: it may even hold itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)
        elif isinstance(node, yaml.MappingNode):
            yield from _mistaken_keys(node)
            waiting += [value for _, value in reversed(node.value)]


def _mistaken_keys(node: yaml.MappingNode) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        if key.tag == _MERGE:
            yield Problem(line, "merge keys (`<<`) are not read: write the entries out")
        elif (key.tag, key.value) in first:
            yield Problem(line, f"`{key.value}` is given twice, first on line {first[key.tag, key.value]}")
        else:
            first[key.tag, key.value] = line


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, int] | None:
    """What stands under a key or at an index, and its line."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item, item.start_mark.line + 1
    return None
