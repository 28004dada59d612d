"""`qredit init`: a task file to fill in."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from qredit.errors import ConfigurationError
from qredit.files import write_atomic
from qredit.layout import StateField
from qredit.task import BUILTIN_TASKS, TASK_NAME, EnvironmentSpec, Task
from qredit.task_errors import validated
from qredit.task_schema import schema_text

if TYPE_CHECKING:
    from qredit.marl.environments.own_facts import EnvironmentFacts

Adapter = Literal["gymnasium", "pettingzoo", "none"]

SCHEMA_FILE = ".qredit-task.schema.json"
MARK = "FILL IN"
N_AGENTS = 2
TIME_LIMIT = 100
_IDS = {"gymnasium": "my_package:MyEnvironment-v0", "pettingzoo": "my_package.my_module:parallel_env", "none": ""}


@dataclass(frozen=True)
class NewTask:
    """A task file that was written."""

    path: Path
    """The task file."""
    schema: Path
    """The JSON Schema beside it, for editors."""
    fill_in: tuple[int, ...]
    """Lines of the task file that its author has to write."""


def init_task(
    name: str,
    *,
    adapter: Adapter = "none",
    environment_id: str | None = None,
    n_agents: int | None = None,
    folder: Path = Path(),
) -> NewTask:
    """Write a task file with comments, which is valid as it stands.

    Args:
        name: the task's name, which the file gets too.
        adapter: interface of the environment; `none` for a task known by its layout and sample states.
        environment_id: an environment to look at: what it tells of itself is filled in.
        n_agents: how many agents the team has; an environment knows it better.
        folder: where the file goes.

    Raises:
        ConfigurationError: the file is there already, the options do not go together, or the environment cannot be
            used.
        StorageError: the folder cannot be written to.
    """
    name = name.removesuffix(".yaml")
    if not re.fullmatch(TASK_NAME, name):
        raise ConfigurationError(
            f"task name `{name}`",
            cause="it must begin with a letter or digit, and hold lower-case letters, digits and hyphens only",
            remedy="Choose a name such as `my-task`, and a folder with --folder.",
        )
    path = folder / f"{name}.yaml"
    if path.exists() or path.is_symlink():
        raise ConfigurationError(f"`{path}`", cause="it is there already", remedy="Choose another name or --folder.")
    facts = _facts(adapter, environment_id, n_agents)
    text = _text(name, adapter, environment_id, n_agents, facts)
    validated(Task, text.encode(), str(path))
    schema = folder / SCHEMA_FILE
    write_atomic(schema, schema_text().encode())
    write_atomic(path, text.encode())
    lines = enumerate(text.splitlines(), 1)
    return NewTask(path, schema, tuple(number for number, line in lines if re.search(f"{MARK}(:|$)", line)))


def _facts(adapter: Adapter, environment_id: str | None, n_agents: int | None) -> EnvironmentFacts | None:
    if environment_id is None:
        return None
    if adapter == "none":
        raise ConfigurationError(
            f"environment `{environment_id}`",
            cause="its interface is not named",
            remedy="Add `--env pettingzoo` or `--env gymnasium`.",
        )
    from qredit.marl.environments.own_facts import facts_of

    facts = facts_of(EnvironmentSpec(adapter=adapter, id=environment_id))
    if n_agents not in (None, facts.n_agents):
        raise ConfigurationError(
            f"{n_agents} agents",
            cause=f"environment `{environment_id}` has {facts.n_agents}",
            remedy="Leave --agents out; `arguments` in the task file may change the number.",
        )
    return facts


def _text(
    name: str, adapter: Adapter, environment_id: str | None, n_agents: int | None, facts: EnvironmentFacts | None
) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(BUILTIN_TASKS),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # YAML, not HTML; what comes from outside passes the filter
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["yaml"] = _yaml
    n = facts.n_agents if facts else n_agents or N_AGENTS
    names = facts.action_names if facts else None
    n_actions = facts.n_actions if facts else 2
    limit = facts.time_limit if facts else None
    rendered = environment.get_template("own.yaml.j2").render(
        schema=SCHEMA_FILE,
        name=name,
        adapter=adapter,
        environment_id=environment_id or _IDS[adapter],
        facts=facts,
        n_agents=n,
        agents_known=facts is not None or n_agents is not None,
        actions=names or tuple(f"action_{number}" for number in range(n_actions)),
        actions_known=names is not None,
        time_limit=limit or TIME_LIMIT,
        limit_known=limit is not None,
        fields=_fields(adapter, n, facts),
    )
    return rendered.rstrip() + "\n"


def _fields(adapter: Adapter, n_agents: int, facts: EnvironmentFacts | None) -> tuple[StateField, ...]:
    if facts is not None:
        what = "number k of an observation" if facts.is_observation else "number k of the state"
        return (replace(facts.field, meaning=f"{MARK}: what {what} is, for each k from 0."),)
    if adapter != "none":
        return ()
    where = f"{MARK}: Row and column of each agent, from 0 at the top left."
    goal = f"{MARK}: Row and column of the goal; (-1, -1) once it is reached."
    return (
        StateField("agent_position", (n_agents, 2), "cells", 0, 9, where, agent_axes=(0,)),
        StateField("goal_position", (2,), "cells", -1, 9, goal),
    )


def _yaml(value: str | float) -> str:
    """A text or a number as a YAML scalar on one line: JSON's form, but for what JSON lacks."""
    if isinstance(value, float) and math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return json.dumps(value)
