"""A task: the text a language model reads and the environment a team trains in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from qredit.errors import ArtifactError, TaskFileError, UnknownNameError
from qredit.families import FAMILIES, family_names, family_text
from qredit.files import read_untrusted
from qredit.layout import StateField, StateLayout
from qredit.task_errors import validated

BUILTIN_TASKS = Path(__file__).parent / "prompts" / "tasks"
TASK_NAME = "[a-z0-9][a-z0-9-]{0,62}"
"""Regular expression of the names of tasks."""
GENERAL_ADAPTERS = ("gymnasium", "pettingzoo")
"""Adapters of environments that qredit has never seen: the task file may say what their state holds."""


Backend: TypeAlias = Literal["auto", "compiled", "official"]
"""What plays the episodes of a training; see `EnvironmentSpec.backend`."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class EnvironmentSpec(_Strict):
    """Which environment a task trains in, and who adapts it."""

    adapter: str
    """Name of the adapter: `lbf`, `matrix`, `mpe`, `pistonball`, `rooms` or `rware`; `gymnasium` and `pettingzoo` for
    one's own."""
    id: str
    """The environment's registered id, such as `Foraging-5x5-2p-1f-v3`; for `pettingzoo` its module, such as
    `mpe2.simple_spread_v3` or `my_package.my_module:parallel_env`."""
    arguments: dict[str, bool | int | float | str] = {}
    """Further keyword arguments of the environment."""
    inert_agents: Annotated[int, Field(ge=0, le=64)] = 0
    """Agents added to the team whose actions do nothing: what credit they should get is known."""
    backend: Backend = "auto"
    """What plays the episodes of a training: the official package, or its rules compiled; a seed stands for the same
    episode in both. `auto` takes what is compiled, where there is something."""


class FieldSpec(_Strict):
    """One field of the state layout, for a task that brings its own."""

    name: str
    """Lower-case identifier, as the credit function reads it: `agent_position`."""
    shape: tuple[int, ...]
    """Shape of the field: `[3, 2]` for two numbers of each of three agents, `[]` for one number."""
    unit: str
    """Unit of the values, such as `cells`, `m/s`, `flag` or `action number`."""
    low: float
    """Smallest value that occurs; `-.inf` where there is no bound."""
    high: float
    """Largest value that occurs; `.inf` where there is no bound."""
    meaning: str
    """One sentence: what it is, and what special values mean."""
    entities: tuple[str, ...] = ()
    """Things in the environment that the field depends on, such as `agents` or `foods`."""
    agent_axes: tuple[int, ...] = ()
    """Axes of `shape` that run over the agents in their order: `[0]` for one row per agent."""
    others_axis: int | None = None
    """Axis of `shape` that runs over the others of each agent, in their order: 1 for a field of shape `[3, 2, 2]` with
    what each of three agents sees of each of the two others."""
    typical: float | None = None
    """Magnitude of most values, where the bounds lie far beyond it, or where there are none: 1 for a position that is
    mostly between -1 and 1. Critics see the values divided by it."""

    @model_validator(mode="after")
    def _usable(self) -> FieldSpec:
        try:
            self.state_field()
        except TaskFileError as error:
            raise PydanticCustomError(
                "field", "{text}", {"text": f"{error.what}: {error.cause}. {error.remedy}"}
            ) from error
        return self

    def state_field(self) -> StateField:
        """The field as the rest of qredit knows it.

        Raises:
            TaskFileError: its values contradict each other.
        """
        return StateField(**self.model_dump())


@dataclass(frozen=True)
class Origin:
    """Where a task was read from. It tells tasks in no way apart."""

    file: str = field(default="", compare=False)
    """Path of its file; empty if it has none."""
    lines: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Line of an entry such as `n_agents`, `environment.id` or `layout.0`."""


class Task(_Strict):
    """A task file (`prompts/tasks/*.yaml`, or a user's own in the same form).

    Either `environment` names an adapter, which knows the state layout, or `layout` and `states` (a `.npz` file with an
    array `states [M, S]`) describe the state alone; the second suffices to generate, not to train. For the adapters
    `gymnasium` and `pettingzoo` the layout may say what the environment's own state holds.
    """

    name: Annotated[str, Field(pattern=rf"^{TASK_NAME}$")]
    """Lower-case letters, digits and hyphens."""
    title: str
    """One line for lists."""
    description: str
    """What the world is and how a step works, for the language model."""
    goal: str
    """What the team is to achieve."""
    reward: str
    """How the team is rewarded."""
    n_agents: Annotated[int, Field(ge=1, le=256)]
    """How many agents the team has."""
    actions: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the actions, in the order of their numbers."""
    noop: str | None = None
    """The action that does nothing, if there is one."""
    time_limit: Annotated[int, Field(ge=1)]
    """Steps after which an episode is cut off."""
    kind: str = "weights"
    """Kind of program that is generated unless another is asked for, such as `weights`, `general` or `shares`."""
    igm: Literal["enforce", "relax"] = "enforce"
    """Whether negative weights are clamped at 0, so that greedy agents maximise the team's value, or kept."""
    exchangeable_agents: bool = False
    """Whether two agents in the same situation are the same to the team."""
    environment: EnvironmentSpec | None = None
    """The environment to train in; without it, `layout` and `states`."""
    layout: tuple[FieldSpec, ...] | None = None
    """What the global state holds, field by field, in the order of its numbers."""
    states: str | None = None
    """File name of the sample states, beside the task file."""
    optimum: float | None = None
    """Highest possible undiscounted team return per episode, where it is known."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @model_validator(mode="after")
    def _no_contradictions(self) -> Task:
        found = list(_contradictions(self))
        if found:
            raise PydanticCustomError(
                "contradiction", "{text}", {"text": "; ".join(text for _, text in found), "found": found}
            )
        return self

    @property
    def noop_number(self) -> int | None:
        """Number of the action that does nothing; `None` if there is none."""
        return None if self.noop is None else self.actions.index(self.noop)

    def own_layout(self) -> StateLayout | None:
        """The layout written in the task file, or `None` when the environment's adapter supplies it."""
        return None if self.layout is None else StateLayout(tuple(spec.state_field() for spec in self.layout))

    def with_backend(self, backend: Backend) -> Task:
        """The same task, its environment played by another backend; without an environment, as it is."""
        if self.environment is None:
            return self
        return self.model_copy(update={"environment": self.environment.model_copy(update={"backend": backend})})

    def where(self, *entries: str) -> str:
        """The place of the first of these entries that the task's file has, for a message; else the task's name."""
        line = next((self._origin.lines[entry] for entry in entries if entry in self._origin.lines), None)
        return f"task `{self.name}`" if line is None else f"`{self._origin.file}`, line {line}"


@dataclass(frozen=True)
class TaskSource:
    """A task as the user named it."""

    task: Task
    """The task."""
    folder: Path | None
    """The folder of the user's own task file, where its `states` stand; `None` for a task that ships."""


def builtin_task_names() -> list[str]:
    """Names of the tasks that ship with qredit, the listed members of the families among them."""
    return sorted({*_file_names(), *family_names()})


def load_task(name_or_path: str) -> Task:
    """Load a built-in task by its name, or a task file by its path (it ends in `.yaml` or `.yml`).

    Raises:
        UnknownNameError: no such built-in task, and no family has such names.
        TaskFileError: the file is missing, no YAML, or does not describe a task.
    """
    return read_task(name_or_path).task


def read_task(name_or_path: str) -> TaskSource:
    """Load a task, and tell where the files beside it stand.

    Raises:
        QreditError: see `load_task`.
    """
    if is_task_file(name_or_path):
        path = Path(name_or_path)
        return TaskSource(parse_task(path), path.parent)
    if name_or_path in _file_names():
        return TaskSource(parse_task(BUILTIN_TASKS / f"{name_or_path}.yaml"), None)
    text = family_text(name_or_path)
    if text is None:
        raise UnknownNameError("task", name_or_path, builtin_task_names(), _forms(name_or_path))
    return TaskSource(validated(Task, text.encode(), f"built-in task {name_or_path}")[0], None)


def is_task_file(name_or_path: str) -> bool:
    """Whether this is the path of a task file, and no name; files may have the name of a built-in task."""
    return name_or_path.endswith((".yaml", ".yml"))


def parse_task(path: Path) -> Task:
    """Read one task file.

    Raises:
        TaskFileError: unreadable, no YAML, or not a task; the message has the lines and the entries.
    """
    try:
        text = read_untrusted(path, limit=1_000_000)
    except ArtifactError as error:
        raise TaskFileError(
            f"task file `{path}`", cause=error.cause, remedy="Give the path of a readable regular file."
        ) from error
    task, lines = validated(Task, text, str(path))
    task._origin = Origin(str(path), lines)
    return task


def _file_names() -> list[str]:
    return sorted(path.stem for path in BUILTIN_TASKS.glob("*.yaml"))


def _forms(name: str) -> list[str]:
    """The forms of the families that begin with the same word, or of all."""
    word = name.partition("-")[0]
    forms = [family.shown for family in FAMILIES]
    return [form for form in forms if form.partition("-")[0] == word] or forms


def _contradictions(task: Task) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Entries that do not go together: the place of each, and what is wrong."""
    spec, layout = task.environment, task.layout
    own = [name for name in ("layout", "states") if getattr(task, name) is not None]
    if spec is None and len(own) < 2:
        yield (), "name an `environment`, or give both `layout` and `states`"
    if spec is not None and spec.adapter not in GENERAL_ADAPTERS:
        for name in own:
            yield (name,), f"`environment` already supplies the {name}: remove `{name}`"
    elif spec is not None and own == ["states"]:
        yield ("states",), "sample states need a `layout` that says what they hold"
    if task.states is not None and (Path(task.states).name != task.states or task.states in ("", "..")):
        yield ("states",), f"`{task.states}` is no plain file name: put the file beside the task file"
    if task.noop is not None and task.noop not in task.actions:
        yield ("noop",), f"`{task.noop}` is none of the actions {', '.join(task.actions)}"
    if layout is None:
        return
    if not layout:
        yield ("layout",), "the layout has no fields"
    names = [entry.name for entry in layout]
    team = task.n_agents - (0 if spec is None else spec.inert_agents)
    for number, entry in enumerate(layout):
        if entry.name in names[:number]:
            yield ("layout", number, "name"), f"field `{entry.name}` stands there twice"
        for axis in entry.agent_axes:
            if entry.shape[axis] != team:
                length = entry.shape[axis]
                text = f"axis {axis} of `{entry.name}` has {length} entries, there are {team} agents"
                yield ("layout", number, "agent_axes"), text
