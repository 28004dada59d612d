"""How much there is: a case counts only if another test shows that it fires."""

from __future__ import annotations

from collections import Counter

from tests.sandbox.firing.bugs import BUGS
from tests.sandbox.firing.corpus import HOSTILE
from tests.sandbox.firing.replies import REPLIES
from tests.sandbox.test_jail_attacks import ATTACKS

LAYERS: Counter[str] = Counter([case.layer for case in HOSTILE] + [bug.layer for bug in BUGS])
LAYERS["jail"] += len(ATTACKS)
LAYERS["verifier"] += len(REPLIES)


def test_there_are_cases_enough_for_every_layer() -> None:
    assert LAYERS.total() >= 150
    least = {"gate": 100, "jail": 60, "tracing": 15, "graph": 5, "contract": 20, "verifier": 15}
    assert {layer: LAYERS[layer] for layer, count in least.items() if LAYERS[layer] < count} == {}
    assert set(LAYERS) == set(least)


def test_every_name_and_every_source_is_another_one() -> None:
    names = [case.name for case in HOSTILE] + [bug.name for bug in BUGS] + [reply.name for reply in REPLIES]
    names += [attack.program for attack in ATTACKS]
    sources = [case.source for case in HOSTILE] + [bug.source for bug in BUGS]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert [source for source, count in Counter(sources).items() if count > 1] == []
