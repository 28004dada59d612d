"""What the README and the docs say is true: marked examples run, links lead somewhere.

`<!-- test -->` before a fenced `python`, `sh` or `bash` block runs it; `<!-- test: file NAME -->` writes a block of any
language to a file. All blocks of the README share one empty folder, in the order in which a reader meets them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

_BLOCK = re.compile(
    r"^<!-- test(?:: file (?P<file>[\w.-]+))? -->\n+(?P<fence>```+)(?P<language>\w+)[^\n]*\n(?P<code>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"\]\((?!\w+://|#)([^)#\s]+)")
RUNNERS = {"python": [sys.executable], "sh": ["sh", "-eu"], "bash": ["bash", "-eu"]}


@dataclass(frozen=True)
class Block:
    """A marked block of a Markdown text."""

    line: int
    """Line of its opening fence."""
    language: str
    """What stands behind the fence."""
    code: str
    """Its content."""
    file: str | None
    """Where to write it, or `None` to run it."""


def marked_blocks(text: str) -> list[Block]:
    """The marked blocks in order.

    Raises:
        ValueError: a marker without a block behind it, or a block that nothing can run.
    """
    blocks = [
        Block(text.count("\n", 0, m.start("fence")) + 1, m["language"], m["code"], m["file"])
        for m in _BLOCK.finditer(text)
    ]
    if len(blocks) != len(re.findall(r"^<!-- test", text, re.MULTILINE)):
        raise ValueError("a `<!-- test` marker has no fenced block right behind it")
    for block in blocks:
        if block.file is None and block.language not in RUNNERS:
            raise ValueError(f"line {block.line}: cannot run `{block.language}`")
    return blocks


def run_blocks(blocks: list[Block], folder: Path) -> None:
    """Write and run the blocks in a folder where `qredit` and `.venv/bin/qredit` are this environment's."""
    (folder / ".venv").symlink_to(sys.prefix)
    environment = {name: value for name, value in os.environ.items() if name != "QREDIT_RUNS"}
    environment["PATH"] = sysconfig.get_path("scripts") + os.pathsep + environment["PATH"]
    for block in blocks:
        if block.file is not None:
            (folder / block.file).write_text(block.code)
            continue
        done = subprocess.run(
            RUNNERS[block.language],
            input=block.code,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"the block in line {block.line} ended with {done.returncode}:\n{done.stdout}"


@pytest.mark.usefixtures("lockdown")
def test_examples_of_the_readme_run(repository: Path, tmp_path: Path) -> None:
    blocks = marked_blocks((repository / "README.md").read_text())
    languages = {block.language for block in blocks if block.file is None}
    assert "python" in languages, "README.md has no `<!-- test -->` before a ```python block"
    assert languages & {"sh", "bash"}, "README.md has no `<!-- test -->` before a ```sh block"
    run_blocks(blocks, tmp_path)


def _documents(repository: Path) -> list[Path]:
    return [*sorted(repository.glob("*.md")), *sorted((repository / "docs").rglob("*.md"))]


def test_links_lead_to_files(repository: Path) -> None:
    for document in _documents(repository):
        for link in _LINK.findall(document.read_text()):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


# the machinery itself

EXAMPLE = """
```sh
exit 9
```

<!-- test: file word.txt -->
```text
from the block
```

<!-- test -->

```sh
qredit_is=$(command -v python); test -n "$qredit_is"
cat word.txt > copy.txt
```
<!-- test -->
```python
from pathlib import Path
assert Path("copy.txt").read_text() == "from the block\\n"
```
"""


def test_marked_blocks_are_found_with_their_lines() -> None:
    blocks = marked_blocks(EXAMPLE)
    assert [(b.line, b.language, b.file) for b in blocks] == [
        (7, "text", "word.txt"),
        (13, "sh", None),
        (18, "python", None),
    ]


def test_blocks_run_in_order_in_one_folder(tmp_path: Path) -> None:
    run_blocks(marked_blocks(EXAMPLE), tmp_path)


@pytest.mark.parametrize(
    ("language", "code"),
    [("python", "assert 1 == 2\n"), ("sh", "false\ntrue\n"), ("bash", "echo $undefined\n")],
)
def test_a_block_that_fails_fails_the_test(language: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="line 2 ended with"):
        run_blocks(marked_blocks(f"<!-- test -->\n```{language}\n{code}```\n"), tmp_path)


@pytest.mark.parametrize("text", ["<!-- test -->\nno block\n", "<!-- test -->\n```yaml\na: 1\n```\n"])
def test_a_marker_that_runs_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no fenced block|cannot run"):
        marked_blocks(text)
