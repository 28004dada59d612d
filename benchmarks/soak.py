"""Does a jail leak? Thousands of candidates through `verify` in one open jail, several at once, attacks among them.

    python -m benchmarks.soak [--candidates 5000] [--jails lockdown,bubblewrap,docker] [--json]

Counts processes, zombies, threads, descriptors, memory and files before the jail opens, at its start, after the first
tenth of the candidates, at the end and after it is closed; and every verdict must be the expected one. Exit code 1
with what leaked. A jail that this machine lacks is named and left out.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.table import Table

from benchmarks.soak_census import Census, adopt_orphans, reap_orphans, take
from benchmarks.soak_mix import Specimen, candidates
from qredit.api import load_subject
from qredit.errors import InfrastructureError, JailUnavailableError
from qredit.sandbox import Accepted, Jail, verify
from qredit.sandbox.jails.bubblewrap import open_bubblewrap
from qredit.sandbox.jails.container import open_docker
from qredit.sandbox.jails.jail import DEFAULT_OUTPUT_LIMIT, Job, JobResult
from qredit.sandbox.jails.lockdown import open_lockdown
from qredit.sandbox.jails.pool import JOBS_PER_SERVER
from qredit.subject import Subject

TASK: Final = "lbf-8x8-2p-2f-coop-2s"
AT_ONCE: Final = 6
"""Candidates under way at a time; the jail itself decides how many of them run."""
MOST_GROWTH: Final = 0.1
"""By which share resident memory may differ between the end of the warm-up and the end."""
SOON_SECONDS: Final = 0.5
"""How long the end of a process may take to be noticed."""
SETTLE_SECONDS: Final = 20.0
"""How long what has ended may take to be gone: an engine removes containers in its own time."""
OPENERS: Final = {"lockdown": open_lockdown, "bubblewrap": open_bubblewrap, "docker": open_docker}
QUEUED: Final = 100
"""Candidates handed to the threads at a time: what waits in their queue is memory of this process, too."""
QUOTED: Final = 20
"""Unexpected verdicts that are told one by one."""
MOMENTS: Final = ("before", "start", "warm", "end", "closed")


@dataclass(frozen=True)
class Hurried:
    """A jail with a shorter wall clock."""

    jail: Jail
    seconds: float

    @property
    def name(self) -> str:
        """The jail's."""
        return self.jail.name

    def run(
        self, job: Job, payload: bytes, *, timeout_seconds: float, output_limit: int = DEFAULT_OUTPUT_LIMIT
    ) -> JobResult:
        """Run it, for at most `seconds`."""
        return self.jail.run(
            job, payload, timeout_seconds=min(timeout_seconds, self.seconds), output_limit=output_limit
        )

    def close(self) -> None:
        """Nothing: the jail goes on."""

    def __enter__(self) -> Self:
        """Give it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing."""


@dataclass
class Soak:
    """What was seen in one jail."""

    jail: str
    candidates: int
    seconds: float = 0.0
    """Of the candidates, without the jail's start."""
    orphans: int = 0
    """Ended processes that their parent had not waited for: `bwrap` ends before its namespace's first process."""
    moments: dict[str, Census] = field(default_factory=dict)
    """One of `MOMENTS` -> what was there."""
    verdicts: Counter[str] = field(default_factory=Counter)
    """`accepted`, or stage and kind -> how many."""
    unexpected: list[str] = field(default_factory=list)
    """Candidates whose verdict is not the right one."""

    def add(self, asked: Iterable[tuple[int, Specimen]], said: Iterable[str]) -> None:
        """Count verdicts, and keep the wrong ones."""
        for (number, specimen), word in zip(asked, said, strict=True):
            self.verdicts[word] += 1
            if not specimen.is_right(word):
                self.unexpected.append(f"{specimen.name} ({number}): {word}, expected {specimen.expected}")

    @property
    def rate(self) -> float:
        """Candidates per second."""
        return self.candidates / self.seconds if self.seconds else 0.0

    def leaks(self) -> list[str]:
        """What is there and should not be, one sentence each."""
        at = self.moments
        found = [f"unexpected verdict: {text}" for text in self.unexpected[:QUOTED]]
        for earlier, later, names in (
            ("start", "end", ("processes", "containers", "servers")),
            ("warm", "end", ("descriptors", "server_descriptors", "threads")),
            ("before", "end", ("zombies", "files")),
            ("before", "closed", ("processes", "zombies", "containers", "threads", "descriptors", "files")),
        ):
            for name in names:
                first, last = (_count(getattr(at[moment], name)) or 0 for moment in (earlier, later))
                # Fewer descriptors are no leak, such as after a connection that rested; fewer servers were lost.
                if last > first or (last < first and earlier == "start"):
                    found.append(f"{name}: {first} at `{earlier}`, {last} at `{later}`")
        for name in ("megabytes", "server_megabytes"):
            first, last = getattr(at["warm"], name), getattr(at["end"], name)
            if first is None or last is None or abs(last / first - 1) > MOST_GROWTH:
                found.append(f"{name}: {first} at `warm`, {last} at `end`, more than {MOST_GROWTH:.0%} apart")
        return found

    def to_json(self) -> dict[str, object]:
        """For programs."""
        return {**asdict(self), "verdicts": dict(self.verdicts), "rate": self.rate, "leaks": self.leaks()}


def soak(name: str, count: int, folders: list[Path], jobs_per_server: int = JOBS_PER_SERVER) -> Soak:
    """Run one jail's candidates.

    Args:
        name: the jail.
        count: how many candidates.
        folders: where no file may be left.
        jobs_per_server: after how many jobs the server is replaced.

    Raises:
        JailUnavailableError: this machine lacks the jail.
    """
    found = Soak(name, count)
    subject = load_subject(TASK)

    def census(moment: str, like: str | None = None) -> None:
        time.sleep(SOON_SECONDS)
        found.orphans += reap_orphans()
        found.moments[moment] = settled(folders, name == "docker", found.moments[like] if like else None)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        list(threads.map(time.sleep, [0.1] * AT_ONCE))  # all of its threads exist from here on
        census("before")
        with OPENERS[name](jobs_per_server=jobs_per_server) as jail:

            def judge(candidate: tuple[int, Specimen]) -> str:
                return verdict(*candidate, subject, jail)

            census("start")
            for moment, part in parts(count):
                started = time.perf_counter()
                for few in (part[i : i + QUEUED] for i in range(0, len(part), QUEUED)):
                    found.add(few, threads.map(judge, few))
                found.seconds += time.perf_counter() - started
                census(moment, like="start")
        census("closed", like="before")
    return found


def parts(count: int) -> Iterator[tuple[str, list[tuple[int, Specimen]]]]:
    """The warm-up and the rest, with the moment that each ends at."""
    everything = list(candidates(count))
    yield "warm", everything[: count // 10]
    yield "end", everything[count // 10 :]


def verdict(number: int, specimen: Specimen, subject: Subject, jail: Jail) -> str:
    """What became of one candidate, in the words of `Specimen.expected`."""
    try:
        found = verify(
            specimen.text(number),
            layout=subject.layout,
            n_agents=subject.n_agents,
            states=subject.states,
            jail=jail if specimen.seconds is None else Hurried(jail, specimen.seconds),
            gate=specimen.gate,
        )
    except InfrastructureError as error:
        return f"error: {error}"
    return "accepted" if isinstance(found, Accepted) else f"{found.stage}/{found.kind}"


def settled(folders: list[Path], docker: bool, like: Census | None) -> Census:
    """A census, taken again for a while when more processes are there than in another one."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        gc.collect()
        census = take(folders, docker=docker)
        same = like is None or (census.processes, census.containers) == (like.processes, like.containers)
        if same or time.monotonic() > until:
            return census
        time.sleep(0.2)


@contextlib.contextmanager
def folders_of_its_own() -> Iterator[list[Path]]:
    """An empty temporary folder and an empty runs folder, for this process and all that it starts."""
    with tempfile.TemporaryDirectory(prefix="qredit-soak-") as name:
        temporary, runs = Path(name, "tmp"), Path(name, "runs")
        for folder in (temporary, runs):
            folder.mkdir()
        os.environ |= {"TMPDIR": str(temporary), "QREDIT_RUNS": str(runs)}
        tempfile.tempdir = str(temporary)
        yield [temporary, runs]


def _count(value: float | tuple[int, ...] | None) -> float | None:
    return len(value) if isinstance(value, tuple) else value


def show(found: Soak) -> None:
    """Print one jail's table for people."""
    table = Table("", *found.moments, title=f"{found.jail}: {found.candidates} candidates, {found.rate:.1f} per second")
    for name in (entry.name for entry in fields(Census)):
        values = [_count(getattr(census, name)) for census in found.moments.values()]
        table.add_row(name, *("-" if v is None else f"{v:.1f}" if isinstance(v, float) else str(v) for v in values))
    console = Console(highlight=False)
    console.print(table)
    console.print("verdicts: " + ", ".join(f"{count} {name}" for name, count in found.verdicts.most_common()))
    for leak in found.leaks():
        console.print(f"LEAK {leak}", markup=False, soft_wrap=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, default=5000)
    parser.add_argument("--jails", default="lockdown,bubblewrap,docker")
    parser.add_argument("--jobs-per-server", type=int, default=JOBS_PER_SERVER)
    parser.add_argument("--json", action="store_true", help="one JSON line per jail")
    options = parser.parse_args()
    about = {"torch": metadata.version("torch"), "python": sys.version.split()[0], "cores": os.cpu_count()}
    leaked = False
    adopt_orphans(True)
    with folders_of_its_own() as folders:
        for name in options.jails.split(","):
            try:
                found = soak(name, options.candidates, folders, options.jobs_per_server)
            except JailUnavailableError as error:
                report({"jail": name, "unavailable": str(error)}, f"{name}: not measured: {error}", options.json)
                continue
            leaked |= bool(found.leaks())
            if options.json:
                report({**found.to_json(), **about}, "", as_json=True)
            else:
                show(found)
    return 1 if leaked else 0


def report(data: Mapping[str, object], text: str, as_json: bool) -> None:
    """Print one line."""
    print(json.dumps(data) if as_json else text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
