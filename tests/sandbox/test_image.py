"""The image for engines that cannot mount this machine's Python: what lies in it, how it is built, what is refused.

Real builds on a real engine, without a registry: the base image is this machine's Python (see `small_image`).
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import qredit
from qredit.errors import JailError, JailUnavailableError
from qredit.sandbox.jails import container_engine, image
from qredit.sandbox.jails.container import open_docker
from qredit.sandbox.jails.image import Recipe, build_context, build_image, image_name
from tests.conftest import Require
from tests.sandbox.small_image import imported, remove, small_image

ANSWER = b'{"program": "programs.answer", "arguments": {"value": 42}}'
ENTRIES = ("qredit.sandbox.inside.relay", "qredit.sandbox.inside.server", "qredit.sandbox.inside.jobs")
"""What runs in a container: its first process, the server, and what the jobs are made of."""
TEST_REPOSITORY = "qredit-test-sandbox"
"""Not the name that a user's own image has."""
DIGEST = """
import hashlib
from qredit.sandbox.jails.image import build_context
print(hashlib.sha256(build_context()).hexdigest())
"""


def files() -> dict[str, bytes]:
    """The context's files."""
    with tarfile.open(fileobj=io.BytesIO(build_context())) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def imports(source: str) -> Iterator[str]:
    """Names of ours that a module imports when it runs, wherever in its code."""
    todo: list[ast.AST] = [ast.parse(source)]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        todo += ast.iter_child_nodes(node)


def module_file(name: str, package: Path) -> str | None:
    """Where a module lies in the package, or None for what is no module, or not ours."""
    inside = name.replace(".", "/")
    found = [path for path in (f"{inside}.py", f"{inside}/__init__.py") if (package.parent / path).is_file()]
    return found[0] if name.partition(".")[0] == "qredit" and found else None


def test_the_context_holds_all_that_the_jailed_side_imports_and_no_user_interface() -> None:
    package = Path(qredit.__file__ or "").parent
    held = files()
    todo, seen = list(ENTRIES), set[str]()
    while todo:
        file = module_file(todo.pop(), package)
        if file is None or file in seen:
            continue
        assert file in held, f"{file} is not in the image"
        seen.add(file)
        todo += imports(held[file].decode())
    assert len(seen) > 40
    assert {name.split("/")[1] for name in held if name != "Dockerfile"} == set(image.PARTS)


@pytest.mark.parametrize("kind", ["checkout", "installed"])
def test_a_checkout_and_an_installation_give_the_same_context(kind: str, tmp_path: Path) -> None:
    if kind == "installed":  # as in a wheel: plain folders, no links
        source = Path(qredit.__file__ or "").parent
        shutil.copytree(source, tmp_path / "qredit", ignore=shutil.ignore_patterns("__pycache__", "recordings"))
    done = subprocess.run(
        [sys.executable, "-c", DIGEST],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(build_context()).hexdigest()


def test_the_wheel_ships_the_dockerfile(repository: Path) -> None:
    assert b"ARG BASE" in files()["Dockerfile"]
    assert '"qredit.sandbox" = ["Dockerfile"]' in (repository / "pyproject.toml").read_text()


@pytest.mark.parametrize("version", ["2.9.1", "2.9.1+cpu", "2.9.1+cu128"])
def test_the_name_tells_both_versions_and_is_one_that_engines_take(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    monkeypatch.setattr(qredit, "__version__", "3.2.1+local")
    assert image_name() == "qredit-sandbox:3.2.1-torch2.9.1"
    assert Recipe(base="mine:1", torch_index="https://example.org/cpu").arguments() == {
        "BASE": "mine:1",
        "TORCH": "2.9.1",
        "TORCH_INDEX": "https://example.org/cpu",
    }
    assert re.fullmatch(r"python:3\.\d+-slim", Recipe().base)


def test_without_an_engine_nothing_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(JailUnavailableError, match=r"no engine answers at .* Start Docker, or set DOCKER_HOST"):
        list(build_image(Recipe()))


@pytest.fixture(scope="module")
def engine(require: Require) -> Iterator[Any]:
    """An engine, and another name for images than users have."""
    try:
        client = container_engine.connect()
    except JailUnavailableError as error:
        require("docker", str(error))
        raise
    with contextlib.closing(client), pytest.MonkeyPatch.context() as patch:
        patch.setattr(image, "REPOSITORY", TEST_REPOSITORY)
        yield client
        remove(client, TEST_REPOSITORY, "qredit-test-base")


@pytest.fixture(scope="module")
def base(engine: Any) -> str:
    """A base image that holds another build of this torch, as a CPU build is to a CUDA build."""
    return imported(engine, "qredit-test-base:1", small_image(f"{image.torch_version()}+another.build"))


@pytest.fixture(scope="module")
def built(base: str) -> str:
    """The image, built."""
    lines = list(build_image(Recipe(base=base)))
    assert any(line.startswith("Successfully tagged") for line in lines), lines
    return image_name()


def test_a_jail_opens_in_the_image_that_was_built(built: str) -> None:
    with open_docker(jobs="plain_jobs", image=built) as jail:
        assert jail.run("trace", ANSWER, timeout_seconds=20).output == b"fired: 42"


def test_the_image_belongs_to_no_user(engine: Any, built: str) -> None:
    assert engine.images.get(built).attrs["Config"]["User"] == "65534:65534"


def test_an_image_of_another_qredit_is_refused(built: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qredit, "__version__", "9.9.9")
    with pytest.raises(JailError, match=r"another `qredit`: it has `\d.*`, expected `9.9.9`.*doctor --build-image"):
        open_docker(jobs="plain_jobs", image=built)


def test_an_image_of_another_torch_is_refused(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    old = imported(engine, "qredit-test-base:old", small_image("0.0.1"))
    with monkeypatch.context() as patch:
        patch.setattr(image, "torch_version", lambda: "0.0.1")
        list(build_image(Recipe(base=old)))
        name = image_name()
    with pytest.raises(JailError, match=r"another `torch`: it has `0.0.1`, expected .*doctor --build-image"):
        open_docker(jobs="plain_jobs", image=name)


@pytest.mark.usefixtures("engine")
def test_a_build_that_fails_quotes_what_the_engine_said(engine: Any) -> None:
    bare = imported(engine, "qredit-test-base:bare", small_image(None))
    with pytest.raises(JailUnavailableError) as refusal:
        list(build_image(Recipe(base=bare)))
    assert refusal.value.what == f"image `{image_name()}` could not be built"
    assert "returned a non-zero code: 1" in refusal.value.cause
    assert f"no CPU build of torch {image.torch_version()} could be installed" in refusal.value.cause
    assert "`qredit-test-base:bare`" in refusal.value.remedy
    assert "--torch-index" in refusal.value.remedy


@pytest.mark.usefixtures("engine")
def test_a_base_without_a_shell_and_a_malformed_one_fail_too() -> None:
    with pytest.raises(JailUnavailableError, match="could not be built"):
        list(build_image(Recipe(base="scratch")))
    with pytest.raises(JailUnavailableError, match=r"could not be built: .*invalid reference format"):
        list(build_image(Recipe(base="No Such Base")))


def test_an_image_without_python_is_named_and_leaves_no_container(engine: Any) -> None:
    def containers() -> set[str]:
        mine = {"label": f"{container_engine.LABEL}={os.getpid()}"}
        return {found.id for found in engine.containers.list(all=True, filters=mine)}

    empty, before = container_engine._empty_image(engine), containers()
    with pytest.raises(JailUnavailableError, match=r"could not start the container.*doctor --build-image"):
        open_docker(jobs="plain_jobs", image=empty)
    assert containers() == before
