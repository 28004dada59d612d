"""The checkpoint database of a run."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from qredit.graphs.checkpoints import FILE_NAME, open_checkpoints


def test_a_cancelled_write_leaves_no_lock(tmp_path: Path) -> None:
    """Also while somebody still refers to an open cursor, as a traceback does."""

    async def leave_half_done() -> object:
        async with open_checkpoints(tmp_path) as saver:
            await saver.setup()
            insert = "INSERT INTO checkpoints (thread_id, checkpoint_id) VALUES ('generate', ?)"
            await saver.conn.execute(insert, ("a",))
            await saver.conn.execute(insert, ("b",))
            cursor = await saver.conn.execute("SELECT * FROM checkpoints")
            await cursor.fetchone()
            return cursor

    cursor = asyncio.run(leave_half_done())
    with closing(sqlite3.connect(tmp_path / FILE_NAME, timeout=0)) as other:
        other.execute("DELETE FROM checkpoints")
        other.commit()
    del cursor


def test_a_write_that_still_runs_is_let_finish(tmp_path: Path) -> None:
    """A graph that failed may leave one in the background."""

    async def leave_running() -> tuple[object, list[object]]:
        cursors: list[object] = []

        async def write() -> None:
            async with saver.lock, saver.conn.cursor() as cursor:
                cursors.append(cursor)
                await cursor.execute("INSERT INTO checkpoints (thread_id, checkpoint_id) VALUES ('generate', 'a')")
                await asyncio.sleep(0.05)
                await saver.conn.commit()

        async with open_checkpoints(tmp_path) as saver:
            await saver.setup()
            task = asyncio.get_running_loop().create_task(write())
        await task
        return task, cursors

    kept = asyncio.run(leave_running())
    with closing(sqlite3.connect(tmp_path / FILE_NAME, timeout=0)) as other:
        assert other.execute("SELECT checkpoint_id FROM checkpoints").fetchall() == [("a",)]
        other.execute("DELETE FROM checkpoints")
        other.commit()
    del kept
