"""Describe functions as a language model writes them, for two tasks, and programs that a describe function must not be.

The good ones are run by the tests in this process, too, to compare; the hostile ones only in a sacrificial child.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from qredit.layout import StateField, StateLayout


def _field(name: str, shape: tuple[int, ...], high: float, meaning: str) -> StateField:
    return StateField(name=name, shape=shape, unit="cells", low=-1.0, high=high, meaning=meaning)


FORAGING: Final = StateLayout(
    (
        _field("agent_position", (2, 2), 4, "Row and column of each agent."),
        _field("agent_level", (2,), 3, "Level of each agent."),
        _field("food_position", (2, 2), 4, "Row and column of each food, -1 once it is gone."),
        _field("food_level", (2,), 6, "Level of each food."),
    )
)
SWITCHES: Final = StateLayout(
    (
        _field("agent_position", (2, 2), 6, "Row and column of each agent."),
        _field("switch_position", (2, 2), 6, "Row and column of each switch."),
        _field("switch_on", (2,), 1, "1 once a switch was triggered."),
        _field("door_open", (), 1, "1 once both switches were."),
        _field("target", (2,), 6, "Row and column of the target."),
    )
)


@dataclass(frozen=True)
class Program:
    """A good describe function."""

    name: str
    layout: StateLayout
    source: str


GOOD: Final = (
    Program(
        "sentences",
        FORAGING,
        '''
def describe(observation, ego):
    """Plain sentences."""
    row, column = observation["agent_position"][ego]
    text = f"You are agent {ego} of level {observation['agent_level'][ego]:d} in cell ({row}, {column})."
    for i, (r, c) in enumerate(observation["food_position"]):
        if r < 0:
            text += f" Food {i} is gone."
        else:
            text += f" Food {i} of level {observation['food_level'][i]} lies in cell ({r}, {c})."
    return text
''',
    ),
    Program(
        "board",
        FORAGING,
        """
SIZE = 5
EMPTY = "."

def describe(observation, ego):
    board = [[EMPTY] * SIZE for _ in range(SIZE)]
    for i, (row, column) in enumerate(observation["food_position"]):
        if row >= 0:
            board[row][column] = "F"
    for i, (row, column) in enumerate(observation["agent_position"]):
        board[row][column] = "E" if i == ego else "T"
    lines = ["The board (E is you, T your teammate, F food):"]
    lines.extend(["".join(row) for row in board])
    return "\\n".join(lines)
""",
    ),
    Program(
        "table",
        FORAGING,
        """
def line(name, level, cell):
    return f"{name:<10} {level:>3d} {cell[0]:>3} {cell[1]:>3}"

def describe(observation, ego):
    rows = ["name       lvl row col"]
    for i in range(len(observation["agent_level"])):
        name = "you" if i == ego else "teammate"
        rows.append(line(name, observation["agent_level"][i], observation["agent_position"][i]))
    for level, cell in zip(observation["food_level"], observation["food_position"]):
        if cell[0] < 0 or level == 0:
            continue
        rows.append(line("food", level, cell))
    return "\\n".join(rows)
""",
    ),
    Program(
        "distances",
        FORAGING,
        """
import math

def distance(a, b):
    return math.hypot(a[0] - b[0], a[1] - b[1])

def second(pair):
    return pair[1]

def describe(observation: dict, ego: int) -> str:
    here = observation["agent_position"][ego]
    foods = [(i, distance(here, f)) for i, f in enumerate(observation["food_position"]) if min(f) >= 0]
    if not foods:
        return "All food is collected."
    near, far = min(foods, key=second), max(foods, key=second)
    text = "; ".join([f"food {i}: {d:.2f} cells" for i, d in sorted(foods, key=second)])
    return f"Distances: {text}. Nearest is food {near[0]}, {far[1] - near[1]:+.1f} to the farthest."
""",
    ),
    Program(
        "directions",
        FORAGING,
        """
ROWS = {-1: "north", 0: "", 1: "south"}
COLUMNS = {-1: "west", 0: "", 1: "east"}

def sign(x):
    return (x > 0) - (x < 0)

def direction(a, b):
    words = (ROWS[sign(b[0] - a[0])] + " " + COLUMNS.get(sign(b[1] - a[1]), "")).strip()
    return words.replace(" ", "-") or "here"

def describe(observation, ego):
    me, other = observation["agent_position"][ego], observation["agent_position"][1 - ego]
    parts = ["teammate: " + direction(me, other)]
    foods = enumerate(observation["food_position"])
    parts += ["food " + str(i) + ": " + direction(me, f) for i, f in foods if f[0] >= 0]
    return ", ".join(parts).capitalize() + "."
""",
    ),
    Program(
        "who can load",
        FORAGING,
        """
def adjacent(a, b):
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1

def describe(observation, ego):
    agents = observation["agent_position"]
    levels = observation["agent_level"]
    alive = [i for i, f in enumerate(observation["food_position"]) if f[0] >= 0]
    notes = []
    for i in alive:
        food = observation["food_position"][i]
        strength = sum(level for a, level in zip(agents, levels) if adjacent(a, food))
        enough = strength >= observation["food_level"][i] and not strength == 0
        mine = adjacent(agents[ego], food)
        notes.append(f"food {i}: strength {strength}, " + ("loadable" if enough else "too heavy")
                     + (" with you" if mine else ""))
    return "No food is left." if not any(notes) else "\\n".join(notes)
""",
    ),
    Program(
        "levels as a set",
        FORAGING,
        """
def describe(observation, ego):
    levels = sorted(set(observation["agent_level"]) | set(observation["food_level"]), reverse=True)
    both = set(observation["agent_level"]) & set(observation["food_level"])
    words = [str(level) for level in levels]
    return f"Levels that occur: {', '.join(words)} ({len(both)} shared); yours is {observation['agent_level'][ego]}."
""",
    ),
    Program(
        "switches",
        SWITCHES,
        """
NAMES = ("left", "right")

def describe(observation, ego):
    words = []
    for name, on in zip(NAMES, observation["switch_on"]):
        words.append(f"The {name} switch is {'on' if on else 'off'}.")
    words.append("The door is open." if observation["door_open"] else "The door is closed.")
    row, column = observation["agent_position"][ego]
    words.append(f"You stand at ({row}, {column}).")
    return " ".join(words)
""",
    ),
    Program(
        "two rooms",
        SWITCHES,
        """
WIDTH = 7
WALL = 3

def describe(observation, ego):
    cells = {}
    for i in range(2):
        r, c = observation["switch_position"][i]
        cells[(r, c)] = "*" if observation["switch_on"][i] else "s"
    cells[tuple(observation["target"])] = "X"
    for i, p in enumerate(observation["agent_position"]):
        cells[tuple(p)] = "AB"[i] if i == ego else "ab"[i]
    text = ""
    for r in range(WIDTH):
        if r == WALL:
            door = " " if observation["door_open"] else "#"
            text += "#" * (WIDTH // 2) + door + "#" * (WIDTH // 2) + "\\n"
            continue
        text += "".join([cells.get((r, c), ".") for c in range(WIDTH)]) + "\\n"
    return text.strip()
""",
    ),
    Program(
        "steps",
        SWITCHES,
        """
def describe(observation, ego):
    steps = []
    for i, on in enumerate(observation["switch_on"]):
        if not on:
            steps.append(f"trigger switch {i}")
    if not observation["door_open"]:
        steps.append("open the door")
    steps.append("reach the target")
    done = 4 - len(steps)
    listed = "\\n".join([f"{k}. {step}" for k, step in enumerate(steps, 1)])
    first = steps[0] if steps else "nothing"
    return f"{done} of 4 steps are done ({100 * done / 4:.0f}%).\\n{listed}\\nAgent {ego} should help to {first}."
""",
    ),
    Program(
        "key and value",
        SWITCHES,
        """
def shown(value):
    return str(value).replace("[", "(").replace("]", ")")

def describe(observation, ego):
    lines = [f"ego: {ego}"]
    for key, value in observation.items():
        lines.append(f"{' '.join(key.split('_')).capitalize()}: {shown(value)}")
    return "\\n".join(lines)
""",
    ),
    Program(
        "nearest switch first",
        SWITCHES,
        """
def walk(a, b):
    return sum(abs(x - y) for x, y in zip(a, b))

def describe(observation, ego):
    chosen = -1
    for who in (ego, 1 - ego):
        for i in reversed(range(2)):
            if observation["switch_on"][i]:
                continue
            near = walk(observation["agent_position"][who], observation["switch_position"][i])
            other = walk(observation["agent_position"][1 - who], observation["switch_position"][i])
            if near <= other:
                chosen = i
                break
        if chosen >= 0:
            break
    if chosen < 0:
        return "Both switches are on; go to the target." if all(observation["switch_on"]) else "Wait for the other."
    return f"Switch {chosen} is the next for {'you' if who == ego else 'your teammate'}."
""",
    ),
)


Fires = Literal["memory", "endless", "recursion", "crash", "text"]


@dataclass(frozen=True)
class Hostile:
    """A program that does harm where nothing holds it."""

    name: str
    body: str
    """Lines of `describe`, after `def helper(x): ...`."""
    fires: frozenset[Fires]
    """What it does in a plain process: `text` if it returns what it should not have."""
    gate: str
    """What the gate says; empty for arithmetic, which the gate does not compute."""
    kind: str = "unsupported"
    objection: int = 0
    """Which line of the body the gate objects to, counted from 0."""

    @property
    def source(self) -> str:
        """The module."""
        lines = "".join(f"    {line}\n" for line in self.body.split("\n"))
        return f"def helper(x):\n    return helper(x + 1)\n\ndef describe(observation, ego):\n{lines}"


LINE: Final = 5
"""First line of a hostile body."""


def _hostile(
    name: str, body: str, fires: str, gate: str = "", kind: str = "unsupported", objection: int = 0
) -> Hostile:
    named: dict[str, Fires] = {
        "memory": "memory", "endless": "endless", "recursion": "recursion", "crash": "crash", "text": "text"
    }  # fmt: skip
    return Hostile(name, body, frozenset(named[word] for word in fires.split()), gate, kind, objection)


HOSTILE: Final = (
    _hostile("format escape", "return '{0.__class__.__mro__}'.format(ego)", "text", "a string names an internal",
             "forbidden"),
    _hostile("format escape in parts", "return ('{0._' + '_class_' + '_}').format(ego)", "text",
             "`format` is not available"),
    _hostile("globals by format", "return '{0.__globals__}'.format(describe)", "text", "a string names an internal",
             "forbidden"),
    _hostile("format_map", "return '{x.real}'.format_map({'x': ego})", "text", "`format_map` is forbidden",
             "forbidden"),
    _hostile("format builtin", "return format(ego, '9999999999')", "memory", "`format` is not available"),
    _hostile("wide f-string", "return f'{ego:9999999999}'", "memory", "this format in an f-string"),
    _hostile("precise f-string", "return f'{ego:.2000000000f}'", "memory endless text", "this format in an f-string"),
    _hostile("nested f-string", "return f'{ego:{10**10}}'", "memory", "this format in an f-string"),
    _hostile("wide percent", "return '%9999999999d' % ego", "memory", "`%` on a string"),
    _hostile("star percent", "return '%*d' % (10**9, ego)", "memory text", "`%` on a string"),
    _hostile("hidden percent", "wide = '%9999999999d'\nreturn wide % ego", "memory"),
    _hostile("long string", "return 'a' * 10**10", "memory"),
    _hostile("tower of powers", "return str(10 ** 10 ** 10)", "endless memory"),
    _hostile("shift", "return str(1 << 10**11)", "memory"),
    _hostile("long list", "return str([0] * 10**10)", "memory"),
    _hostile("long range", "return str(len(list(range(10**10))))", "memory endless"),
    _hostile("doubling list", "xs = [1]\nfor _ in range(60):\n    xs.extend(xs)\nreturn str(len(xs))", "memory"),
    _hostile("doubling string", "x = 'ab'\nfor _ in range(60):\n    x += x\nreturn x", "memory"),
    _hostile("growing list", "xs = [1]\nfor x in xs:\n    xs.append(x)\nreturn 'never'", "memory endless"),
    _hostile("endless loop", "for i in range(10**12):\n    ego += i\nreturn str(ego)", "endless"),
    _hostile("endless sum", "return str(sum(range(10**12)))", "endless"),
    _hostile("factorial", "import math\nreturn str(math.factorial(10**8))", "endless memory",
             "an import stands inside a block"),
    _hostile("join", "return ','.join(['a' * 10**6] * 10**5)", "memory"),
    _hostile("join through the class", "return str.join('a' * 10**5, ['b'] * 10**6)", "memory"),
    _hostile("replace", "return ('a' * 10**5).replace('a', 'b' * 10**5)", "memory"),
    _hostile("recursion", "return helper(0)", "recursion"),
    _hostile("nested generators",
             "g = [1]\nfor _ in range(200000):\n    g = (x for x in g)\nreturn str(sum(g))", "crash recursion memory"),
    _hostile("generator frame", "return str((x for x in (1,)).gi_frame.f_back)", "text",
             "`gi_frame.f_back` is forbidden", "forbidden"),
    _hostile("generator code", "g = (x for x in (1,))\nreturn str(g.gi_code.co_names)", "text",
             "`g.gi_code.co_names` is forbidden", "forbidden", 1),
    _hostile("subclasses", "return str(().__class__.__base__.__subclasses__())[:99]", "text",
             "`__class__.__base__.__subclasses__` is forbidden", "forbidden"),
    _hostile("import call", "return __import__('os').name", "text", "`__import__` is forbidden", "forbidden"),
    _hostile("import statement", "import os\nreturn os.name", "text", "importing `os` is forbidden", "forbidden"),
    _hostile("import from", "from os import name\nreturn name", "text", "importing `os.name` is forbidden",
             "forbidden"),
    _hostile("math's loader", "import math\nreturn str(math.__loader__)", "text", "`math.__loader__` is forbidden",
             "forbidden", 1),
    _hostile("eval", "return str(eval('1 + 1'))", "text", "`eval` is forbidden", "forbidden"),
    _hostile("open", "return open('/etc/passwd').read()", "text", "`open` is forbidden", "forbidden"),
    _hostile("getattr", "return str(getattr(ego, '_' + '_class_' + '_'))", "text", "`getattr` is forbidden",
             "forbidden"),
    _hostile("globals", "return str(sorted(globals()))", "text", "`globals` is forbidden", "forbidden"),
    _hostile("exit", "import sys\nsys.exit(0)", "text", "importing `sys` is forbidden", "forbidden"),
)  # fmt: skip
