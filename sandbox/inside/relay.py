"""Inside a container: a fork server, and the go-between to the stream that the engine offers.

The container's first process. It reads orders from standard input, gives each to the fork server in a thread of its
own, and writes how it ended to standard output. It ends with its input, and with it everything in the container. A job
holds no descriptor of it.
"""

from __future__ import annotations

import os
import struct
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from qredit.errors import JailError
from qredit.sandbox.inside import wire
from qredit.sandbox.jails.exchange import ServerLostError
from qredit.sandbox.jails.forkserver import ForkServer
from qredit.sandbox.jails.order import Answer, Order


def main(config: Mapping[str, object]) -> None:
    """Serve until standard input ends.

    Args:
        config: `jobs` (module of the jobs), `import_path` (folders) and `parallel` (most jobs at once).
    """
    # Nothing that is printed by accident may reach the stream.
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    import_path = [str(entry) for entry in config["import_path"]]  # type: ignore[attr-defined]
    with ForkServer(jobs=str(config["jobs"]), import_path=import_path, landlock_required=False) as server:
        _write(stream, wire.frame(wire.Hello.of_this_process(threads=1).to_bytes()))
        _serve(server, stream, int(str(config["parallel"])))
    os._exit(0)


def _serve(server: ForkServer, stream: BinaryIO, parallel: int) -> None:
    lock = threading.Lock()

    def handle(order: Order) -> None:
        answer = _answer(server, order)
        with lock:
            _write(stream, answer.to_bytes())

    with ThreadPoolExecutor(parallel) as threads:
        while True:
            try:
                order = Order.read(sys.stdin.buffer)
            except (EOFError, struct.error):
                os._exit(0)  # the caller is gone: nobody waits for what still runs
            threads.submit(handle, order)


def _answer(server: ForkServer, order: Order) -> Answer:
    try:
        result = server.run(
            order.job, order.payload, timeout_seconds=order.timeout_seconds, output_limit=order.output_limit
        )
    except ServerLostError as error:
        return Answer.failed(order.number, error, lost=True)
    except JailError as error:
        return Answer.failed(order.number, error, lost=False)
    return Answer.of(order.number, result)


def _write(stream: BinaryIO, content: bytes) -> None:
    stream.write(content)
    stream.flush()
