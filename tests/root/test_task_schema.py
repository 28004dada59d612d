"""The JSON Schema of task files."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from qredit.task import EnvironmentSpec, FieldSpec, Task
from qredit.task_schema import schema_text, task_schema


def test_the_file_in_the_package_is_that_of_the_model() -> None:
    """Write it again with `qredit tasks --schema > src/qredit/task.schema.json`."""
    assert (resources.files("qredit") / "task.schema.json").read_text() == schema_text()


def test_what_it_says_of_itself() -> None:
    schema = task_schema()
    assert (schema["$schema"], schema["title"]) == ("https://json-schema.org/draft/2020-12/schema", "qredit task")
    assert json.loads(schema_text()) == schema
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("model", [Task, EnvironmentSpec, FieldSpec])
def test_every_entry_is_explained(model: type[Task | EnvironmentSpec | FieldSpec]) -> None:
    schema = task_schema()
    form: dict[str, Any] = schema if model is Task else schema["$defs"][model.__name__]
    assert set(form["properties"]) == set(model.model_fields)
    for name, entry in form["properties"].items():
        assert len(entry.get("description", "")) > 10, name


def test_what_must_be_there() -> None:
    required = {"name", "title", "description", "goal", "reward", "n_agents", "actions", "time_limit"}
    assert set(task_schema()["required"]) == required
