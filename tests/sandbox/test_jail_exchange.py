"""The parent's side of one job and its bytes, against a scripted child and server."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import JailError
from qredit.sandbox.inside import wire
from qredit.sandbox.jails import exchange
from qredit.sandbox.jails.exchange import Exchange, ServerLostError
from qredit.sandbox.jails.jail import JobResult

EXITED_0 = wire.Ended(0)
KILLED_BY_9 = wire.Ended(9)


def exited(code: int) -> wire.Ended:
    return wire.Ended(code << 8)


@dataclass(frozen=True)
class Ends:
    """Both ends of a job's two sockets."""

    channel: socket.socket
    child: socket.socket
    handle: socket.socket
    server: socket.socket

    def converse(self, *, request: bytes = b"", timeout_seconds: float = 60, output_limit: int = 100) -> JobResult:
        """The conversation under test."""
        return Exchange(self.channel, self.handle, request, timeout_seconds, output_limit).run()


@pytest.fixture
def ends() -> Iterator[Ends]:
    channel, child = socket.socketpair()
    handle, server = socket.socketpair()
    with channel, child, handle, server:
        yield Ends(channel, child, handle, server)


def in_background(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_reply_that_was_written_before_the_end_is_taken(ends: Ends) -> None:
    ends.child.sendall(wire.LOCKED + wire.RETURNED + wire.frame(b"reply"))
    ends.child.close()
    ends.server.sendall(EXITED_0.to_bytes())
    result = ends.converse()
    assert (result.outcome, result.output, result.detail) == ("done", b"reply", "")


def test_the_end_may_be_told_before_anything_is_read(ends: Ends) -> None:
    """Also when a fork of the caller still holds a copy of the channel, so that it never closes."""
    ends.server.sendall(EXITED_0.to_bytes())
    ends.child.sendall(wire.LOCKED + wire.RETURNED + wire.frame(b"reply"))
    assert ends.converse().output == b"reply"


def test_the_request_is_sent_only_to_a_locked_child(ends: Ends) -> None:
    seen: list[bytes] = []

    def child() -> None:
        ends.child.setblocking(False)
        try:
            seen.append(ends.child.recv(100))
        except BlockingIOError:
            seen.append(b"nothing")
        ends.child.setblocking(True)
        ends.child.sendall(wire.LOCKED)
        seen.append(ends.child.recv(100))
        ends.child.sendall(wire.RETURNED + wire.frame(b""))
        ends.server.sendall(EXITED_0.to_bytes())

    thread = in_background(child)
    assert ends.converse(request=b"request").outcome == "done"
    thread.join()
    assert seen == [b"nothing", b"request"]


def test_a_request_that_does_not_fit_the_socket_is_sent_in_pieces(ends: Ends) -> None:
    size = 5_000_000

    def child() -> None:
        ends.child.sendall(wire.LOCKED)
        left = size
        while left:
            left -= len(ends.child.recv(65536))
        ends.child.sendall(wire.RETURNED + wire.frame(b"all"))
        ends.server.sendall(EXITED_0.to_bytes())

    thread = in_background(child)
    assert ends.converse(request=b"x" * size).output == b"all"
    thread.join()


def test_a_child_that_dies_before_it_reads_is_the_jobs_own_end(ends: Ends) -> None:
    def child() -> None:
        ends.child.sendall(wire.LOCKED)
        ends.child.recv(1)
        ends.child.close()
        ends.server.sendall(KILLED_BY_9.to_bytes())

    thread = in_background(child)
    assert ends.converse(request=b"x" * 5_000_000).outcome == "killed"
    thread.join()


def test_a_child_that_cannot_lock_itself_is_our_error(ends: Ends) -> None:
    ends.child.sendall(wire.NOT_LOCKED + b"[Errno 38] this kernel has no Landlock")
    with pytest.raises(JailError, match=r"could not lock itself down: .* this kernel has no Landlock"):
        ends.converse()


@pytest.mark.parametrize("ended", [exited(70), KILLED_BY_9])
def test_a_child_that_ends_before_it_is_locked_is_our_error(ends: Ends, ended: wire.Ended) -> None:
    ends.child.close()
    ends.server.sendall(ended.to_bytes())
    with pytest.raises(JailError, match="could not lock itself down"):
        ends.converse()


def test_a_refused_fork_is_our_error(ends: Ends) -> None:
    ends.server.sendall(wire.Ended(0, fork_errno=errno.EAGAIN).to_bytes())
    with pytest.raises(JailError, match="no process could be made for a job: Resource temporarily unavailable"):
        ends.converse()


def test_a_lost_server_is_told_apart(ends: Ends) -> None:
    ends.server.close()
    with pytest.raises(ServerLostError):
        ends.converse()


def test_a_server_that_never_answers_is_lost(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "GRACE_SECONDS", 0.01)
    with pytest.raises(ServerLostError, match="did not answer in time"):
        ends.converse()
    ends.child.sendall(wire.LOCKED)
    with pytest.raises(ServerLostError, match="did not answer in time"):
        ends.converse(timeout_seconds=0.01)


def test_past_the_wall_clock_the_server_is_told_to_kill(ends: Ends) -> None:
    def server() -> None:
        assert ends.server.recv(10) == wire.KILL_JOB
        ends.server.sendall(KILLED_BY_9.to_bytes())

    thread = in_background(server)
    ends.child.sendall(wire.LOCKED)
    assert ends.converse(timeout_seconds=0.01).outcome == "timeout"
    thread.join()


def test_past_the_cap_the_server_is_told_to_kill_and_nothing_more_is_kept(ends: Ends) -> None:
    def server() -> None:
        assert ends.server.recv(10) == wire.KILL_JOB
        ends.child.sendall(b"x" * 1_000_000)
        ends.server.sendall(KILLED_BY_9.to_bytes())

    thread = in_background(server)
    ends.child.sendall(wire.LOCKED + b"x" * 110)
    conversation = Exchange(ends.channel, ends.handle, b"", 60, 100)
    assert conversation.run().outcome == "output_limit"
    thread.join()
    assert len(conversation._received) <= 110 + exchange.PIECE


def test_the_cap_counts_what_came_just_before_the_end(ends: Ends) -> None:
    ends.child.sendall(wire.LOCKED + wire.RETURNED + wire.frame(b"x" * 101))
    ends.server.sendall(EXITED_0.to_bytes())
    assert ends.converse(output_limit=100).outcome == "output_limit"


@pytest.mark.parametrize(
    ("ended", "reply", "outcome", "detail"),
    [
        (exited(0), b"", "silent_exit", "it ended with exit code 0 without a reply"),
        (exited(5), b"", "silent_exit", "it ended with exit code 5 without a reply"),
        (exited(0), b"R", "silent_exit", "it ended with exit code 0 with a malformed reply"),
        (exited(1), b"R" + wire.frame(b"ok"), "silent_exit", "it ended with exit code 1 with a malformed reply"),
        (exited(70), b"X" + wire.frame(b"Trace"), "silent_exit", "the job raised: Trace"),
        (exited(0), b"X" + wire.frame(b"Trace"), "silent_exit", "the job raised: Trace"),
        (exited(71), b"", "killed", "it needed more memory than it may have"),
        (wire.Ended(11), b"", "killed", "killed by SIGSEGV: it crashed"),
        (wire.Ended(31), b"", "killed", "killed by SIGSYS: it made a forbidden system call"),
        (wire.Ended(40), b"R" + wire.frame(b"ok"), "killed", "killed by signal 40"),
    ],
)
def test_endings(ends: Ends, ended: wire.Ended, reply: bytes, outcome: str, detail: str) -> None:
    ends.child.sendall(wire.LOCKED + reply)
    ends.child.close()
    ends.server.sendall(ended.to_bytes())
    result = ends.converse()
    assert (result.outcome, result.output, result.detail) == (outcome, b"", detail)


@given(content=st.binary(max_size=300))
def test_a_reply_opens_to_what_was_packed(content: bytes) -> None:
    assert wire.open_reply(wire.RETURNED + wire.frame(content)) == (wire.RETURNED, content)
    assert wire.open_reply(wire.RAISED + wire.frame(content) + b"x") is None


@given(reply=st.binary(max_size=40))
def test_opening_any_bytes_gives_a_reply_or_none(reply: bytes) -> None:
    opened = wire.open_reply(reply)
    assert opened is None or opened[0] + wire.frame(opened[1]) == reply


@given(status=st.integers(0, 2**16), code=st.integers(1, 200), seconds=st.integers(1, 2**31))
def test_messages_survive_the_wire(status: int, code: int, seconds: int) -> None:
    for ended in (wire.Ended(status), wire.Ended(0, fork_errno=code)):
        assert wire.Ended.from_bytes(ended.to_bytes()) == ended
    assert wire.Start.from_bytes(wire.Start(seconds).to_bytes()) == wire.Start(seconds)
    hello = wire.Hello.of_this_process(threads=1)
    assert wire.Hello.from_bytes(hello.to_bytes()) == hello
