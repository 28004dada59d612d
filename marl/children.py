"""Python processes of our own: they find what we find, however we came to find it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def module_command(module: str, *arguments: str) -> list[str]:
    """Command that runs a module; `-P` keeps the working directory out of what it can import."""
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment(**more: str) -> dict[str, str]:
    """Our environment with our search path, and `more`."""
    search = [path or str(Path.cwd()) for path in sys.path]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(search)}
