"""The child's side of `qredit.marl.engines.local`, started with `python -m`: runs one job and reports over a pipe.

Standard input carries the job as one line of JSON and then stays open: when it ends, the parent is gone or wants us to
stop, whichever way it died. Standard output carries our messages as JSON lines; what libraries print goes to the log.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from qredit import errors
from qredit.errors import QreditError

Report = Callable[[int, int], None]
"""Called by the work with (units done, units in all)."""
Work = Callable[[Mapping[str, Any], Report], None]
"""What a job's address leads to: takes the job's arguments and a `Report`."""

GRACE_SECONDS = 5.0
"""How long a job may take to leave its folder in order once it is told to stop."""
_REPORT_EVERY_SECONDS = 0.1


def main() -> int:
    """Run the job that standard input describes; the exit code is 0 when it is done."""
    # A shell that starts a command in the background has SIGINT ignored, Ray has it blocked, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # A cluster sends these to all processes of a job: the one that watches us decides what to do.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    channel = os.dup(1)
    os.dup2(2, 1)
    try:
        payload = _read_line(0)
        threading.Thread(target=_stop_with_parent, args=(threading.main_thread().ident,), daemon=True).start()
        return _run(json.loads(payload), channel)
    except KeyboardInterrupt:
        return 130


def _run(job: Mapping[str, Any], channel: int) -> int:
    try:
        module, _, function = str(job["work"]).partition(":")
        work: Work = getattr(importlib.import_module(module), function)
        work(job["arguments"], _Reporter(channel))
    except QreditError as error:
        traceback.print_exc()  # first: once the parent knows, it ends this process
        _send(channel, {"error": error_to_json(error)})
        return 1
    _send(channel, {"finished": True})
    return 0


class _Reporter:
    """Passes progress on, but not more often than somebody can read."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._sent = float("-inf")

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - self._sent < _REPORT_EVERY_SECONDS:
            return
        self._sent = now
        _send(self._channel, {"done": done, "total": total})


def error_to_json(error: QreditError) -> dict[str, str]:
    """An exception as data, under the name of its nearest class in `qredit.errors`."""
    known = next(cls for cls in type(error).__mro__ if getattr(errors, cls.__name__, None) is cls)
    return {"class": known.__name__, "what": error.what, "cause": error.cause, "remedy": error.remedy}


def error_from_json(data: Mapping[str, str]) -> QreditError:
    """The exception that `error_to_json` wrote down: same class, same words."""
    found = getattr(errors, data["class"], None)
    # It may come out of a file, where any name can stand.
    known = found if isinstance(found, type) and issubclass(found, QreditError) else errors.InfrastructureError
    error = known.__new__(known)
    # Not the class's own constructor: `UnknownNameError` composes its words from other arguments.
    QreditError.__init__(error, data["what"], cause=data["cause"], remedy=data["remedy"])
    return error


def _send(channel: int, message: Mapping[str, Any]) -> None:
    try:
        os.write(channel, json.dumps(message).encode() + b"\n")
    except BrokenPipeError:
        return  # the parent is gone: the watching thread is about to stop us


def _read_line(handle: int) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        block = os.read(handle, 65536)
        if not block:
            raise KeyboardInterrupt  # the parent died before it said what to do
        received += block
    return received


def _stop_with_parent(main_thread: int) -> None:
    """Wait until standard input ends, then interrupt the work, and end the process if it does not obey."""
    while os.read(0, 4096):
        continue
    # To the main thread, so that it is woken even from a blocking call.
    signal.pthread_kill(main_thread, signal.SIGINT)
    time.sleep(GRACE_SECONDS)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
