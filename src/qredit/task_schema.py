"""The form of a task file as JSON Schema, for editors."""

from __future__ import annotations

import json
from typing import Any

from qredit.task import Task

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def task_schema() -> dict[str, Any]:
    """JSON Schema of a task file; the descriptions are the docstrings of `Task`.

    Not covered, because a schema cannot say it: which of `environment`, `layout` and `states` go together.
    """
    return {"$schema": DIALECT, **Task.model_json_schema(), "title": "qredit task"}


def schema_text() -> str:
    """The schema as it stands in a file: `qredit tasks --schema` prints it, `task.schema.json` holds it."""
    return json.dumps(task_schema(), indent=2) + "\n"
