"""A task: the text a language model reads and the environment a team trains in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from qredit.errors import ArtifactError, QreditError, TaskFileError, UnknownNameError
from qredit.files import read_untrusted
from qredit.layout import StateField, StateLayout

BUILTIN_TASKS = Path(__file__).parent / "prompts" / "tasks"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EnvironmentSpec(_Strict):
    """Which environment a task trains in, and who adapts it."""

    adapter: str
    """Name of the adapter in `qredit.marl`, such as `lbf`; it also supplies the state layout."""
    id: str
    """The environment's registered id, such as `Foraging-5x5-2p-1f-v3`."""
    arguments: dict[str, bool | int | float | str] = {}
    """Further keyword arguments of the environment."""
    inert_agents: Annotated[int, Field(ge=0, le=64)] = 0
    """Agents added to the team whose actions do nothing: what credit they should get is known."""


class FieldSpec(_Strict):
    """One field of the state layout, for a task that brings its own."""

    name: str
    shape: tuple[int, ...]
    unit: str
    low: float
    high: float
    meaning: str
    entities: tuple[str, ...] = ()
    agent_axes: tuple[int, ...] = ()


class Task(_Strict):
    """A task file (`prompts/tasks/*.yaml`, or a user's own in the same form).

    Either `environment` names an adapter, which knows the state layout, or `layout` and `states` (a `.npz` file with an
    array `states [M, S]`) describe the state alone; the second suffices to generate, not to train.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    title: str
    """One line for lists."""
    description: str
    """What the world is and how a step works, for the language model."""
    goal: str
    """What the team is to achieve."""
    reward: str
    """How the team is rewarded."""
    n_agents: Annotated[int, Field(ge=1, le=256)]
    actions: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the actions, in the order of their numbers."""
    time_limit: Annotated[int, Field(ge=1)]
    """Steps after which an episode is cut off."""
    kind: str = "weights"
    """Kind of program that is generated unless another is asked for, such as `weights`, `general` or `shares`."""
    exchangeable_agents: bool = False
    """Whether two agents in the same situation are the same to the team."""
    environment: EnvironmentSpec | None = None
    layout: tuple[FieldSpec, ...] | None = None
    states: str | None = None
    """File name of the sample states, beside the task file."""
    optimum: float | None = None
    """Highest possible undiscounted team return per episode, where it is known."""

    @model_validator(mode="after")
    def _one_source_of_layout(self) -> Task:
        own = self.layout is not None or self.states is not None
        if self.environment is None and (self.layout is None or self.states is None):
            raise ValueError("name an `environment`, or give both `layout` and `states`")
        if self.environment is not None and own:
            raise ValueError("`environment` already supplies the layout and the states: remove `layout` and `states`")
        return self

    def own_layout(self) -> StateLayout | None:
        """The layout written in the task file, or `None` when the environment's adapter supplies it."""
        if self.layout is None:
            return None
        return StateLayout(tuple(StateField(**field.model_dump()) for field in self.layout))


def builtin_task_names() -> list[str]:
    """Names of the tasks that ship with qredit."""
    return sorted(path.stem for path in BUILTIN_TASKS.glob("*.yaml"))


def load_task(name_or_path: str) -> Task:
    """Load a built-in task by name, or a task file by its path (it ends in `.yaml` or `.yml`).

    Raises:
        UnknownNameError: no such built-in task.
        TaskFileError: the file is missing, no YAML, or does not describe a task.
    """
    return parse_task(task_path(name_or_path))


def task_path(name_or_path: str) -> Path:
    """The file of a built-in task or of a user's own.

    Raises:
        UnknownNameError: no such built-in task.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return Path(name_or_path)
    if name_or_path not in builtin_task_names():
        raise UnknownNameError("task", name_or_path, builtin_task_names())
    return BUILTIN_TASKS / f"{name_or_path}.yaml"


def parse_task(path: Path) -> Task:
    """Read one task file.

    Raises:
        TaskFileError: unreadable, no YAML, or not a task; the message names the entries.
    """
    try:
        data: Any = yaml.safe_load(read_untrusted(path, limit=1_000_000))
        task = Task.model_validate(data)
        task.own_layout()
        return task
    except yaml.YAMLError as error:
        raise TaskFileError(f"task file `{path}`", cause=f"no YAML: {error}", remedy="Correct this line.") from error
    except ValidationError as error:
        entries = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:5])
        raise TaskFileError(
            f"task file `{path}`", cause=entries, remedy="Correct these entries; built-in tasks show the form."
        ) from error
    except (ValueError, RecursionError) as error:  # an impossible date, a number of 5000 digits, 1000 brackets
        raise TaskFileError(f"task file `{path}`", cause=f"no usable YAML: {error}", remedy="Correct it.") from error
    except ArtifactError as error:
        raise TaskFileError(
            f"task file `{path}`", cause=error.cause, remedy="Give the path of a readable regular file."
        ) from error
    except QreditError as error:
        raise TaskFileError(f"task file `{path}`", cause=f"{error.what}: {error.cause}", remedy=error.remedy) from error
