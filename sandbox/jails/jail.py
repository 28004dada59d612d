"""The interface of every jail, and how one is chosen: by running a probe in it, never by looking for a binary.

A jail that cannot be built raises; there is no weaker fallback and no `none`. A failure of ours (the server died, the
fork was refused, the child could not lock itself) raises `JailError`; whatever the program in the jail does is an
`outcome` of its `JobResult`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from qredit.errors import ConfigurationError, JailError, JailUnavailableError, UnknownNameError

Job = Literal["trace", "verify", "describe"]
Outcome = Literal["done", "timeout", "output_limit", "killed", "silent_exit"]

DEFAULT_OUTPUT_LIMIT: Final = 200_000
"""Bytes that a job may send back."""


@dataclass(frozen=True)
class JobResult:
    """How a job in a jail ended. Its output is the program's own: opaque, possibly hostile bytes."""

    outcome: Outcome
    """`done`: one well-formed reply and exit code 0. `timeout`: past the wall clock. `output_limit`: more bytes than
    allowed. `killed`: by a signal or by its memory limit. `silent_exit`: it ended without a well-formed reply."""

    output: bytes
    """The reply of a job that is `done`, else empty."""

    seconds: float
    """Wall clock from the start of its process, without waiting for a free slot."""

    detail: str
    """For people: which limit, signal or exit code. May quote the program's own traceback: not to be trusted."""


@dataclass(frozen=True)
class JailStatus:
    """Whether one jail works on this machine."""

    name: str
    """Name of the jail."""

    available: bool
    """Whether the probe passed in it."""

    detail: str
    """What was seen, or why it is not available."""

    remedy: str
    """What to do about it; empty if it works."""


class Jail(Protocol):
    """A place where a program that may be hostile runs. Thread-safe: several jobs may run at once."""

    @property
    def name(self) -> str:
        """Name of the jail, as given to `open_jail`."""
        ...

    def run(
        self, job: Job, payload: bytes, *, timeout_seconds: float, output_limit: int = DEFAULT_OUTPUT_LIMIT
    ) -> JobResult:
        """Run one job in a fresh process of its own.

        Raises:
            JailError: the jail broke; says nothing about the job.
        """
        ...

    def close(self) -> None:
        """End the jail and every process in it. May be called twice."""
        ...

    def __enter__(self) -> Self:
        """Give the jail itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        ...


def _open_lockdown() -> Jail:
    from qredit.sandbox.jails.lockdown import open_lockdown

    return open_lockdown()


def _open_bubblewrap() -> Jail:
    from qredit.sandbox.jails.bubblewrap import open_bubblewrap

    return open_bubblewrap()


def _open_docker(image: str | None = None) -> Jail:
    from qredit.sandbox.jails.container import open_docker

    return open_docker(image=image)


_JAILS: Final[dict[str, Callable[[], Jail]]] = {
    "bubblewrap": _open_bubblewrap,
    "lockdown": _open_lockdown,
    "docker": _open_docker,
}
"""Name -> how to open it, in the order that `auto` tries them. Opening one runs the probe in it."""


def open_jail(name: str = "auto", *, image: str | None = None) -> Jail:
    """Open a jail that was seen to work: a good function passed in it and five attacks were stopped.

    Args:
        name: `auto` (the first that works) or the name of a jail: `bubblewrap`, `lockdown` or `docker`.
        image: for `docker`, an image with this very qredit and torch in it, for engines that cannot mount this
            machine's Python; `auto` then means `docker`.

    Raises:
        JailUnavailableError: this jail, or with `auto` none, works on this machine; nothing weaker is tried.
        UnknownNameError: there is no jail of this name.
        ConfigurationError: an image for a jail that has none.
    """
    if name != "auto" and name not in _JAILS:
        raise UnknownNameError("jail", name, ("auto", *_JAILS))
    if image is not None:
        if name not in ("auto", "docker"):
            raise ConfigurationError(
                f"image `{image}` and jail `{name}`",
                cause="only `docker` runs in an image",
                remedy="Leave one of them out.",
            )
        return _open("docker", lambda: _open_docker(image))
    reasons: list[JailUnavailableError] = []
    for candidate in _JAILS if name == "auto" else (name,):
        try:
            return _open(candidate, _JAILS[candidate])
        except JailUnavailableError as error:
            reasons.append(error)
    if len(reasons) == 1:
        raise reasons[0]
    raise JailUnavailableError(
        "no jail works on this machine",
        cause="; ".join(f"{reason.what}: {reason.cause}" for reason in reasons),
        remedy=" Or: ".join(reason.remedy for reason in reasons),
    )


def probe_jails() -> list[JailStatus]:
    """Open every jail, run the probe in it and close it again; takes seconds per jail."""
    return [probe_jail(name) for name in _JAILS]


def probe_jail(name: str) -> JailStatus:
    """Open one jail, run the probe in it and close it again."""
    try:
        _open(name, _JAILS[name]).close()
    except JailUnavailableError as error:
        return JailStatus(name, available=False, detail=error.cause, remedy=error.remedy)
    return JailStatus(name, available=True, detail="a good function passed, five attacks were stopped", remedy="")


def _open(name: str, opener: Callable[[], Jail]) -> Jail:
    try:
        return opener()
    except JailUnavailableError:
        raise
    except JailError as error:  # it broke at its first use: on this machine it does not work
        raise JailUnavailableError(
            f"jail `{name}` does not work", cause=f"{error.what}: {error.cause}", remedy=error.remedy
        ) from error
