"""Careless functions: what is wrong with each shows in plain eager torch, and a layer must refuse it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.sandbox.firing.case import HEAD, Layer, inside

STATES: Final = torch.tensor([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0], [0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
VALUES: Final = torch.tensor([[0.0, 0.0], [1.0, -1.0], [10.0, -10.0], [100.0, 100.0], [-1.0, 2.0], [3.0, 4.0]])

Function = Callable[[Tensor, Tensor], Any]
"""`(states [B, 2], agents_q [B, 2])` -> what the module's function returns, whatever its form."""


def mixes(run: Function) -> bool:
    """A state's row is another one when it is alone."""
    whole = run(STATES, VALUES)
    alone = [run(STATES[i : i + 1], VALUES[i : i + 1]) for i in range(len(STATES))]
    return not torch.allclose(whole, torch.cat(alone), rtol=1e-3)


def differs(run: Function) -> bool:
    """A second call gives something else."""
    return not torch.equal(run(STATES, VALUES), run(STATES, VALUES))


def writes(run: Function) -> bool:
    """The input is another one afterwards."""
    states = STATES.clone()
    run(states, VALUES)
    return not torch.equal(states, STATES)


def overflows(run: Function) -> bool:
    """Some value is not finite."""
    return not bool(torch.isfinite(run(STATES, VALUES)).all())


def breaks(run: Function) -> bool:
    """It raises for some state, or for some number of states."""
    for count in (1, 2, 3, 5, 6):
        try:
            run(STATES[:count], VALUES[:count])
        except (RuntimeError, LookupError, NameError, AssertionError):
            return True
    return False


def breaks_outside(run: Function) -> bool:
    """It raises for a state beyond the bounds, which on a GPU ends the training."""
    try:
        for shift in range(-9, 10):
            run(STATES + shift, VALUES)
    except (RuntimeError, IndexError):
        return True
    return False


def misshapen(run: Function) -> bool:
    """Not one float32 weight per agent and state, with or without one float32 bias per state."""
    result = run(STATES, VALUES)
    parts = result if isinstance(result, tuple) else (result,)
    shapes = [(len(STATES), 2), (len(STATES), 1)][: len(parts)]
    if not all(isinstance(part, Tensor) and part.dtype == torch.float32 for part in parts):
        return True
    return [tuple(part.shape) for part in parts] != shapes


def depends_on_one_size(run: Function) -> bool:
    """A state's row is another one with another number of states."""
    return bool((run(STATES, VALUES)[:5] != run(STATES[:5], VALUES[:5])).any())


def _gradient(run: Function) -> Tensor:
    values = VALUES.clone().requires_grad_(True)
    total = run(STATES, values).sum()
    if not total.requires_grad:
        return torch.zeros_like(VALUES)
    (gradient,) = torch.autograd.grad(total, values, allow_unused=True)
    return torch.zeros_like(VALUES) if gradient is None else gradient


def falls(run: Function) -> bool:
    """The team's value falls when an agent's rises."""
    return bool((_gradient(run) < 0).any())


def learns_nothing(run: Function) -> bool:
    """Some agent's value changes nothing in any state."""
    return bool((_gradient(run) == 0).all(dim=0).any())


def learns_nan(run: Function) -> bool:
    """Values are finite, gradients are not."""
    return not overflows(run) and not bool(torch.isfinite(_gradient(run)).all())


def exaggerates(run: Function) -> bool:
    """An agent's value counts more than twentyfold."""
    return bool((_gradient(run).abs() > 20).any())


def silent(run: Function) -> bool:
    """Some agent's weight is 0 in every state."""
    return bool((run(STATES, VALUES) <= 0).all(dim=0).any())


class _Census(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps the size of the largest tensor."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.largest = max(self.largest, result.numel() if isinstance(result, Tensor) else 0)
        return result


def _census(run: Function, count: int) -> _Census:
    census = _Census()
    with census:
        run(STATES[:1].repeat(count, 1), VALUES[:1].repeat(count, 1))
    return census


def grows(run: Function) -> bool:
    """Twice as many states need four times the memory."""
    return _census(run, 128).largest >= 3.9 * _census(run, 64).largest


def hoards(run: Function) -> bool:
    """It needs megabytes for one state."""
    return _census(run, 1).largest > 1_000_000


@dataclass(frozen=True)
class Bug:
    """One careless module."""

    name: str
    """What is wrong; unique in the corpus."""
    source: str
    """The module."""
    layer: Layer
    """Which layer must refuse it."""
    flaw: Callable[[Function], bool]
    """How it shows."""

    def function(self) -> Function:
        """The module's function, executed here: it is careless, not hostile."""
        namespace: dict[str, Any] = {}
        exec(self.source, namespace)
        if "tfcaf" in namespace:
            return lambda states, values: namespace["tfcaf"](values, states)
        return lambda states, values: namespace["credit"]({"x": states})


def _general(code: str) -> str:
    return f"{HEAD}def tfcaf(agents_q, global_state):\n    q, x = agents_q, global_state\n    return {code}\n"


def _kept(line: str, code: str) -> str:
    return inside(code).replace("def credit", f"{line}\ndef credit")


def _bugs() -> Iterator[Bug]:
    def bug(name: str, code: str, layer: Layer, flaw: Callable[[Function], bool]) -> Bug:
        return Bug(name, inside(code), layer, flaw)

    # refused by name or by syntax; with the gate off it must not be recorded either
    yield bug("random weights", "return x + torch.rand(x.shape[0], 2)", "gate", differs)
    yield bug("random numbers like the state", "return x + torch.randn_like(x)", "gate", differs)
    yield bug("dropout", "return F.dropout(x + 1.0, 0.5)", "gate", differs)
    yield bug(
        "random order",
        "return (x + torch.arange(2.0))[:, torch.randperm(2)] + torch.randint(0, 9, (2,))",
        "gate",
        differs,
    )
    yield bug("random numbers of Python", "import random\nreturn x + random.random()", "gate", differs)
    yield bug("time of day", "import time\nreturn x + time.perf_counter_ns() % 10**6", "gate", differs)
    yield bug("rows counted", "return x + x.nonzero().shape[0]", "gate", mixes)
    yield bug("unique values", "return x + x.unique().numel()", "gate", mixes)
    yield bug("number out of a tensor", "return x + x.max().item()", "gate", mixes)
    yield bug("list out of a tensor", "return x + torch.tensor(x.tolist()).max()", "gate", mixes)
    yield bug("numpy's mean", "return x + float(x.numpy().mean())", "gate", mixes)
    # refused when it is recorded
    yield bug("rows by a mask", "return x[x.sum(dim=1) > 0] + 1.0", "tracing", misshapen)
    yield bug("branch on the batch", "if x.sum() > 3.5:\n    x = x * 2.0\nreturn x", "tracing", mixes)
    yield bug("choice on the batch", "return x * 2.0 if (x > 3).any() else x", "tracing", mixes)
    yield bug("assertion on the states", "assert (x[:3] > 0).all()\nassert x.max() < 4\nreturn x", "tracing", breaks)
    yield bug(
        "loop until it fits", "for i in range(9):\n    if x.max() > 1:\n        x = x / 2.0\nreturn x", "tracing", mixes
    )
    yield bug("integer out of the batch", "return x * int(x.sum())", "tracing", mixes)
    yield bug("float out of the batch", "return x * float(x.mean())", "tracing", mixes)
    yield bug(
        "batch size in the weights", "return x * (2.0 if x.shape[0] % 2 == 0 else 1.0)", "tracing", depends_on_one_size
    )
    yield bug("odd batch sizes", "return x * (1.0 if x.shape[0] % 2 == 1 else 2.0)", "tracing", depends_on_one_size)
    yield bug("batch size as a number", "return x + torch.zeros(6, 2)", "tracing", breaks)
    yield bug("view with a batch size", "return x.view(6, 2) + 1.0", "tracing", breaks)
    yield bug("columns taken for rows", "return x @ x", "tracing", breaks)
    yield bug("field that is not there", "return state['position']", "tracing", breaks)
    yield bug("name that is not bound on a path", "if x.shape[1] == 3:\n    y = x\nreturn y + 1.0", "tracing", breaks)
    yield bug("index out of the data", "return x.gather(1, x.long())", "tracing", breaks)
    yield bug(
        "batch as a list of rows", "return torch.stack([row / len(x) for row in x])", "tracing", depends_on_one_size
    )
    # refused as a graph
    yield bug(
        "index out of the data behind a guard", "return x.gather(1, x.long().clamp(max=1))", "graph", breaks_outside
    )
    yield bug(
        "every state with every other",
        "d = (x.unsqueeze(0) - x.unsqueeze(1)).abs()\nreturn x + d.sum(dim=(1, 2)).unsqueeze(1)",
        "graph",
        grows,
    )
    yield bug("distances among states", "return x + torch.cdist(x, x).mean(dim=1, keepdim=True)", "graph", grows)
    yield bug(
        "megabytes per state",
        "wide = x.unsqueeze(2).expand(-1, -1, 10**6)\nreturn (wide + 1.0).mean(dim=2)",
        "graph",
        hoards,
    )
    yield bug("integers divided by data", "return (6 // x.long()).float() + x", "tracing", breaks)
    yield bug(
        "integers divided by shifted data", "return 1.0 + (x.long() // (x.long() + 6)).float()", "graph", breaks_outside
    )
    yield bug("remainder of data", "return 1.0 + (x.long() % (x.long() + 6)).float()", "graph", breaks_outside)
    yield bug(
        "table read by data",
        "table = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])\nreturn table[x.long()]",
        "graph",
        breaks_outside,
    )
    # refused on probe states
    yield bug("mean over the batch", "return (x - x.mean(dim=0)) ** 2 + 1.0", "contract", mixes)
    yield bug("normalised by the batch", "return x / (x.sum() + 1.0) + 0.1", "contract", mixes)
    yield bug("softmax over the batch", "return torch.softmax(x, dim=0) + 0.1", "contract", mixes)
    yield bug("running sum over the batch", "return x.cumsum(dim=0) + 0.1", "contract", mixes)
    yield bug("batch turned round", "return x.flip(0) + 0.1", "contract", mixes)
    yield bug("batch sorted", "return x.sort(dim=0)[0] + 0.1", "contract", mixes)
    yield bug("division by zero", "return 1.0 / x", "contract", overflows)
    yield bug("logarithm of zero", "return torch.log(x) + 9.0", "contract", overflows)
    yield bug("exponential too large", "return torch.exp(x * 40.0)", "contract", overflows)
    yield bug("distance of nothing", "return x / x.norm(dim=1, keepdim=True)", "contract", overflows)
    yield bug("input written", "x[:, 0] = 1.0\nreturn x + 0.1", "contract", writes)
    yield bug("input doubled in place", "x.mul_(2.0)\nreturn x + 0.1", "contract", writes)
    yield bug("one weight for all", "return x[:, :1]", "contract", misshapen)
    yield Bug(
        "counter in a list", _kept("CALLS = [0]", "CALLS[0] = CALLS[0] + 1\nreturn x + CALLS[0]"), "contract", differs
    )
    yield Bug(
        "counter in a dictionary",
        _kept("KEPT = {}", "KEPT['n'] = KEPT.get('n', 0.0) + 1.0\nreturn x * KEPT['n']"),
        "contract",
        differs,
    )
    yield Bug("list that grows", _kept("SEEN = []", "SEEN.append(1)\nreturn x + len(SEEN)"), "contract", differs)
    yield Bug(
        "default value that grows",
        inside("seen.append(1)\nreturn x + len(seen)").replace("(state)", "(state, seen=[])"),
        "contract",
        differs,
    )
    yield Bug(
        "first call remembered",
        _kept("KEPT = {}", "if 'x' in KEPT:\n    return x * 5.0 + 1.0\nKEPT['x'] = 1\nreturn x"),
        "contract",
        differs,
    )
    yield bug("no batch", "return x.mean(dim=0)", "contract", misshapen)
    yield bug("one dimension too many", "return x.unsqueeze(2)", "contract", misshapen)
    yield bug("weights as integers", "return x.long() + 1", "contract", misshapen)
    yield bug("weights in double precision", "return x.double() + 1.0", "contract", misshapen)
    yield bug("three results", "return x, x[:, :1], x[:, :1]", "contract", misshapen)
    yield bug("nothing returned", "y = x + 1.0\nreturn None", "contract", misshapen)
    yield bug(
        "agent that never counts", "return torch.cat([x[:, :1] + 1.0, x[:, 1:] * 0.0], dim=1)", "contract", silent
    )
    yield bug(
        "agent that counts negatively", "return torch.cat([x[:, :1] + 1.0, -x[:, 1:] - 1.0], dim=1)", "contract", silent
    )
    yield Bug(
        "gradient that is not a number",
        _general("torch.where(q == 0, q, torch.sqrt(q * q)).sum(dim=1, keepdim=True) + q.relu().sum(1, True)"),
        "contract",
        learns_nan,
    )
    yield Bug("team value that falls", _general("q[:, :1] - q[:, 1:]"), "contract", falls)
    yield Bug("team value without an agent", _general("q[:, :1] + q[:, 1:].detach()"), "contract", learns_nothing)
    yield Bug("team value of the state alone", _general("x.sum(dim=1, keepdim=True)"), "contract", learns_nothing)
    yield Bug("team value a thousandfold", _general("1000.0 * q.sum(dim=1, keepdim=True)"), "contract", exaggerates)
    yield Bug("team value of the whole batch", _general("q.sum(dim=1, keepdim=True) + q.mean()"), "contract", mixes)


BUGS: Final = tuple(_bugs())
