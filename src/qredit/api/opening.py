"""Loading while something else takes its time: the jail that starts, the model that writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

from qredit.graphs import Event
from qredit.sandbox import open_jail

if TYPE_CHECKING:
    from qredit.sandbox import Jail

T = TypeVar("T")
MEASURING = ("qredit.credit.fidelity", "scipy.stats", "torch._dynamo")
"""What the first candidate is measured with; the last comes with the memory pass over graphs."""


@contextmanager
def jail_beside(jail: str, image: str | None, prepare: Callable[[], T]) -> Iterator[tuple[Jail, T]]:
    """Open a jail, which takes seconds in processes of its own, while something else is prepared in a thread.

    The jail is opened in this thread: its processes may be told to end with the thread that started them.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        preparing = pool.submit(prepare)
        with open_jail(jail, image=image) as opened:
            yield opened, preparing.result()


def loading_meanwhile(on_event: Callable[[Event], None]) -> Callable[[Event], None]:
    """`on_event`, which at the first question to a model begins to load what its candidate will be measured with."""
    modules = list(MEASURING)

    def tell(event: Event) -> None:
        if event.kind == "asking" and modules:
            threading.Thread(target=_load, args=(tuple(modules),), daemon=True).start()
            modules.clear()
        on_event(event)

    return tell


def _load(modules: tuple[str, ...]) -> None:
    for name in modules:
        import_module(name)
