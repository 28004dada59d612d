"""`qredit doctor`: what works on this machine, and what to do about what does not."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from qredit.errors import ConfigurationError
from qredit.runs import runs_root

PROBE_SECONDS = 120.0
PACKAGES = ("torch", "langgraph", "langchain-openai", "lbforaging", "gymnasium")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    state: Literal["ok", "missing", "note"]
    detail: str
    remedy: str = ""


def doctor() -> Iterator[Finding]:
    """Look at the interpreter, packages, jails and their layers, devices, the model settings and the runs folder."""
    detail = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {platform.release()}"
    yield Finding("python", "ok", detail)
    yield from _packages()
    yield from _layers()
    yield from _jails()
    yield _device()
    yield _model()
    yield _runs_folder()


def build_sandbox_image(*, base: str | None, torch_index: str, say: Callable[[str], None]) -> Finding:
    """Build the image for engines that cannot mount this machine's Python, and run the probe of a jail in it.

    Args:
        base: image to build on; by default the official one of this Python's version.
        torch_index: package index with CPU builds of torch; may be empty.
        say: takes the build's output, line by line.

    Raises:
        JailUnavailableError: there is no engine, the build failed, or the jail does not hold in the image.
    """
    from qredit.sandbox import open_jail
    from qredit.sandbox.jails.image import Recipe, build_image, image_name

    name = image_name()
    recipe = Recipe(torch_index=torch_index) if base is None else Recipe(base=base, torch_index=torch_index)
    for line in build_image(recipe):
        say(line)
    open_jail("docker", image=name).close()
    return Finding(
        "image",
        "ok",
        f"`{name}`: a good function passed in it, five attacks were stopped",
        f"Give `--jail docker --sandbox-image {name}` to the commands that need a jail.",
    )


def probe_model(
    name: str,
    *,
    base_url: str | None = None,
    timeout_seconds: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Finding]:
    """Ask a model a few small questions, and say what its endpoint can do.

    Args:
        name: name of the model.
        base_url: its endpoint; comes before OPENAI_BASE_URL.
        timeout_seconds: longest time for one request; 120 by default.
        say: told what is about to happen.

    Raises:
        ConfigurationError: neither a URL nor a key, or a model without an endpoint.
    """
    from qredit.agents.opening import HUMAN, REPLAY, endpoint_of
    from qredit.agents.probing import REQUESTS, probe_endpoint
    from qredit.agents.settings import ModelSettings

    if name in (HUMAN, REPLAY):
        raise ConfigurationError(
            f"model `{name}`", cause="it has no endpoint to look at", remedy="Name a model that an endpoint serves."
        )
    seconds = PROBE_SECONDS if timeout_seconds is None else timeout_seconds
    settings = ModelSettings(name, timeout_seconds=seconds, max_retries=1, max_wait_seconds=20.0)
    endpoint = endpoint_of(name, environ=os.environ, base_url=base_url, settings=settings)
    say(f"asking `{name}` at {endpoint.settings.base_url}: {REQUESTS} small requests")
    for seen in asyncio.run(probe_endpoint(endpoint)):
        yield Finding(seen.topic, seen.state, seen.detail, seen.remedy)


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "missing", "not installed", "Install qredit again: `make install`.")


def _layers() -> Iterator[Finding]:
    """What the jails are built from; none is needed by itself."""
    from qredit.sandbox.jails.layers import layers

    for layer in layers():
        yield Finding(layer.name, "ok" if layer.available else "note", layer.detail, layer.remedy)


def _jails() -> Iterator[Finding]:
    from qredit.sandbox import probe_jails

    statuses = probe_jails()
    # One that works is enough; with none, nothing can be generated or checked.
    otherwise: Literal["note", "missing"] = "note" if any(status.available for status in statuses) else "missing"
    for status in statuses:
        yield Finding(f"jail {status.name}", "ok" if status.available else otherwise, status.detail, status.remedy)


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("device", "ok", f"CUDA: {torch.cuda.get_device_name(0)}")
    return Finding("device", "note", "CPU only; the bundled tasks do not need a GPU")


def _model() -> Finding:
    from qredit.agents.local_servers import find_local_servers

    url = os.environ.get("OPENAI_BASE_URL")
    key = "set" if os.environ.get("OPENAI_API_KEY") else "not set"
    if url or key == "set":
        return Finding("model", "ok", f"OPENAI_BASE_URL {url or 'not set'}, OPENAI_API_KEY {key}")
    servers = find_local_servers()
    if servers:
        here = "; ".join(map(str, servers))
        commands = ", or ".join(f"`{server.command('TASK')}`" for server in servers)
        return Finding("model", "note", f"no endpoint configured, but {here}", f"Generate with {commands}.")
    return Finding(
        "model",
        "note",
        "no endpoint configured; recordings work without one",
        "Set OPENAI_API_KEY, or pass --base-url of a local server, to generate for your own tasks.",
    )


def _runs_folder() -> Finding:
    folder = runs_root().absolute()
    existing = next(p for p in (folder, *folder.parents) if p.is_dir())
    free = shutil.disk_usage(existing).free / 1e9
    if not os.access(existing, os.W_OK):
        return Finding("runs", "missing", f"`{existing}` is not writable", "Set QREDIT_RUNS to a folder of yours.")
    state: Literal["ok", "note"] = "ok" if free > 1 else "note"
    return Finding("runs", state, f"`{folder}`, {free:.1f} GB free", "" if free > 1 else "Free some disk space.")
