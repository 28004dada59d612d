"""Folders on disk, `packages` in pyproject.toml and the symlinks tell the same story."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.packaging.conftest import House


def test_every_folder_with_python_is_a_listed_package(house: House) -> None:
    on_disk = {name.rpartition(".")[0] if path.stem != "__init__" else name for name, path in house.modules().items()}
    assert sorted(house.pyproject["tool"]["setuptools"]["packages"]) == sorted(on_disk)


def test_every_package_has_an_init(house: House) -> None:
    modules = house.modules()
    for package in house.pyproject["tool"]["setuptools"]["packages"]:
        assert modules[package].name == "__init__.py"


def test_rooms_are_mapped_and_linked(house: House) -> None:
    mapped = house.pyproject["tool"]["setuptools"]["package-dir"]
    assert mapped.items() >= ({"qredit": "src/qredit"} | {f"qredit.{room}": room for room in house.rooms}).items()
    for package, folder in mapped.items():  # subpackages of the rooms may be mapped, too
        assert package == "qredit" or folder == package.removeprefix("qredit.").replace(".", "/")
    links = {path.name: path.readlink() for path in (house.root / "src" / "qredit").iterdir() if path.is_symlink()}
    assert links == {room: Path("../..") / room for room in house.rooms}


def test_absolute_imports_of_rooms_are_banned(house: House) -> None:
    banned = house.pyproject["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert {room: entry["msg"] for room, entry in banned.items()} == {r: f"Use qredit.{r}" for r in house.rooms}


def test_version_stands_once(house: House) -> None:
    import qredit

    assert house.pyproject["project"]["version"] == qredit.__version__
    newest = re.search(r"^## \[(\d[^\]]*)\]", (house.root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == qredit.__version__


def _pinned(house: House) -> dict[str, str]:
    lines = (house.root / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins}


def _requirements(house: House) -> list[str]:
    project = house.pyproject["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["dev"]]


def test_lock_pins_public_versions_and_names_no_host(house: House) -> None:
    text = (house.root / "constraints.txt").read_text()
    assert "://" not in text
    pins = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", line) for line in pins)
    names = [pin.partition("==")[0].lower() for pin in pins]
    assert names == sorted(set(names))


def test_lock_holds_every_requirement_within_its_range(house: House) -> None:
    from packaging.requirements import Requirement

    pins = _pinned(house)
    for requirement in map(Requirement, _requirements(house)):
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        assert requirement.specifier.contains(pins[name]), f"{requirement} but {name}=={pins[name]}"


def test_lock_is_complete(house: House) -> None:
    """Everything that an installed requirement asks for on this platform is pinned, too."""
    import importlib.metadata

    from packaging.requirements import Requirement

    pins, todo, seen = _pinned(house), list(map(Requirement, _requirements(house))), set[str]()
    while todo:
        requirement = todo.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        key = f"{name}[{','.join(sorted(requirement.extras))}]"
        if key in seen:
            continue
        seen.add(key)
        # torch's CUDA packages come with its CUDA build only; that build pins them itself.
        if name.startswith(("nvidia-", "cuda-", "triton")):
            continue
        assert name in pins, f"{name} is missing from constraints.txt"
        for line in importlib.metadata.requires(name) or []:
            inner = Requirement(line)
            extras = requirement.extras or {""}
            if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(inner)


@pytest.mark.parametrize("name", ["Makefile", "constraints.txt", "pyproject.toml", ".ci/run", "scripts"])
def test_no_registry_is_named(house: House, name: str) -> None:
    """Which index a package comes from is the machine's business."""
    path = house.root / name
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        text = file.read_text()
        for host in ("pypi.org", "pythonhosted", "download.pytorch", "npmjs", "deb.debian"):
            assert host not in text, f"{file} names {host}"
