"""Task families: which names are tasks, and what their text is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from qredit import families
from qredit.families import FAMILIES, TEMPLATES, Family, family_names, family_text
from qredit.task import Task

ANY_NAME = st.one_of([st.from_regex(re.compile(family.pattern, re.ASCII), fullmatch=True) for family in FAMILIES])


def task_of(name: str) -> Task:
    """The task of a name that fits a family."""
    text = family_text(name)
    assert text is not None, name
    return Task.model_validate(yaml.safe_load(text))


def test_the_members() -> None:
    assert family_names() == sorted(set(family_names()))
    assert {
        *("lbf-5x5-2p-1f", "lbf-8x8-2p-2f-coop-2s", "lbf-10x10-3p-3f-2s", "lbf-15x15-4p-3f-2s"),
        *(f"matrix-penalty-{k}" for k in (0, 25, 50, 75, 100)),
        *(f"lbf-inert-{k}" for k in (0, 2, 4, 8)),
        *(f"spread-inert-{k}" for k in (0, 2, 4, 8)),
    } <= set(family_names())


def test_every_member_fits_its_own_family_and_no_other() -> None:
    for family in FAMILIES:
        for name in family.members:
            fitting = [f.name for f in FAMILIES if re.fullmatch(f.pattern, name)]
            assert fitting == [family.name], name


def test_every_family_has_its_template_and_every_template_its_family() -> None:
    assert {path.name for path in TEMPLATES.glob("*.yaml.j2")} == {f"{family.name}.yaml.j2" for family in FAMILIES}
    included = {path.name for path in TEMPLATES.glob("*.j2")} - {path.name for path in TEMPLATES.glob("*.yaml.j2")}
    texts = " ".join(path.read_text() for path in TEMPLATES.glob("*.j2"))
    assert all(f'include "{name}"' in texts for name in included)


@given(name=ANY_NAME)
def test_every_name_that_fits_is_a_task_of_that_name(name: str) -> None:
    task = task_of(name)
    assert task.name == name
    assert task.environment is not None
    for text in (task.title, task.description, task.goal, task.reward):
        assert "{" not in text
        assert "  " not in text
        assert " ." not in text
        assert " ," not in text
    assert all(text.rstrip().endswith(".") for text in (task.description, task.goal, task.reward))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "lbf",
        "lbf-5x5-2p",
        "lbf-5x5-1p-1f",
        "lbf-2x5-2p-1f",
        "lbf-05x5-2p-1f",
        "lbf-100x5-2p-1f",
        "lbf-5x5-2p-0f",
        "lbf-5x5-2p-1f-2s-coop",
        "lbf-5x5-2p-1f\n",
        " lbf-5x5-2p-1f",
        "LBF-5x5-2p-1f",
        "lbf-\u0665x\u0665-2p-1f",
        "lbf-inert-65",
        "lbf-inert-02",
        "matrix-penalty--25",
        "matrix-penalty-1000",
        "matrix-climbing",
        "../families/lbf",
    ],
)
def test_other_names_fit_no_family(name: str) -> None:
    assert family_text(name) is None


def test_what_a_name_says_reaches_the_task() -> None:
    task = task_of("lbf-12x9-5p-4f-coop-2s")
    assert task.environment is not None
    assert (task.environment.adapter, task.environment.id) == ("lbf", "Foraging-2s-12x9-5p-4f-coop-v3")
    assert (task.n_agents, task.time_limit, task.optimum) == (5, 50, 1.0)
    assert task.title == "Level-based foraging, 12x9, 5 agents, 4 foods that need several, sight 2"
    task = task_of("lbf-inert-3")
    assert task.environment is not None
    assert (task.n_agents, task.environment.inert_agents) == (5, 3)
    task = task_of("spread-inert-4")
    assert task.environment is not None
    assert (task.n_agents, task.environment.inert_agents, task.environment.arguments) == (7, 4, {"N": 3})
    task = task_of("matrix-penalty-42")
    assert task.environment is not None
    assert (task.environment.id, task.kind) == ("penalty-42", "general")


@pytest.fixture
def own_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A family `own` with its template in a folder of its own; returns the template's path."""
    family = Family("own", r"own-(?P<count>\d+)-(?P<word>[a-z]+)(?P<fast>-fast)?", "own-N-WORD[-fast]", ())
    monkeypatch.setattr(families, "FAMILIES", (family,))
    monkeypatch.setattr(families, "TEMPLATES", tmp_path)
    families._templates.cache_clear()
    yield tmp_path / "own.yaml.j2"
    families._templates.cache_clear()


def test_digits_become_numbers_and_optional_words_become_truth(own_family: Path) -> None:
    own_family.write_text("{{ name }}: {{ count + 1 }} {{ word | upper }} {{ fast is true }} {{ count | spelled }}\n")
    assert family_text("own-7-red") == "own-7-red: 8 RED False seven\n"
    assert family_text("own-12-red-fast") == "own-12-red-fast: 13 RED True 12\n"


def test_a_template_that_asks_for_more_than_the_name_says_fails(own_family: Path) -> None:
    own_family.write_text("{{ cuont }}")
    with pytest.raises(jinja2.UndefinedError, match="cuont"):
        family_text("own-7-red")
