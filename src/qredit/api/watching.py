"""Files as somebody saves them, for `qredit check --watch`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event


def files_as_saved(files: Iterable[Path], *, stop: Event | None = None) -> Iterator[Path]:
    """Give each file once, then again after each change to it, until Ctrl-C or `stop`.

    The folders are watched, not the files: many editors write a new file and rename it.

    Raises:
        FileNotFoundError: a file's folder does not exist.
    """
    from watchfiles import Change, watch

    named = {file.absolute(): file for file in files}

    def is_one_of_them(change: Change, path: str) -> bool:
        return change is not Change.deleted and Path(path) in named

    watched = watch(
        *sorted({file.parent for file in named}),
        watch_filter=is_one_of_them,
        recursive=False,
        raise_interrupt=False,
        stop_event=stop,
        rust_timeout=200,
        yield_on_timeout=True,
    )
    # The first answer means that the watch has begun: what is saved while the first checks run is not missed.
    first = next(watched, set())
    yield from named.values()
    for changes in itertools.chain([first], watched):
        yield from sorted({named[Path(path)] for _, path in changes})
