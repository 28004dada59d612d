"""Who takes part in a comparison: an algorithm, what is varied about it, and the artifact that it trains with.

A contender is written `qllm`, or `qllm+placebo=random+credit_strength=0.5`: the algorithm's name, and settings of its
own or of `TrainSettings` that differ from what all are given.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qredit.errors import ConfigurationError, UnknownNameError
from qredit.marl.algorithms import Algorithm, algorithm_named, algorithm_of
from qredit.marl.mixers.credit import load_graph
from qredit.marl.mixers.qllm import check_placebo
from qredit.marl.potentials import load_potentials
from qredit.marl.settings import TrainSettings

VARIABLE = frozenset(
    {
        "algorithm",
        "seed",
        "mixing_size",
        "hypernet_size",
        "rewards",
        "team_share",
        "potential_gamma",
        "potential_units",
        "still",
        "bias",
        "placebo",
        "credit_strength",
        "credit_strength_end",
        "credit_anneal_steps",
        "own",
    }
)
"""What contenders of one family may differ in: the mixer, and whose reward teaches; never how they learn."""
PLACEBOS = ("uniform", "agents-permuted", "time-shuffled", "random")


@dataclass(frozen=True)
class Contender:
    """One algorithm of a comparison."""

    name: str
    """Name in tables and folders, such as `vdn`; the algorithm called `vdn` is what the others stand beside."""
    settings: TrainSettings
    """How it trains; its seed is replaced by each seed of the comparison."""
    mixer_path: Path | None = None
    """Artifact of a credit function to train with, for an algorithm that takes one."""
    potentials_path: Path | None = None
    """Artifact of potentials, for rewards or a bias out of them."""


def parse_contender(
    text: str,
    settings: TrainSettings,
    *,
    mixer: Path | None = None,
    shares: Path | None = None,
    potentials: Path | None = None,
) -> Contender:
    """The contender that is written `text`.

    Args:
        text: see above.
        settings: what all are given; entries of `own` that its algorithm does not know are left out.
        mixer: artifact for algorithms that mix with a credit function.
        shares: artifact for algorithms that learn from shares of the reward.
        potentials: artifact for those that learn from potentials.

    Raises:
        UnknownNameError: no such algorithm or setting.
        ConfigurationError: a value that does not fit, or an artifact that is missing.
    """
    name, *variations = text.split("+")
    algorithm = algorithm_named(name)
    options = {field.name: field for field in dataclasses.fields(algorithm.Options)}
    own = {key: value for key, value in settings.own.items() if key in options}
    changed: dict[str, Any] = {}
    for variation in variations:
        key, _, value = variation.partition("=")
        if key in options:
            own[key] = typed_value(key, value, algorithm.Options)
        else:
            changed[key] = typed_value(key, value, TrainSettings, also=options)
    varied = dataclasses.replace(settings, **{**changed, "algorithm": name, "own": own})
    forms = algorithm.credit_forms(varied)
    artifact = shares if "shares" in forms else mixer
    if forms and artifact is None:
        option = "--shares ARTIFACT" if "shares" in forms else "--mixer ARTIFACT or builtin"
        raise ConfigurationError(
            f"algorithm `{text}`",
            cause=f"it needs a credit function ({' or '.join(forms)})",
            remedy=f"Give {option}.",
        )
    takes_potentials = algorithm.takes_potentials(varied)
    if takes_potentials and potentials is None:
        raise ConfigurationError(
            f"algorithm `{text}`", cause="it needs potentials", remedy="Give --potentials ARTIFACT."
        )
    return Contender(text, varied, artifact if forms else None, potentials if takes_potentials else None)


def check_artifact(contender: Contender) -> None:
    """Whether a contender's artifact can do what is asked of it, before anything is trained.

    Raises:
        ArtifactError: damaged, or of another form.
        ConfigurationError: a placebo for a function without weights.
    """
    algorithm = algorithm_for(contender)
    if contender.potentials_path is not None:
        load_potentials(contender.potentials_path)
    if contender.mixer_path is None:
        return
    graph = load_graph(contender.mixer_path, forms=algorithm.credit_forms(contender.settings))
    check_placebo(contender.settings.placebo, graph)


def algorithm_for(contender: Contender) -> type[Algorithm]:
    """The algorithm of a contender, once it has what it needs.

    Raises:
        UnknownNameError, ConfigurationError: see `algorithm_of`.
    """
    return algorithm_of(
        contender.settings,
        has_credit=contender.mixer_path is not None,
        has_potentials=contender.potentials_path is not None,
    )


def with_placebos(names: Sequence[str]) -> list[str]:
    """The same contenders, and after each one with a credit function in place of a mixer its four placebos."""
    found: list[str] = []
    for name in names:
        found.append(name)
        algorithm, _, variations = name.partition("+")
        forms = algorithm_named(algorithm).credit_forms(TrainSettings(algorithm=algorithm))
        if "weights" in forms and "placebo=" not in variations:
            found += [f"{name}+placebo={placebo}" for placebo in PLACEBOS]
    return found


def parse_own(texts: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """Options such as `epochs=8`, for those of the algorithms that know them.

    Raises:
        UnknownNameError: none of them knows an option of this name.
        ConfigurationError: a value that does not fit.
    """
    classes = {name: algorithm_named(name).Options for name in names}
    own: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        knowing = [options for options in classes.values() if key in {f.name for f in dataclasses.fields(options)}]
        if not knowing:
            known = {field.name for options in classes.values() for field in dataclasses.fields(options)}
            raise UnknownNameError(f"option of `{', '.join(names)}`", key, sorted(known))
        own[key] = typed_value(key, value, knowing[0])
    return own


def typed_value(name: str, text: str, settings: type, *, also: Mapping[str, object] | None = None) -> Any:
    """A value as the field of this name wants it.

    Raises:
        UnknownNameError: no such field.
        ConfigurationError: no such value.
    """
    hints = typing.get_type_hints(settings)
    if name not in hints or name in ("algorithm", "seed", "own"):
        raise UnknownNameError("setting", name, [*hints, *(also or {})])
    hint = hints[name]
    choices = [str(one) for one in typing.get_args(hint) if one is not type(None) and not isinstance(one, type)]
    kinds = [one for one in (hint, *typing.get_args(hint)) if one in (bool, int, float, str)]
    for kind in kinds:
        try:
            return _BOOLS[text.lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            continue
    if text in choices:
        return text
    wanted = " or ".join(choices or [f"`{kind.__name__}`" for kind in kinds])
    raise ConfigurationError(f"setting `{name}={text}`", cause=f"it must be {wanted}", remedy=f"Write `{name}=VALUE`.")


_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def check_comparable(contenders: Sequence[Contender], seeds: Sequence[int]) -> None:
    """Whether contenders of one family differ in nothing but the mixer and whose reward teaches.

    Families, such as value decomposition and PPO, learn in different ways and have settings of their own.

    Raises:
        ConfigurationError: they do not, or there is nothing to compare.
    """
    names = [contender.name for contender in contenders]
    for what, values in (("algorithms", names), ("seeds", list(seeds))):
        if not values or len(set(values)) < len(values):
            raise ConfigurationError(
                f"cannot compare with {what} {values}",
                cause=f"there are no {what}" if not values else f"one of the {what} is named twice",
                remedy=f"Name each of the {what} once.",
            )
    first_of: dict[str, Contender] = {}
    for other in contenders:
        first = first_of.setdefault(algorithm_named(other.settings.algorithm).family, other)
        different = differences(shared_settings(first), shared_settings(other))
        if different:
            raise ConfigurationError(
                f"cannot compare `{first.name}` with `{other.name}`",
                cause=f"their settings differ: {different}",
                remedy="Give both the same settings, so that what differs in the result comes from the algorithm.",
            )


def shared_settings(contender: Contender) -> dict[str, Any]:
    """The settings that all contenders of its family must have in common."""
    algorithm = algorithm_named(contender.settings.algorithm)
    settings = as_read(dataclasses.asdict(algorithm.complete(contender.settings)))
    return {name: value for name, value in settings.items() if name not in VARIABLE}


def as_read(data: Any) -> Any:
    """What JSON makes of it, so that it compares equal to what was read back from a file."""
    return json.loads(json.dumps(data))


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Entries in which two records differ, in words; empty when they agree."""
    names = sorted(set(expected) | set(found))
    unequal = [name for name in names if expected.get(name) != found.get(name)]
    words = []
    for name in unequal:
        ours, theirs = expected.get(name), found.get(name)
        inner = differences(ours, theirs) if isinstance(ours, dict) and isinstance(theirs, dict) else ""
        words.append(inner or f"`{name}` is {ours!r} and {theirs!r}")
    return ", ".join(words)[:500]
