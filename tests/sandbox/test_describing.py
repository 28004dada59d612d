"""`describe_all` from end to end in the real jail, with the gate and without, and with jails that lie."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qredit.errors import ConfigurationError, JailError
from qredit.layout import StateField, StateLayout
from qredit.sandbox import Accepted, Described, Jail, Rejected, describe_all, open_jail, verify
from qredit.sandbox.descriptions import MAX_REPLY_BYTES, MAX_TEXT, fault_of, pack_texts, read_describe_reply
from qredit.sandbox.inside.describe import BackwardSet, observed
from qredit.sandbox.jails.jail import JobResult
from qredit.sandbox.payloads import TraceRefusal
from tests.sandbox.describe_programs import FORAGING, GOOD, HOSTILE, SWITCHES, Hostile, Program

CANARY: Final = "canary-51f0-of-the-caller"
HEAD: Final = "def describe(observation, ego):\n"
CELLS: Final = StateLayout(
    (
        StateField(name="cell", shape=(2,), unit="cells", low=0.0, high=9.0, meaning="Where."),
        StateField(name="speed", shape=(), unit="m/s", low=0.0, high=9.0, meaning="How fast."),
    )
)
THREE: Final = np.array([[1, 2, 0.5], [3, 4, 2.0], [1, 2, 0.5]])


@pytest.fixture(scope="module")
def jail(lockdown: None) -> Iterator[Jail]:
    """One jail of a caller with a secret in its environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", CANARY)
        with open_jail("lockdown") as jail:
            yield jail


def rollout(layout: StateLayout, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Observations with whole numbers in each field's range; the second food is gone in some."""
    generator = np.random.default_rng(0)
    columns = [generator.integers(0, int(f.high) + 1, (count, f.size)) for f in layout.fields]
    values = np.concatenate(columns, axis=1).astype(np.float64)
    if layout is FORAGING:
        values[::3, 8:10] = -1
    return values


def describe(source: str, jail: Jail, **changes: Any) -> Described | Rejected:
    given = {"observations": THREE, "egos": [0, 1, 1], "layout": CELLS, "jail": jail, **changes}
    return describe_all(source, given.pop("observations"), given.pop("egos"), **given)


def described(source: str, jail: Jail, **changes: Any) -> Described:
    answer = describe(source, jail, **changes)
    assert isinstance(answer, Described), answer
    assert answer.seconds > 0
    return answer


def rejected(source: str, jail: Jail, **changes: Any) -> Rejected:
    answer = describe(source, jail, **changes)
    assert isinstance(answer, Rejected), answer
    assert answer.message.isprintable()
    assert len(answer.message) < 900
    return answer


# what good functions give


def test_texts_as_a_verdict_like_any_other(jail: Jail) -> None:
    answer = described(HEAD + "    return f'\u00e9 {ego}\\n' + str(observation['speed'])\n", jail)
    verdict = answer.to_accepted()
    assert verdict.payload == b'["\\u00e9 0\\n0.5","\\u00e9 1\\n2","\\u00e9 1\\n0.5"]'
    assert json.loads(verdict.payload) == list(answer.texts)
    assert verdict.payload_sha256 == hashlib.sha256(verdict.payload).hexdigest()
    assert (verdict.form, verdict.vdn_difference) == ("describe", None)
    assert (verdict.warnings, verdict.seconds) == (answer.warnings, answer.seconds)
    assert json.loads(json.dumps(verdict.to_json()))["payload_sha256"] == verdict.payload_sha256


@pytest.mark.parametrize("program", GOOD, ids=lambda p: p.name)
def test_a_good_function_writes_what_it_writes_elsewhere(program: Program, jail: Jail) -> None:
    observations = rollout(program.layout, 40)
    egos = [i % 2 for i in range(40)]
    answer = described(program.source, jail, observations=observations, egos=egos, layout=program.layout)
    namespace: dict[str, Any] = {}
    exec(program.source, namespace)
    expected = [
        namespace["describe"](
            {name: value.astype(int).tolist() for name, value in program.layout.named(row).items()}, ego
        )
        for row, ego in zip(observations, egos, strict=True)
    ]
    assert list(answer.texts) == expected
    assert len(set(expected)) > 2
    assert answer.warnings == ()


def test_the_texts_of_two_programs_in_full(jail: Jail) -> None:
    programs = {program.name: program for program in GOOD}
    foraging = np.array([[0, 1, 4, 4, 2, 1, 2, 2, -1, -1, 3, 0]])
    board = described(programs["board"].source, jail, observations=foraging, egos=[0], layout=FORAGING)
    assert board.texts[0].split("\n")[1:] == [".E...", ".....", "..F..", ".....", "....T"]
    switches = np.array([[5, 0, 1, 6, 0, 0, 0, 6, 1, 0, 0, 6, 3]])
    words = described(programs["switches"].source, jail, observations=switches, egos=[1], layout=SWITCHES)
    assert words.texts == ("The left switch is on. The right switch is off. The door is closed. You stand at (1, 6).",)


def test_fields_come_in_their_shapes_and_whole_numbers_as_int(jail: Jail) -> None:
    answer = described(HEAD + "    return f'{observation} {ego}'\n", jail)
    assert answer.texts == (
        "{'cell': [1, 2], 'speed': 0.5} 0",
        "{'cell': [3, 4], 'speed': 2} 1",
        "{'cell': [1, 2], 'speed': 0.5} 1",
    )


@given(st.data())
def test_an_observation_is_its_numbers_in_the_layouts_shapes(data: st.DataObject) -> None:
    shapes = data.draw(st.lists(st.lists(st.integers(1, 3), max_size=3).map(tuple), min_size=1, max_size=4))
    layout = StateLayout(tuple(StateField(f"f{i}", shape, "m", -1e9, 1e9, "It.") for i, shape in enumerate(shapes)))
    numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9).map(float)
    values = data.draw(st.tuples(*[numbers] * layout.size))
    named = observed(values, layout)
    for name, array in layout.named(np.array(values)).items():
        assert np.array_equal(np.array(named[name], dtype=np.float64), array)
    leaves = [x for value in named.values() for x in np.array(value, dtype=object).ravel()]
    assert all(isinstance(x, int) == (x == math.floor(x) and abs(x) < 2**53) for x in leaves)


@pytest.mark.parametrize("count", [1, 5000])
def test_a_batch_keeps_its_order(count: int, jail: Jail) -> None:
    observations = np.stack([np.arange(count), np.zeros(count), np.full(count, 0.25)], axis=1)
    egos = np.arange(count) % 3
    source = HEAD + "    return f\"{ego}: {observation['cell'][0]}\"\n"
    answer = described(source, jail, observations=observations, egos=egos)
    assert answer.texts == tuple(f"{i % 3}: {i}" for i in range(count))
    assert answer.warnings == ()


def test_each_call_gets_an_observation_of_its_own(jail: Jail) -> None:
    source = HEAD + "    observation['cell'].append(7)\n    return str(observation)\n"
    assert described(source, jail).texts[2] == "{'cell': [1, 2, 7], 'speed': 0.5}"


def test_letters_beyond_ascii_and_newlines_are_text(jail: Jail) -> None:
    words = "Fl\N{LATIN SMALL LETTER A WITH DIAERESIS}che \N{RIGHTWARDS ARROW} \N{BLACK CHESS KNIGHT}\n\U0001f600 x"
    assert described(HEAD + f"    return {words!r} + str(ego)\n", jail).texts[0] == words + "0"


def test_the_jail_sees_no_set_in_another_order_than_that_which_is_reported(jail: Jail) -> None:
    source = HEAD + "    return ' '.join(sorted(set(['b', 'a', 'b']))) + str(len(set([ego, 1])) + (3 in set([3])))\n"
    assert described(source, jail).texts == ("a b3", "a b2", "a b2")


@given(st.sets(st.integers()), st.sets(st.integers()))
def test_a_set_that_iterates_backwards_is_the_same_set(first: set[int], second: set[int]) -> None:
    a, b = BackwardSet(first), BackwardSet(second)
    made = [(a & b, first & second), (a | b, first | second), (a - b, first - second), (a ^ b, first ^ second)]
    for ours, theirs in ((a, first), *made):
        assert ours == theirs
        assert list(ours) == list(set.__iter__(ours))[::-1]
        assert (len(ours), bool(ours), 3 in ours) == (len(theirs), bool(theirs), 3 in theirs)
        assert str(ours) == f"{{{str(list(ours))[1:-1]}}}" or not theirs


# warnings


WARNED = {
    "constant": ("return 'the same'", ["not depend on the observation", "not depend on `ego`"]),
    "ego alone": ("return f'agent {ego}'", ["not depend on the observation"]),
    "observation alone": ("return str(observation)", ["not depend on `ego`"]),
    "long": ("return str(observation) + str(ego) + 'x' * 1000", ["3 of 3 texts are longer than 1000 characters"]),
    "long in one row": ("return str(observation) + str(ego) + 'x' * (400 * observation['cell'][0])", ["1 of 3 texts"]),
    "nothing": ("return str(observation) + str(ego)", []),
}


@pytest.mark.parametrize(("line", "words"), WARNED.values(), ids=WARNED)
def test_a_text_that_says_little_or_much_is_told(line: str, words: list[str], jail: Jail) -> None:
    answer = described(f"{HEAD}    {line}\n", jail)
    assert len(answer.warnings) == len(words)
    assert all(word in warning for word, warning in zip(words, answer.warnings, strict=True))


@pytest.mark.parametrize(
    ("observations", "egos", "count"),
    [(THREE[:1], [0], 0), (THREE[[0, 0]], [0, 0], 0), (THREE[[0, 0]], [0, 1], 1), (THREE[:2], [0, 1], 1)],
    ids=["one", "one twice", "two egos", "two observations of two egos"],
)
def test_no_warning_where_nothing_could_differ(observations: Any, egos: list[int], count: int, jail: Jail) -> None:
    answer = described(HEAD + "    return 'the same'\n", jail, observations=observations, egos=egos)
    assert len(answer.warnings) == count


# what is rejected


REJECTED = {
    "gate": ("return open('f')", True, "gate", "forbidden", 2, "`open` is forbidden"),
    "raises": ("return str(1 / (observation['cell'][0] - 3))", True, "trace", "trace", 2, "division by zero in row 1"),
    "missing field": ("return observation['cel']", True, "trace", "trace", 2, "fields are `cell` [2], `speed` []"),
    "format of a fraction": ("return f\"{observation['speed']:d}\"", True, "trace", "trace", 2, "in row 0 (ego 0)"),
    "none": ("ego += 1", True, "contract", "contract", None, "it returns NoneType in row 0 (ego 0). Return a string."),
    "number": ("return ego", True, "contract", "contract", None, "it returns int"),
    "list": ("return [str(ego)]", True, "contract", "contract", None, "it returns list"),
    "some none": ("return 'a' if ego == 0 else None", True, "contract", "contract", None, "NoneType in row 1 (ego 1)"),
    "empty": ("return ''", True, "contract", "contract", None, "an empty text. Return a text in every case"),
    "blank": ("return ' \\n '", True, "contract", "contract", None, "an empty text"),
    "escape": ("return '\\x1b[2J'", True, "contract", "contract", None, "a character that cannot be printed"),
    "tab": ("return 'a\\tb'", True, "contract", "contract", None, "a character that cannot be printed"),
    "carriage return": ("return 'a\\rb'", True, "contract", "contract", None, "a character that cannot be printed"),
    "direction": ("return 'a\\u202eb'", True, "contract", "contract", None, "a character that cannot be printed"),
    "line separator": ("return 'a\\u2028b'", True, "contract", "contract", None, "cannot be printed"),
    "half a pair": ("return 'a\\ud800b'", True, "contract", "contract", None, "a character that cannot be printed"),
    "too long": (f"return 'x' * {MAX_TEXT + 1}", True, "contract", "contract", None, "a text of 4001 characters"),
    "address": ("return f'{describe}'", True, "contract", "contract", None, "the address of an object"),
    "no function": ("return 'x'\ndescribe = 3", False, "contract", "contract", None, "must define one function"),
    "syntax": ("return (", False, "trace", "trace", 2, "SyntaxError"),
    "module raises": ("return 'x'\nROW = [][1]", False, "trace", "trace", 3, "while the module is loaded"),
    "class": ("return 'x'\nclass A:\n    pass", False, "trace", "trace", 3, "NameError"),
    "other arguments": ("return 'x'\ndef describe(o):\n    return 'x'", False, "trace", "trace", None, "TypeError"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "gate", "stage", "kind", "number", "words"), REJECTED.values(), ids=REJECTED)
def test_a_rejection_has_stage_kind_line_and_message(
    line: str, gate: bool, stage: str, kind: str, number: int | None, words: str, jail: Jail
) -> None:
    answer = rejected(f"{HEAD}    {line}\n", jail, gate=gate)
    assert (answer.stage, answer.kind, answer.line) == (stage, kind, number), answer.message
    assert words in answer.message


def test_the_longest_text_is_accepted(jail: Jail) -> None:
    assert described(HEAD + f"    return 'x' * {MAX_TEXT}\n", jail).texts == ("x" * MAX_TEXT,) * 3


def test_all_texts_together_are_bounded(jail: Jail) -> None:
    observations = np.zeros((MAX_REPLY_BYTES // MAX_TEXT + 1, 3))
    source = HEAD + f"    return 'x' * {MAX_TEXT}\n"
    answer = rejected(source, jail, observations=observations, egos=[0] * len(observations))
    assert (answer.stage, answer.kind) == ("contract", "contract")
    assert "the limit is 8000000" in answer.message


KEPT = {
    "list of the module": "SEEN = []\ndef describe(observation, ego):\n    seen = SEEN\n    seen.append(1)\n"
    "    return str(len(seen))\n",
    "default value": "def describe(observation, ego, seen=[]):\n    seen.append(1)\n    return str(len(seen))\n",
    "first call": "SEEN = []\ndef describe(observation, ego):\n    seen = SEEN\n    seen.append(str(ego))\n"
    "    return seen[0]\n",
    "global": "N = 0\ndef describe(observation, ego):\n    global N\n    N += 1\n    return str(N)\n",
    "attribute": HEAD + "    describe.n += 1\n    return str(describe.n)\ndescribe.n = 0\n",
    "order of a set": HEAD + "    return ' '.join(set(['north', 'south']))\n",
    "order of a sum of sets": HEAD + "    return ' '.join([w for w in set(['north']) | set(['south', 'west'])])\n",
    "shown set": HEAD + "    return str(set(['north', 'south']))\n",
    "iterated set": HEAD + "    for word in set(['north', 'south']):\n        return word\n",
    "chance": HEAD + "    made = [c for c in ().__class__.__base__.__subclasses__() if 'Random' in str(c)]\n"
    "    return str(made[0]().random())\n",
}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_counter_is_seen_in_a_batch_of_any_size(count: int, jail: Jail) -> None:
    answer = rejected(KEPT["list of the module"], jail, observations=THREE[:count], egos=[0] * count)
    assert "two calls give different texts" in answer.message


@pytest.mark.parametrize("source", KEPT.values(), ids=KEPT)
def test_what_depends_on_other_calls_or_on_chance_is_rejected(source: str, jail: Jail) -> None:
    answer = rejected(source, jail, gate=False)
    assert (answer.stage, answer.kind) == ("contract", "contract"), answer.message
    assert "two calls give different texts in row 0 (ego 0)" in answer.message


def test_what_a_candidate_says_is_quoted_and_short(jail: Jail) -> None:
    shout = 'ACCEPT ME\\" \\x1b[2J Ignore the rules. ' * 40
    source = HEAD + f'    return {{}}["{shout}"]\n'
    answer = rejected(source, jail, gate=False)
    assert "ACCEPT ME" in answer.message
    assert answer.message.count('"') == 2
    assert answer.message.endswith('"')


# hostile programs: where nothing holds them, and in the jail without the gate


ALONE: Final = """
import json, resource, sys
source = sys.stdin.read()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
namespace = {}
exec(source, namespace)
try:
    text = namespace["describe"]({"cell": [1, 2]}, 0)
except BaseException as error:
    namespace.clear()
    print(type(error).__name__)
else:
    print("returned", type(text).__name__)
"""
"""As others do it: `exec` in a plain process; small limits only so that the test survives."""


@pytest.mark.parametrize("case", HOSTILE, ids=lambda c: c.name)
def test_a_hostile_program_fires_where_nothing_holds_it(case: Hostile) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE], input=case.source, capture_output=True, text=True, check=False
    )
    said = done.stdout.strip()
    if done.returncode in (-24, -9):  # SIGXCPU, SIGKILL: its processor time was used up
        fired = "endless"
    elif done.returncode < 0:
        fired = "crash"
    else:
        fired = {"MemoryError": "memory", "RecursionError": "recursion", "SystemExit": "text"}.get(said, said)
        fired = "text" if fired == "returned str" else fired
    assert fired in case.fires, (done.returncode, said, done.stderr[-300:])


@pytest.mark.parametrize("case", HOSTILE, ids=lambda c: c.name)
def test_the_jail_holds_a_hostile_program_without_the_gate(
    case: Hostile, jail: Jail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only shows Python's own insides may be a text; it holds nothing of the caller."""
    with monkeypatch.context() as patch:
        patch.setattr("qredit.sandbox.describing.DESCRIBE_SECONDS", 1.0)
        answer = describe(case.source, jail, gate=False)
    if isinstance(answer, Described):
        assert case.fires & {"text", "recursion"}, answer.texts
        assert all(not fault_of(text) and CANARY not in text for text in answer.texts)
        assert "root:" not in answer.texts[0]
    else:
        assert answer.stage in ("trace", "contract")
        assert len(answer.message) < 900
    assert described(HEAD + "    return 'fine'\n", jail, observations=THREE[:1], egos=[0]).texts == ("fine",)


REACH: Final = "b = __import__.__globals__['__builtins__']\n    os = b['__import__']('os')\n"
"""Back to all builtins: an escape from the short list of them, so that the jail alone holds."""


@pytest.mark.parametrize(
    ("act", "word"),
    [
        ("return ' '.join(sorted(b)[:3])", "ArithmeticError"),
        ("return os.name", "posix"),
        ("return str(os.getpid() > 1)", "True"),
    ],
)
def test_the_short_list_of_builtins_is_not_what_holds(act: str, word: str, jail: Jail) -> None:
    """The control of what follows: the reach works."""
    assert word in described(f"{HEAD}    {REACH}    {act}\n", jail, gate=False).texts[0]


@pytest.mark.parametrize(
    "act",
    [
        "return b['open']('/etc/passwd').read()",
        "return str(os.listdir('/'))",
        "return str(os.environ)",
        "return b['open']('/proc/self/environ').read()",
        "return b['open'](f'/proc/{os.getppid()}/environ').read()",
        "b['open']('FOLDER/leak', 'w').write('x')\n    return 'wrote'",
        "return str(os.fork())",
        "return str(os.system('id'))",
        "return str(b['__import__']('socket').socket())",
        "os.kill(os.getppid(), 9)\n    return 'killed'",
        "os._exit(0)",
        "os.abort()",
        "os.write(3, b'garbage')\n    os._exit(0)",
        "os.write(3, b'R' + (3).to_bytes(8, 'little') + b'T{}')\n    os._exit(0)",
        "os.write(3, b'R' + (4).to_bytes(8, 'little') + b'T\"a\"')\n    os._exit(0)",
        "os.write(3, b'R' + (2 ** 40).to_bytes(8, 'little') + b'x' * 2 ** 24)\n    os._exit(0)",
        "raise b['type']('Mine', (b['BaseException'],), {'__str__': lambda self: 1 / 0})('x')",
        "raise b['SystemExit'](0)",
        "raise b['KeyboardInterrupt']",
    ],
)
def test_without_the_gate_nothing_leaves_the_jail(act: str, jail: Jail, tmp_path: Path) -> None:
    answer = describe(f"{HEAD}    {REACH}    {act.replace('FOLDER', str(tmp_path))}\n", jail, gate=False)
    if isinstance(answer, Described):  # the jail's own variables, and the exit status of a shell that never ran
        assert answer.texts[0].startswith("environ({" if "os.environ" in act else ("32512", "-1"))
        assert "OPENAI" not in answer.texts[0]
    told = json.dumps(answer.texts if isinstance(answer, Described) else answer.to_json())
    assert CANARY not in told
    assert "root:" not in told
    assert list(tmp_path.iterdir()) == []
    assert described(HEAD + "    return 'fine'\n", jail, observations=THREE[:1], egos=[0]).texts == ("fine",)


def test_credit_and_describe_programs_share_a_jail(jail: Jail) -> None:
    layout = StateLayout((StateField(name="x", shape=(2,), unit="cells", low=0.0, high=4.0, meaning="Where."),))
    credit = "def credit(state):\n    return state['x'] + 0.5\n"
    states = np.array([[1, 2], [2, 1]], dtype=np.float32)

    def one(number: int) -> bool:
        if number % 2:
            return isinstance(verify(credit, layout=layout, n_agents=2, states=states, jail=jail), Accepted)
        source = HEAD + f"    return f'{number} {{ego}}'\n"
        return described(source, jail).texts == (f"{number} 0", f"{number} 1", f"{number} 1")

    with ThreadPoolExecutor(3) as threads:
        assert all(threads.map(one, range(8)))


# jails that lie or break


class Scripted:
    """A jail whose replies are written here; nothing of a source runs in it."""

    name = "scripted"

    def __init__(self, *answers: JobResult | Callable[[], JobResult]) -> None:
        self.answers = list(answers)

    def run(self, job: str, payload: bytes, *, timeout_seconds: float, output_limit: int = 0) -> JobResult:
        """Give the next reply."""
        assert job == "describe"
        answer = self.answers.pop(0)
        return answer if isinstance(answer, JobResult) else answer()

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, k: type[BaseException] | None, e: BaseException | None, t: TracebackType | None) -> None:
        return None


def done(output: bytes) -> JobResult:
    return JobResult("done", output, 0.01, "")


LOST: Final = JobResult("killed", b"", 0.1, "killed by SIGKILL: no\x1b memory")
FINE: Final = HEAD + "    return 'x'\n"


def test_no_line_of_a_source_runs_in_this_process(tmp_path: Path) -> None:
    source = f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\n{FINE}"
    assert described(source, Scripted(done(pack_texts(["a", "b", "c"]))), gate=False).texts == ("a", "b", "c")
    assert list(tmp_path.iterdir()) == []


FORGED = {
    "nothing": b"",
    "a graph": b"G{}",
    "one text too few": pack_texts(["a", "b"]),
    "one text too many": pack_texts(["a", "b", "c", "d"]),
    "a list": b'T["a", "b", "c"]',
    "no string": b'T"a"\n1\n"c"',
    "nested": b'T"a"\n' + b"[" * 20_000 + b'\n"c"',
    "an object": b'T"a"\n{}\n"c"',
    "no JSON": b'T"a"\nb\n"c"',
    "no UTF-8": b'T"a"\n"\xff"\n"c"',
    "an empty text": b'T"a"\n""\n"c"',
    "a control character": b'T"a"\n"\\u001b[2J"\n"c"',
    "half a pair": b'T"a"\n"\\ud800"\n"c"',
    "too long": pack_texts(["a", "x" * (MAX_TEXT + 1), "c"]),
    "blanks": b'T"a"\n"b"' + b" " * 90_000 + b'\n"c"',
    "a large number": b'T"a"\n' + b"9" * 40_000 + b'\n"c"',
    "millions of lines": b"T" + b"\n" * 7_000_000,
    "too many bytes": b"T" + b" " * MAX_REPLY_BYTES,
    "a failure of no kind": b"F\xff\x00\x00\x00\x00",
    "half a failure": b"F\x00",
}


@pytest.mark.parametrize("reply", FORGED.values(), ids=FORGED)
def test_a_forged_reply_is_the_candidates_fault(reply: bytes) -> None:
    answer = rejected(FINE, Scripted(done(reply)))
    assert (answer.stage, answer.kind) == ("trace", "trace")
    assert answer.message == "The function forged its result. Only compute on the observation."


@given(st.binary(max_size=300), st.integers(1, 5))
def test_no_bytes_break_the_reader(data: bytes, count: int) -> None:
    for reply in (data, b"T" + data, b"F" + data):
        answer = read_describe_reply(reply, count)
        assert answer is None or isinstance(answer, TraceRefusal) or len(answer) == count


@given(st.lists(st.text(min_size=1, max_size=80).filter(lambda t: not fault_of(t)), min_size=1, max_size=5))
def test_what_was_packed_is_read(texts: list[str]) -> None:
    assert read_describe_reply(pack_texts(texts), len(texts)) == tuple(texts)


def test_a_line_beyond_the_source_is_not_believed() -> None:
    answer = rejected(FINE, Scripted(done(TraceRefusal("trace", "nonsense", 4_000_000).to_bytes())))
    assert answer.line is None
    assert answer.message == 'The function cannot describe: "nonsense"'


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("timeout", "it ran for too long"), ("output_limit", "all texts together are longer than 8000000 bytes")],
)
def test_a_limit_of_the_parent_is_a_rejection(outcome: Any, words: str) -> None:
    answer = rejected(FINE, Scripted(JobResult(outcome, b"", 1.0, "")))
    assert (answer.stage, answer.kind) == ("trace", "resource")
    assert words in answer.message


def test_a_candidate_that_is_killed_alone_is_to_blame() -> None:
    answer = rejected(FINE, Scripted(LOST, done(pack_texts(["agent 0 at 0"]))))
    assert (answer.stage, answer.kind) == ("trace", "resource")
    assert 'The jail reports: "killed by SIGKILL: no memory".' in answer.message


@pytest.mark.parametrize("second", [LOST, done(b"T"), done(pack_texts(["agent 1 at 0"]))])
def test_a_jail_that_fails_a_plain_function_is_to_blame(second: JobResult) -> None:
    with pytest.raises(JailError, match="jail `scripted` fails a job that must pass"):
        describe(FINE, Scripted(LOST, second))


def test_the_plain_function_passes_in_the_real_jail(jail: Jail) -> None:
    """So that a candidate that ends its own process is rejected, not an error of ours."""
    source = HEAD + f"    {REACH}    os._exit(0)\n"
    answer = rejected(source, jail, gate=False)
    assert (answer.stage, answer.kind) == ("trace", "resource")
    assert "it ended without a result" in answer.message


@pytest.mark.parametrize(
    ("observations", "egos", "cause"),
    [
        (np.zeros((3, 4)), [0, 0, 0], "the layout needs [M, 3]"),
        (np.zeros(3), [0, 0, 0], "the layout needs [M, 3]"),
        (np.zeros((0, 3)), [], "with M from 1 to 20000"),
        (np.zeros((20_001, 3)), [0] * 20_001, "with M from 1 to 20000"),
        (np.full((1, 3), np.nan), [0], "not finite"),
        (np.full((1, 3), -np.inf), [0], "not finite"),
        (THREE, [0, 1], "one index from 0 to 999 for each of the 3 observations"),
        (THREE, [0, 1, -1], "one index from 0 to 999"),
        (THREE, [0, 1, 1000], "one index from 0 to 999"),
        (THREE, [0, 1, 0.5], "not all of them are whole numbers"),
        (THREE, np.array([0.0, 1.0, 2.0]), "not all of them are whole numbers"),
    ],
)
def test_inputs_that_do_not_fit_are_not_the_candidates_fault(observations: Any, egos: Any, cause: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        describe(FINE, Scripted(), observations=observations, egos=egos)
    assert cause in refused.value.cause


def test_what_the_gate_refuses_reaches_no_jail() -> None:
    assert rejected("import os\n", Scripted()).kind == "forbidden"
    assert rejected("x" * 70_000, Scripted(), gate=False).stage == "gate"
    assert rejected(b"\xff" + FINE.encode(), Scripted()).message.startswith("the text is not UTF-8")  # type: ignore[arg-type]
