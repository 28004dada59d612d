"""Lazy exports (PEP 562): a package names what it exports, and a module loads when its first name is used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def lazy_exports(package: str, exports: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make a package's `__getattr__` and `__dir__`.

    Args:
        package: the package's `__name__`.
        exports: public name -> submodule (relative, such as `.errors`) that defines it.

    Our own few lines rather than a library, because the jail's child may import nothing but the standard library,
    torch and `qredit.credit`.
    """

    def load(name: str) -> object:
        if name not in exports:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(exports[name], package), name)

    return load, lambda: sorted(exports)
