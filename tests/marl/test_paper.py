"""A paper's worth of output: tables, settings, bibliography, prompts. What is untrusted stays text."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import StorageError
from qredit.marl.algorithms import ALGORITHMS
from qredit.marl.finished import FinishedComparison, read_comparison
from qredit.marl.paper import Call, write_paper
from qredit.marl.paper.bibliography import entries_for, shipped_entries
from qredit.marl.paper.latex import ascii_text, code, escape, mean_and_interval, tabular
from qredit.marl.paper.prompts import CONTINUED, LINE_LENGTH, prompts_tex, verbatim
from qredit.marl.paper.results import best_by_verdict, results_tex
from qredit.marl.paper.settings import Setting, settings_of, settings_tex
from qredit.marl.report import make_report
from qredit.marl.statistics import Interval
from tests.marl.finished_folders import write_comparison

COMMANDS = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textquotedbl{}": '"',
    r"\textquotesingle{}": "'",
    r"\textasciigrave{}": "`",
    "-{}": "-",
    **{f"\\{character}": character for character in "{}$&#_%"},
}
"""What the escaper may write besides letters, and what LaTeX prints for it."""


def printed(latex: str) -> str:
    """What LaTeX would print; fails on anything that is neither plain nor one of these commands."""
    tokens = re.compile("|".join([*map(re.escape, COMMANDS), "."]), re.DOTALL).findall(latex)
    for token in tokens:
        assert token in COMMANDS or (len(token) == 1 and token not in "\\{}$&#_%~^<>|\"'`-")
    return "".join(COMMANDS.get(token, token) for token in tokens)


texts = st.text(st.one_of(st.characters(), st.sampled_from("\\{}$&#_%~^<>|\"'`-\n\r\t\x00\u2028")), max_size=60)


@given(texts)
def test_escaped_text_prints_as_itself_and_holds_no_command(text: str) -> None:
    escaped = escape(text)
    assert escaped.isascii()
    assert printed(escaped) == ascii_text(text).replace("\n", " ")


@given(st.text(string.printable[:95], max_size=60))
def test_ascii_text_is_left_alone(text: str) -> None:
    assert ascii_text(text) == text


@given(texts)
def test_any_text_becomes_printable_ascii(text: str) -> None:
    assert set(ascii_text(text)) <= {*string.printable[:95], "\n"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u00e9t\u00e9", "ete"),
        ("\u2192 \u2264 \u201cx\u201d", '-> <= "x"'),
        ("\U0001f600", "<U+1F600>"),
        ("\u4e2d", "<U+4E2D>"),
        ("a\tb", "a   b"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("\x1b[31m", "<U+001B>[31m"),
        ("\ud800", "<U+D800>"),
        ("\ufb01", "<U+FB01>"),
    ],
)
def test_other_characters(text: str, shown: str) -> None:
    assert ascii_text(text) == shown


def unwrapped(block: str) -> tuple[str, str, str]:
    """Name, text and what follows of an environment, as LaTeX sees it: the first `\\end` of the name ends it."""
    found = re.fullmatch(
        r"\\DefineVerbatimEnvironment\{(\w+)\}\{Verbatim\}\{[^}]*\}\n\\begin\{\1\}\n(.*?)\n\\end\{\1\}(.*)",
        block,
        re.DOTALL,
    )
    assert found is not None
    name, text, rest = found.groups()
    return name, text.replace("\n" + CONTINUED, ""), rest


hostile = st.lists(
    st.sampled_from(
        ["\\end{", "}", "QreditText", "x", "Verbatim", "\n", "\\", "\u00e9", "%", "[", "long " * 40, "  > "]
    )
).map("".join)


@given(hostile)
def test_text_cannot_end_the_environment_that_it_stands_in(text: str) -> None:
    name, found, rest = unwrapped(verbatim(text))
    assert rest == "\n"
    assert name not in found
    if "\n" + CONTINUED not in text:
        assert found == ascii_text(text)


def test_long_lines_go_on_in_the_next() -> None:
    lines = verbatim("word " * 40 + "\n" + "x" * 200).splitlines()[2:-1]
    assert max(map(len, lines)) <= LINE_LENGTH
    assert sum(line.startswith(CONTINUED) for line in lines) == len(lines) - 2


def test_the_appendix_holds_every_call_in_order() -> None:
    calls = [
        Call("coder/1/1/1", (("system", "You write."), ("user", "100 % \\section{mine}"), ("reply", "ok"))),
        Call("evaluator/1/0/1", (("reply", "\\end{document}"),)),
    ]
    text = prompts_tex(calls, run="generate-x_1")
    assert text.index("coder/1/1/1") < text.index("You write.") < text.index("evaluator/1/0/1")
    assert r"generate-{}x\_1" in text
    assert re.findall(r"\\(?:sub)?section\{", text.replace("\\section{mine}", "")) == [
        "\\section{",
        "\\subsection{",
        "\\subsection{",
    ]


def test_what_was_said_before_is_not_said_again() -> None:
    asked = ("system", "You write.")
    calls = [Call("coder/1/1/1", (asked, ("reply", "a"))), Call("coder/1/2/1", (asked, ("reply", "b"), ("user", "a")))]
    text = prompts_tex(calls, run="x")
    assert text.count("You write.") == 1
    assert text.count(r"As in call \texttt{coder/1/1/1}.") == 1
    # The same words of another speaker are said again.
    assert text.count("\na\n") == 2


# Tables


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ({"a": (3.0, 4.0, 5.0), "b": (1.0, 2.0, 3.0), "c": (0.0, 0.0, 0.0)}, "a"),
        # Higher than c on every seed, but not shown to be higher than b.
        ({"a": (3.0, 4.0, 5.0), "b": (4.0, 2.0, 5.0), "c": (0.0, 0.0, 0.0)}, None),
        ({"a": (1.0, 1.0, 1.0), "b": (1.0, 1.0, 1.0)}, None),
        ({"a": (1.0,), "b": (0.0,)}, None),
        ({"a": (3.0, 4.0, 5.0)}, None),
    ],
)
def test_only_what_the_verdicts_carry_is_best(values: dict[str, tuple[float, ...]], best: str | None) -> None:
    assert best_by_verdict({name: dict(enumerate(seeds)) for name, seeds in values.items()}) == best


@pytest.fixture
def comparison(tmp_path: Path) -> FinishedComparison:
    folder = write_comparison(
        tmp_path / "compare-a_b-001",
        {"vdn": [0.1, 0.2, 0.3], "ippo": [0.5, 0.6, 0.7]},
        task="a_b",
        random_return=-0.5,
        sampled={"ippo": [0.4, 0.4, 0.4]},
        settings={"vdn": {"lr": 0.1}, "ippo": {"lr": 0.2, "own": {"my_option": "a&b"}}},
        mixers={"vdn": "ab" * 32},
        command="qredit compare a_b\n# not a heading",
    )
    return read_comparison(folder)


@pytest.fixture
def other(tmp_path: Path) -> FinishedComparison:
    folder = write_comparison(tmp_path / "other", {"vdn": [1.0, 2.0], "coma": [3.0, 1.5]}, task="other")
    return read_comparison(folder)


def test_cells_hold_mean_and_interval() -> None:
    assert mean_and_interval(-1.5, None) == r"\textminus{}1.50"
    assert mean_and_interval(0.6, Interval(0.5, 0.7), bold=True) == r"\textbf{0.60} {\footnotesize [0.50, 0.70]}"


def test_a_table_has_as_many_cells_in_each_row() -> None:
    lines = tabular("lr", ["a", "b"], [["c", "d"]]).splitlines()
    assert lines == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"a & b \\",
        r"\midrule",
        r"c & d \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_the_results_hold_every_algorithm_on_every_task(
    comparison: FinishedComparison, other: FinishedComparison
) -> None:
    final, area = results_tex([comparison, other]).split(r"\end{table}")[:2]
    rows = [line.removesuffix(r" \\").split(" & ") for line in final.splitlines() if " & " in line]
    assert rows[0] == ["algorithm", r"\texttt{a\_b}", r"\texttt{other}"]
    assert [row[0] for row in rows[1:]] == ["random policy", "vdn", "ippo", "coma"]
    assert rows[1][1:] == [r"\textminus{}0.50", "0.00"]
    assert rows[2][1:] == [r"0.20 {\footnotesize [0.10, 0.30]}", "1.50"]
    assert rows[3][1:] == [r"\textbf{0.60} {\footnotesize [0.50, 0.70]}", "-"]
    # Higher mean, but on two seeds whose ranges overlap: not bold.
    assert rows[4][1:] == ["-", "2.25"]
    assert "2 or 3 seeds" in final
    assert r"\label{tab:area}" in area
    assert r"\textbf{0.05}" in area


def test_shared_settings_stand_once_and_others_with_their_algorithm(comparison: FinishedComparison) -> None:
    found = settings_of([comparison])
    assert found[0] == Setting("all", "gamma", "0.99")
    assert Setting("vdn", "lr", "0.1") in found
    assert Setting("ippo", "lr", "0.2") in found
    assert Setting("ippo", "my_option", "a&b") in found
    assert not any(one.name in {"seed", "algorithm", "own"} for one in found)
    text = settings_tex([comparison])
    assert text.count(r"\texttt{gamma}") == 1
    assert r"ippo & \texttt{my\_option} & \texttt{a\&b} \\" in text


def test_a_setting_that_differs_by_task_stands_with_the_task(tmp_path: Path) -> None:
    found = [
        read_comparison(
            write_comparison(
                tmp_path / task,
                {"vdn": [1.0], "iql": [1.0]},
                task=task,
                settings={"vdn": {"steps": steps}, "iql": {"steps": steps}},
            )
        )
        for task, steps in (("a", 10), ("b", 20))
    ]
    assert Setting("a", "steps", "10") in settings_of(found)
    assert Setting("b", "steps", "20") in settings_of(found)


def test_one_exception_among_many_is_named_and_the_others_are_not(tmp_path: Path) -> None:
    names = ["vdn", "iql", "qmix", "ippo"]
    found = read_comparison(
        write_comparison(
            tmp_path / "x",
            {name: [1.0] for name in names},
            settings={
                name: {"lr": 0.2 if name == "ippo" else 0.1, "tau": 1 if name in ("vdn", "iql") else 2}
                for name in names
            },
        )
    )
    # Two and two: neither value is the others'.
    assert not any(one.holds_for == "others" for one in settings_of([found]) if one.name == "tau")
    rates = [one for one in settings_of([found]) if one.name == "lr"]
    assert rates == [Setting("ippo", "lr", "0.2"), Setting("others", "lr", "0.1")]


# Bibliography


def test_every_algorithm_has_an_entry() -> None:
    known = {word for entry in shipped_entries() for word in entry.keywords}
    assert {name for name in ALGORITHMS if name != "qllm"} - known == set()


def test_entries_are_well_formed_and_unique() -> None:
    entries = shipped_entries()
    keys = [entry.key for entry in entries]
    assert len(set(keys)) == len(keys) >= 15
    for entry in entries:
        assert entry.text.count("{") == entry.text.count("}")
        assert entry.keywords
        assert "keywords" not in entry.text
        assert re.search(r"^  (title|author) = \{", entry.text, re.MULTILINE)
        assert re.search(r"^  year = \{\d{4}\},$", entry.text, re.MULTILINE)


def test_only_what_was_used_is_cited() -> None:
    keys = {entry.key for entry in entries_for(["qmix", "of-mine"], ["lbf"])}
    assert keys == {"jiang2025qllm", "agarwal2021deep", "rashid2018qmix", "papoudakis2021benchmarking"}


# The folder


def test_the_folder_of_one_comparison(comparison: FinishedComparison, tmp_path: Path) -> None:
    calls = {"generate-a-001": [Call("coder/1/1/1", (("reply", "def credit(state): ..."),))]}
    written = write_paper([comparison], tmp_path / "paper", calls=calls, command="qredit report x --paper paper")
    names = [path.name for path in written]
    assert names == [
        "table.tex",
        "curves.pdf",
        "curves-sampled.pdf",
        "settings.tex",
        "references.bib",
        "prompts.tex",
        "README.md",
    ]
    assert sorted(names) == sorted(path.name for path in (tmp_path / "paper").iterdir())
    assert (tmp_path / "paper" / "curves.pdf").read_bytes().startswith(b"%PDF")
    readme = (tmp_path / "paper" / "README.md").read_text()
    assert "    qredit compare a_b # not a heading\n    qredit report x --paper paper\n" in readme
    assert "`prompts.tex`" in readme
    assert str(tmp_path) not in readme
    bib = (tmp_path / "paper" / "references.bib").read_text()
    assert "sunehag2018value" in bib
    assert "rashid2018qmix" not in bib


def test_the_readme_says_why_there_is_no_appendix(comparison: FinishedComparison, tmp_path: Path) -> None:
    write_paper([comparison], tmp_path / "paper")
    assert "- no `prompts.tex`: " in (tmp_path / "paper" / "README.md").read_text()


def test_several_tasks_have_profiles_and_no_sampled_curves_without_stochastic_policies(
    tmp_path: Path, other: FinishedComparison
) -> None:
    second = read_comparison(write_comparison(tmp_path / "second", {"vdn": [1.0, 2.0]}, task="second"))
    report = make_report([other, second], references={"other": 3.0, "second": 3.0})
    written = write_paper([other, second], tmp_path / "paper", report=report)
    assert [path.name for path in written if path.suffix == ".pdf"] == ["curves.pdf", "profiles.pdf"]
    readme = (tmp_path / "paper" / "README.md").read_text()
    assert "The commands of other, second were not recorded." in readme
    assert "prompts.tex" not in readme


def test_the_same_comparisons_give_the_same_bytes(comparison: FinishedComparison, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_paper([comparison], tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_folder_that_cannot_be_made_is_a_storage_error(comparison: FinishedComparison, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        write_paper([comparison], tmp_path / "file" / "paper")


def test_code_is_escaped() -> None:
    assert code("a_b") == r"\texttt{a\_b}"
