"""A base image out of this machine's own Python: interpreter, standard library, a shell, and a torch in name only.

What an official image gives where there is a registry. The jobs of the tests lie in it, since nothing is mounted.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import docker

SERVER_JOBS: Final = Path(__file__).parent / "server_jobs"
LEFT_OUT: Final = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "test", "tests", "tkinter"}
)
WHERE: Final = """
import json, sys, sysconfig
paths = sysconfig.get_paths()
print(json.dumps([sys.executable, paths["stdlib"], paths["platstdlib"], paths["purelib"]]))
"""


def small_image(torch: str | None) -> bytes:
    """The image's files as a tar.

    Args:
        torch: version that the torch in it claims to have; `None` for none.
    """
    without, packages = _without_torch()
    if torch is None:
        return without
    content = io.BytesIO(without)
    with tarfile.open(fileobj=content, mode="a") as archive:
        text = f"Metadata-Version: 2.1\nName: torch\nVersion: {torch}\n".encode()
        entry = tarfile.TarInfo(f"{packages}/torch-{torch}.dist-info/METADATA")
        entry.size, entry.mode = len(text), 0o644
        archive.addfile(entry, io.BytesIO(text))
    return content.getvalue()


@functools.cache
def _without_torch() -> tuple[bytes, str]:
    """The tar, and where packages lie in it."""
    found = subprocess.run(
        [str(Path(sys._base_executable).resolve()), "-I", "-c", WHERE],  # type: ignore[attr-defined]
        capture_output=True,
        text=True,
        check=True,
    )
    python, *libraries, folder_of_packages = json.loads(found.stdout)
    packages = folder_of_packages.lstrip("/")
    shell = shutil.which("sh")
    assert shell is not None
    files = {Path(python), *(file for folder in set(libraries) for file in _library(Path(folder)))}
    files |= set(_shared([Path(shell), *(f for f in files if f == Path(python) or ".so" in f.name)]))
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for folder in ("dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path in sorted(files):
            archive.add(path.resolve(), str(path).lstrip("/"), filter=_readable)
        archive.add(Path(shell).resolve(), "bin/sh", filter=_readable)
        _link(archive, "usr/local/bin/python3", python)
        for path in SERVER_JOBS.glob("*.py"):
            archive.add(path, f"{packages}/{path.name}", filter=_readable)
    return content.getvalue(), packages


def imported(client: Any, name: str, content: bytes) -> str:
    """Give the engine an image; returns its name."""
    repository, tag = name.split(":")
    answer = client.api.import_image_from_data(
        content, repository=repository, tag=tag, changes=["ENV PATH=/usr/local/bin:/usr/bin:/bin"]
    )
    assert "error" not in answer, answer
    return name


def remove(client: Any, *repositories: str) -> None:
    """Remove images by name, with all that a build began on top of them."""
    parents = {found.id: found.attrs["Parent"] for found in client.images.list(all=True)}
    doomed = {found.id for name in repositories for found in client.images.list(name=name)}
    while more := {child for child, parent in parents.items() if parent in doomed} - doomed:
        doomed |= more
    while doomed:  # the youngest first
        for leaf in doomed - {parents[child] for child in doomed}:
            with contextlib.suppress(docker.errors.ImageNotFound):  # it went with its child
                client.images.remove(leaf, force=True)
            doomed.remove(leaf)


def _library(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if path.is_file() and not LEFT_OUT & set(inside) and not inside[0].startswith("config-"):
            yield path


def _shared(programs: list[Path]) -> Iterator[Path]:
    """The shared libraries of programs, the loader included."""
    told = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    for path in set(re.findall(r"(/\S+) \(0x", told)):
        yield Path(path)


def _readable(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """For everybody: the server runs as nobody."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode |= 0o555 if entry.mode & 0o100 else 0o444
    return entry


def _link(archive: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)
