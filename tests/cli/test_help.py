"""Help and version: quick, complete, and without the heavy packages."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import qredit
from tests.cli.conftest import Cli

COMMANDS = (
    "quickstart",
    "tasks",
    "runs",
    "card",
    "init",
    "generate",
    "check",
    "transfer",
    "export",
    "fidelity",
    "train",
    "compare",
    "report",
    "inspect",
    "doctor",
)
HEAVY = (
    "torch",
    "numpy",
    "scipy",
    "matplotlib",
    "langchain_core",
    "langchain_openai",
    "langgraph",
    "openai",
    "gymnasium",
)


def test_the_list_of_commands(cli: Cli) -> None:
    done = cli("--help")
    assert done.code == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in done.out] == []


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli: Cli, command: str, flag: str) -> None:
    done = cli(command, flag)
    assert done.code == 0
    assert done.err == ""
    assert f"qredit {command}" in done.out or f"root {command}" in done.out
    assert "--json" in done.out


def test_every_option_is_explained(cli: Cli) -> None:
    """An option of the generated kind whose field has no docstring would stand there bare."""
    for command in ("generate", "fidelity", "train", "compare", "report"):
        entries = cli(command, "--help").out.split("\n  --")[1:]
        for entry in entries:
            words = " ".join(entry.split()).split(" ")
            assert len(words) > 3, entry


def test_without_arguments_help_is_shown(cli: Cli) -> None:
    done = cli()
    assert "Commands:" in done.out + done.err
    assert done.code in (0, 2)


def test_version(cli: Cli) -> None:
    done = cli("--version")
    assert (done.code, done.out) == (0, f"qredit {qredit.__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["generate", "--help"], ["train", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = f"""
import json, sys
sys.argv = ["qredit", *{arguments!r}]
from qredit.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert "qredit.cli.app" in loaded
    assert loaded.isdisjoint(HEAVY)


@pytest.mark.parametrize("arguments", [["no-such-command"], ["tasks", "--no-such-option"], ["generate"], ["check"]])
def test_wrong_usage_ends_with_2(cli: Cli, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert "Usage:" in done.err
