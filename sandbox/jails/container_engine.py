"""How a container for the `docker` jail is made: the engine, the image, the mounts, the hardening."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import socket
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qredit.errors import JailUnavailableError
from qredit.sandbox.inside import seccomp
from qredit.sandbox.inside.limits import HEADROOM_BYTES, NOBODY
from qredit.sandbox.inside.syscalls import PROGRAMS
from qredit.sandbox.jails import lockdown
from qredit.sandbox.jails.forkserver import BOOTSTRAP, bootstrap_config
from qredit.sandbox.jails.host_folders import LOADER_CACHE, SYSTEM_LINKS, host_folders

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

USUAL_SOCKET: Final = "unix:///var/run/docker.sock"
LABEL: Final = "qredit.jail"
IMAGE: Final = "qredit-jail"
SERVER_BYTES: Final = 2 << 30
"""Memory for the server itself, before any job."""
MOST_PROCESSES: Final = 64
REMEDY: Final = (
    "On the machine of the engine itself, leave `--sandbox-image` out; elsewhere build an image with "
    "`qredit doctor --build-image` and name it."
)


def connect(timeout_seconds: int = 60) -> docker.DockerClient:
    """Reach the engine that `DOCKER_HOST` names, or the one at the usual socket.

    Args:
        timeout_seconds: how long it may take to say something.

    Raises:
        JailUnavailableError: there is none, or it refuses.
    """
    import docker

    url = os.environ.get("DOCKER_HOST") or USUAL_SOCKET
    if url.startswith("unix://") and not hasattr(socket, "AF_UNIX"):
        raise lockdown.unavailable(
            "docker",
            f"`{sys.platform}` has no Unix sockets",
            "Use it from Linux: WSL 2 on Windows, or set DOCKER_HOST.",
        )
    try:
        if url.startswith("unix://"):  # asked first: the SDK would leave a socket open when nobody listens
            with socket.socket(socket.AF_UNIX) as trial:
                trial.connect(url.removeprefix("unix://"))
        client = docker.from_env(timeout=timeout_seconds)
    except (docker.errors.DockerException, OSError) as error:
        raise lockdown.unavailable(
            "docker",
            f"no engine answers at `{url}` ({str(error)[:200]})",
            "Start Docker, or set DOCKER_HOST; on Linux your user must belong to the group `docker`.",
        ) from error
    return client


def create_container(
    client: docker.DockerClient, *, jobs: str, import_path: Sequence[str], parallel: int, image: str | None
) -> Container:
    import docker

    config = bootstrap_config("qredit.sandbox.inside.relay", import_path)
    config |= {"jobs": jobs, "import_path": list(import_path), "parallel": parallel}
    if image is not None:  # the image knows where its own Python and packages are
        config |= {"root": None, "path": []}
    memory = SERVER_BYTES + parallel * HEADROOM_BYTES
    try:
        return client.containers.create(
            image or _empty_image(client),
            [sys.executable if image is None else "python3", "-I", "-B", "-c", BOOTSTRAP, json.dumps(config)],
            volumes=_mounts(import_path) if image is None else None,
            runtime="runsc" if "runsc" in client.info().get("Runtimes", {}) else None,
            labels={LABEL: str(os.getpid())},
            stdin_open=True,
            auto_remove=True,
            entrypoint=[],
            working_dir="/",
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges", f"seccomp={json.dumps(seccomp_profile())}"],
            pids_limit=MOST_PROCESSES,
            mem_limit=memory,
            memswap_limit=memory,
            user=f"{NOBODY}:{NOBODY}",
            ipc_mode="none",
            log_config=docker.types.LogConfig(type="none"),
            hostname="jail",
        )
    except docker.errors.DockerException as error:
        raise JailUnavailableError(
            "jail `docker` is not available",
            cause=f"the engine refused the container: {str(error)[:300]}",
            remedy=REMEDY,
        ) from error


def start(container: Container) -> None:
    """Start it.

    Raises:
        JailUnavailableError: there is no Python in it, or the engine refused.
    """
    import docker

    try:
        container.start()
    except docker.errors.DockerException as error:
        raise JailUnavailableError(
            "jail `docker` is not available",
            cause=f"the engine could not start the container: {str(error)[:300]}",
            remedy=REMEDY,
        ) from error


def _mounts(import_path: Sequence[str]) -> dict[str, dict[str, str]]:
    paths = [Path("/usr"), *host_folders("docker", import_path)]
    paths += [Path(link) for link in SYSTEM_LINKS if Path(link).is_dir() and not Path(link).is_symlink()]
    if Path(LOADER_CACHE).exists():
        paths.append(Path(LOADER_CACHE))
    return {str(path): {"bind": str(path), "mode": "ro"} for path in paths}


def _empty_image(client: docker.DockerClient) -> str:
    """An image of nothing but mount points and the links of a merged-usr system; made once per engine."""
    import docker

    links = {link: str(Path(link).readlink()) for link in SYSTEM_LINKS if Path(link).is_symlink()}
    name = f"{IMAGE}:{'-'.join(sorted(link.strip('/') for link in links)) or 'plain'}"
    with contextlib.suppress(docker.errors.ImageNotFound):
        client.images.get(name)
        return name
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for folder in ("usr", "tmp", "proc", "dev", "sys", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for link, target in links.items():
            entry = tarfile.TarInfo(link.strip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    repository, tag = name.split(":")
    client.api.import_image_from_data(content.getvalue(), repository=repository, tag=tag)
    return name


def seccomp_profile() -> dict[str, object]:
    """The server's own policy as the engine wants it, without what the relay needs: programs and pairs of sockets.

    In place of the engine's own profile because an older engine's refuses Landlock.
    """
    needed = (*PROGRAMS, "clone3", "socketpair")
    denied = [name for name in seccomp.server_policy().answers if name not in needed]
    error = "SCMP_ACT_ERRNO"
    bits = [bit for bit in (1 << n for n in range(32)) if bit & seccomp.CLONE_NAMESPACES]
    namespaces = [{"index": 0, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ"} for bit in bits]
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": denied, "action": error, "errnoRet": errno.EPERM},
            {"names": ["clone3"], "action": error, "errnoRet": errno.ENOSYS},
            *({"names": ["clone"], "action": error, "errnoRet": errno.EPERM, "args": [bit]} for bit in namespaces),
        ],
    }
