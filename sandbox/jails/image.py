"""The image for engines that cannot mount this machine's Python: its name, its content, its build.

Made from `sandbox/Dockerfile` and a context in memory, out of the package that runs, so that a checkout and an
installed wheel give the same. The container's server tells its versions of qredit and torch at every start, and
another image than this very qredit's is refused: see `ContainerServer`.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tarfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import qredit
from qredit.errors import JailUnavailableError
from qredit.sandbox.inside import wire
from qredit.sandbox.jails.container_engine import connect

if TYPE_CHECKING:
    import docker

REPOSITORY: Final = "qredit-sandbox"
DOCKERFILE: Final = "Dockerfile"
PARTS: Final = ("__init__.py", "_lazy.py", "errors.py", "layout.py", "credit", "sandbox")
"""What of the package runs inside a jail."""

BUILD_SECONDS: Final = 3600
"""How long the engine may say nothing: the download of torch says little."""
QUOTED_LINES: Final = 5
"""Lines of a failed build's output that the error repeats."""

CHATTER: Final = ("Step ", "--->", "Removing intermediate container ")
"""How lines begin that say nothing about a failure."""

_CONTROL: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Recipe:
    """What an image is built from, besides this package."""

    base: str = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
    """Image with Python 3.11 or newer as `python3`."""
    torch_index: str = ""
    """Package index with CPU builds of torch; none is needed if the base holds torch, or an index of pip's does."""

    def arguments(self) -> dict[str, str]:
        """The Dockerfile's arguments."""
        return {"BASE": self.base, "TORCH": torch_version(), "TORCH_INDEX": self.torch_index}


def torch_version() -> str:
    """This machine's version of torch, without the local part: a CUDA build here is a CPU build in the image."""
    return wire.public(metadata.version("torch"))


def image_name() -> str:
    """The name that an image of this very qredit and torch gets, as `--sandbox-image` takes it."""
    return f"{REPOSITORY}:{wire.public(qredit.__version__)}-torch{torch_version()}"


def build_context() -> bytes:
    """The Dockerfile and the jailed side of this package, as a tar; the same bytes for the same files."""
    package = Path(qredit.__file__ or "").parent
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        _add(archive, DOCKERFILE, package / "sandbox" / DOCKERFILE)
        for part in PARTS:
            path = package / part
            for module in sorted(path.rglob("*.py")) if path.is_dir() else (path,):
                _add(archive, f"qredit/{module.relative_to(package).as_posix()}", module)
    return content.getvalue()


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    text = path.read_bytes()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(text), 0o644
    archive.addfile(entry, io.BytesIO(text))


def build_image(recipe: Recipe) -> Iterator[str]:
    """Have the engine build the image under `image_name()`; gives its output line by line while it builds.

    Raises:
        JailUnavailableError: there is no engine, or the build failed.
    """
    import docker

    with contextlib.closing(connect(timeout_seconds=BUILD_SECONDS)) as client:
        last = deque[str](maxlen=QUOTED_LINES)
        try:
            for message in _messages(client, recipe):
                if "error" in message:
                    raise _failed(recipe, str(message["error"]), last)
                for line in _lines(message):
                    if not line.lstrip().startswith(CHATTER):
                        last.append(line)
                    yield line
        except (docker.errors.DockerException, OSError) as error:
            raise _failed(recipe, str(error), last) from error


def _messages(client: docker.DockerClient, recipe: Recipe) -> Iterator[dict[str, Any]]:
    found: Iterator[dict[str, Any]] = client.api.build(
        fileobj=io.BytesIO(build_context()),
        custom_context=True,
        tag=image_name(),
        buildargs=recipe.arguments(),
        rm=True,
        forcerm=True,
        decode=True,
    )
    return found


def _lines(message: dict[str, Any]) -> Iterator[str]:
    text = _CONTROL.sub("", str(message.get("stream") or message.get("status") or ""))
    yield from (line.rstrip() for line in text.splitlines() if line.strip())


def _failed(recipe: Recipe, reason: str, last: deque[str]) -> JailUnavailableError:
    reason = reason.strip()
    short = reason if len(reason) <= 400 else f"{reason[:200]} ... {reason[-200:]}"
    said = f" ({'; '.join(last)})" if last else ""
    return JailUnavailableError(
        f"image `{image_name()}` could not be built",
        cause=f"{short}{said[:2000]}",
        remedy=f"Check that the engine may fetch `{recipe.base}` and torch, or name others with `--image-base` and "
        "`--torch-index`; a base image that holds this torch already needs no index.",
    )
