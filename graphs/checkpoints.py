"""LangGraph's checkpoints: they save time on resume and nothing else depends on them.

A checkpoint file may be a stranger's or damaged. It is read with an allowlist of no types beyond plain data, its
values are checked, and a file that cannot be used is set aside: the run then starts over on the reply store, which
costs no call.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from qredit.errors import StorageError
from qredit.graphs.state import OutcomeStatus, RunState, Stopped

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.graph.state import CompiledStateGraph

FILE_NAME = "checkpoints.sqlite"


@asynccontextmanager
async def open_checkpoints(folder: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """The checkpoint database of a run; a file that is no database is set aside first.

    Raises:
        StorageError: it cannot be written.
    """
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    path = folder / FILE_NAME
    if path.is_symlink() or (path.exists() and not _is_database(path)):
        set_aside(folder)
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        saver.serde = JsonPlusSerializer(allowed_msgpack_modules=[])
        saver.jsonplus_serde = JsonPlusSerializer(allowed_msgpack_modules=[])
        try:
            yield saver
        finally:
            await _close(saver)


async def _close(saver: AsyncSqliteSaver) -> None:
    """Close without leaving the file locked for as long as anybody refers to a cursor, as tracebacks do.

    SQLite ends a transaction of a closed connection only when its last statement is gone. A graph that failed may still
    be writing in the background, each write under the saver's lock: all that have begun come first, then nothing does.
    """
    await asyncio.sleep(0)  # let those begin that are about to
    async with saver.lock:
        await saver.conn.rollback()
        await saver.conn.close()


def set_aside(folder: Path) -> None:
    """Rename an unusable checkpoint database, with its side files."""
    for ending in ("", "-wal", "-shm", "-journal"):
        path = folder / f"{FILE_NAME}{ending}"
        if path.is_symlink() or path.exists():
            path.replace(folder / f"unusable-{FILE_NAME}{ending}")


async def stored_state(
    app: CompiledStateGraph[RunState, None, RunState, RunState], config: RunnableConfig
) -> Mapping[str, Any] | None:
    """The values of the last checkpoint, or `None` when there is none that can be used."""
    try:
        snapshot = await app.aget_state(config)
    except (sqlite3.Error, ValueError, KeyError, TypeError):  # a forged or damaged file; the store has everything
        return None
    values = snapshot.values
    return values if is_run_state(values) else None


def is_run_state(values: Any) -> bool:
    """Whether these are the values of a run: right names, right types."""
    if not isinstance(values, dict) or set(values) != set(RunState.__annotations__):
        return False
    numbers = all(type(values[name]) is int for name in ("round", "completed"))
    outcomes, choices = values["outcomes"], values["choices"]
    return (
        numbers
        and type(values["fresh"]) is bool
        and values["stopped"] in get_args(Stopped)
        and isinstance(outcomes, list)
        and isinstance(choices, list)
        and all(
            _has(o, round=int, candidate=int, status=str, sha=str, attempts=int, out_of_budget=bool) for o in outcomes
        )
        and all(o["status"] in get_args(OutcomeStatus) for o in outcomes)
        and all(_has(c, round=int, sha=str, reply_key=str, number=int) for c in choices)
    )


@asynccontextmanager
async def storage_trouble(folder: Path) -> AsyncIterator[None]:
    """Turn a database that cannot be written into a `StorageError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StorageError(
            f"cannot write `{folder / FILE_NAME}`",
            cause=str(error),
            remedy="Free some space or check the permissions, then run the same command with `--resume`.",
        ) from error


def _has(record: Any, **types: type) -> bool:
    return (
        isinstance(record, dict) and set(record) == set(types) and all(type(record[n]) is t for n, t in types.items())
    )


def _is_database(path: Path) -> bool:
    try:
        connection = sqlite3.connect(path)
    except sqlite3.Error:
        return False
    with closing(connection):
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])
        except sqlite3.Error:
            return False
