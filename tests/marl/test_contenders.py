"""Contenders as they are written on a command line, and which of them may stand side by side."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.contenders import (
    Contender,
    check_comparable,
    parse_contender,
    parse_own,
    typed_value,
    with_placebos,
)
from qredit.marl.settings import TrainSettings

MIXER, SHARES = Path("weights-artifact"), Path("shares-artifact")


def parsed(text: str, **settings: Any) -> Contender:
    return parse_contender(text, TrainSettings(**settings), mixer=MIXER, shares=SHARES)


def test_a_name_alone_is_the_algorithm_with_everybodys_settings() -> None:
    assert parsed("qmix", gamma=0.9) == Contender("qmix", TrainSettings(algorithm="qmix", gamma=0.9), None)


def test_what_is_varied_stands_behind_plus_signs() -> None:
    found = parsed("qllm+placebo=time-shuffled+credit_strength=0.25")
    assert (found.settings.placebo, found.settings.credit_strength) == ("time-shuffled", 0.25)
    assert found.mixer_path == MIXER
    assert found.name == "qllm+placebo=time-shuffled+credit_strength=0.25"


def test_options_of_its_own_are_given_to_those_who_know_them() -> None:
    own = parse_own(["epochs=7", "clip=0.1"], ["vdn", "ippo"])
    assert own == {"epochs": 7, "clip": 0.1}
    assert parsed("vdn", own=own).settings.own == {}
    assert parsed("ippo+epochs=2", own=own).settings.own == {"epochs": 2, "clip": 0.1}
    with pytest.raises(UnknownNameError, match="epoch"):
        parse_own(["epoch=7"], ["vdn", "ippo"])


@pytest.mark.parametrize(("text", "path"), [("ippo", None), ("ippo+rewards=shares", SHARES), ("vmix-qllm", MIXER)])
def test_each_gets_the_artifact_that_it_needs(text: str, path: Path | None) -> None:
    assert parsed(text).mixer_path == path


@pytest.mark.parametrize(("text", "option"), [("qllm", "--mixer"), ("coma+rewards=shares", "--shares")])
def test_an_artifact_that_is_missing_is_asked_for(text: str, option: str) -> None:
    with pytest.raises(ConfigurationError, match=option):
        parse_contender(text, TrainSettings())


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("gamma", "0.5", 0.5),
        ("recurrent", "true", True),
        ("double_q", "no", False),
        ("hidden_size", "32", 32),
        ("bias", "learned", "learned"),
        ("credit_strength_end", "0.5", 0.5),
    ],
)
def test_values_have_the_type_of_their_setting(name: str, text: str, value: object) -> None:
    found = typed_value(name, text, TrainSettings)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vdn+hidden_size=wide", "`int`"),
        ("qllm+bias=some", "function or learned or potentials or none"),
        ("vdn+recurrent=7", "bool"),
    ],
)
def test_values_that_do_not_fit_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parsed(text)


@pytest.mark.parametrize("text", ["vdn+wdith=3", "vdn+seed=3", "vdn+own=3", "vdn+algorithm=qmix"])
def test_settings_that_do_not_exist_or_belong_to_all_are_refused(text: str) -> None:
    with pytest.raises(UnknownNameError, match="setting"):
        parsed(text)


def test_placebos_follow_those_who_mix_with_weights() -> None:
    kinds = ["uniform", "agents-permuted", "time-shuffled", "random"]
    assert with_placebos(["vdn", "qllm"]) == ["vdn", "qllm", *(f"qllm+placebo={kind}" for kind in kinds)]
    assert with_placebos(["qllm+placebo=random"]) == ["qllm+placebo=random"]


def test_families_are_compared_within_themselves() -> None:
    """PPO may learn at another rate than Q-learning; two of one family may not."""
    check_comparable([parsed("vdn"), parsed("ippo+learning_rate=0.0001")], [0])
    with pytest.raises(ConfigurationError, match="`learning_rate`"):
        check_comparable([parsed("mappo"), parsed("ippo+learning_rate=0.0001")], [0])
    with pytest.raises(ConfigurationError, match="`learning_rate`"):
        check_comparable([parsed("vdn"), parsed("qllm+learning_rate=0.0005")], [0])


def test_a_default_counts_as_its_value() -> None:
    check_comparable([parsed("mappo"), parsed("ippo+learning_rate=0.0005")], [0])
    check_comparable([parsed("vdn"), parsed("qmix+learning_rate=0.001")], [0])


def test_credit_may_vary_within_a_family() -> None:
    varied = ["vdn", "qllm", "qllm+placebo=random", "qllm+bias=none", "qllm+credit_strength=0.5", "qmix+mixing_size=8"]
    check_comparable([parsed(text) for text in varied], [0, 1])


def test_everybodys_settings_stay_as_they_were() -> None:
    settings = TrainSettings(own={"epochs": 3})
    parse_contender("ippo+epochs=5", settings)
    assert settings == dataclasses.replace(settings, own={"epochs": 3})
