"""The gate and ordinary programs: mistakes of language models get what, where and the remedy; good code passes."""

from __future__ import annotations

import pytest

from qredit.sandbox.gate.check import check_gate
from tests.credit.corpus import CORPUS, Function
from tests.sandbox.gate_attacks import HEAD


def module(*lines: str) -> str:
    """A module of these lines."""
    return "".join(f"{line}\n" for line in lines)


def body(*lines: str) -> str:
    """A credit function with these lines as its body, from line 5 on."""
    return HEAD + module("def credit(state):", *(f"    {line}" for line in lines))


MISTAKES = {
    "no import of torch": (
        module("def credit(state):", "    return torch.ones_like(state['x'])"),
        2,
        "`torch` is not defined",
        "Add `import torch` at the top.",
    ),
    "no import of F": (
        module("import torch", "def credit(state):", "    return F.relu(state['x'])"),
        3,
        "`F` is not defined",
        "Add `import torch.nn.functional as F` at",
    ),
    "no import of math": (
        module("import torch", "def credit(state):", "    return state['x'] * math.pi"),
        3,
        "`math` is not defined",
        "Add `import math` at the top.",
    ),
    "numpy": (
        module("import numpy as np", "def credit(state):", "    return np.ones(3)"),
        1,
        "importing `numpy` is not supported",
        "Only `import torch`, `import torch.nn.fu",
    ),
    "print": (
        body("x = state['x']", "print(x)", "return x"),
        6,
        "`print` is not available",
        "Remove it; nobody reads the output.",
    ),
    "item": (
        body("x = state['x']", "y = x.sum().item()", "return x * y"),
        6,
        "`item` is not available",
        "Remove it and keep computing on the tens",
    ),
    "tolist": (
        body("x = state['x'].tolist()", "return x"),
        5,
        "`tolist` is not available",
        "Remove it and keep computing on the tens",
    ),
    "numpy method": (
        body("return state['x'].numpy()"),
        5,
        "`numpy` is not available",
        "Remove it and keep computing on the tens",
    ),
    "try": (
        body("try:", "    return state['x']", "except Exception:", "    return 0"),
        5,
        "`try` is not supported",
        "Guard the computation instead, such as `",
    ),
    "class": (
        module(
            "import torch",
            "class Credit(torch.nn.Module):",
            "    def __init__(self):",
            "        super().__init__()",
            "    def forward(self, s):",
            "        return s",
        ),
        2,
        "a class is not supported",
        "Write a plain function `def credit(state",
    ),
    "nn import": (
        module("import torch", "import torch.nn as nn", "def credit(state):", "    return state['x']"),
        2,
        "importing `torch.nn` is not supported",
        "Only `import torch`, `import torch.nn.fu",
    ),
    "nn.Linear": (
        body("layer = torch.nn.Linear(3, 2)", "return layer(state['x'])"),
        5,
        "`torch.nn.Linear` is not available",
        "Only `torch.nn.functional` is available;",
    ),
    "parameter": (
        body("w = torch.nn.Parameter(torch.ones(2))", "return w"),
        5,
        "`torch.nn.Parameter` is not available",
        "The function has no parameters to train;",
    ),
    "no_grad": (
        body("with torch.no_grad():", "    return state['x']"),
        5,
        "`with` is not supported",
        "Remove it; `torch.no_grad()` is not need",
    ),
    "f-string": (
        body("name = f'{1}'", "return state[name]"),
        5,
        "an f-string is not supported",
        "Remove it, or use a plain string; no tex",
    ),
    "while": (
        body("i = 0", "while i < 3:", "    i += 1", "return state['x']"),
        6,
        "`while` is not supported",
        "Use `for ... in range(...)` over agents ",
    ),
    "raise": (
        body("if state is None:", "    raise ValueError('x')", "return state['x']"),
        6,
        "`raise` is not supported",
        "Remove it; shapes are checked before the",
    ),
    "random": (
        body("return torch.rand_like(state['x'])"),
        5,
        "`torch.rand_like` is not available",
        "The function must be deterministic;",
    ),
    "seed": (
        body("torch.manual_seed(0)", "return state['x']"),
        5,
        "`torch.manual_seed` is not available",
        "The function must be deterministic;",
    ),
    "dropout": (
        body("return F.dropout(state['x'])"),
        5,
        "`F.dropout` is not available",
        "The function must be deterministic;",
    ),
    "nonzero": (
        body("return state['x'].nonzero()"),
        5,
        "`nonzero` is not available",
        "Its result's shape depends on the data; ",
    ),
    "masked_select": (
        body("return torch.masked_select(state['x'], state['x'] > 0)"),
        5,
        "`torch.masked_select` is not available",
        "Its result's shape depends on the data; ",
    ),
    "empty": (
        body("w = torch.empty(3)", "return w"),
        5,
        "`torch.empty` is not available",
        "It leaves memory uninitialised; use `tor",
    ),
    "cuda": (
        body("return state['x'].cuda()"),
        5,
        "`cuda` is not available",
        "Remove it; make new tensors with `torch.",
    ),
    "global constant computed": (
        HEAD + module("WEIGHTS = torch.tensor([1.0])", "def credit(state):", "    return state['x']"),
        4,
        "a value is computed at module level",
        "Move it into the function; only numbers,",
    ),
    "typo": (
        body("return torch.sofmax(state['x'], dim=1)"),
        5,
        "`torch.sofmax` is not available",
        "Did you mean `softmax`?",
    ),
    "typo method": (body("return state['x'].clmap(min=0)"), 5, "`clmap` is not available", "Did you mean `clamp`?"),
    "undefined name": (
        body("return weights"),
        5,
        "`weights` is not defined",
        "Define it, or use the functions of `torc",
    ),
    "undefined near": (
        body("weights = state['x']", "return wieghts"),
        6,
        "`wieghts` is not defined",
        "Did you mean `weights`?",
    ),
    "markdown fence": (
        module(
            "```python",
            "import torch",
            "import torch.nn.functional as F",
            "import math",
            "def credit(state):",
            "    return state['x']",
            "```",
        ),
        1,
        'syntax error "invalid syntax"',
        "Write valid Python; send the whole file.",
    ),
    "syntax": (
        body("return state['x'"),
        5,
        "syntax error \"'[' was never closed\"",
        "Write valid Python; send the whole file.",
    ),
    "indent": (
        HEAD + module("def credit(state):", "return state['x']"),
        5,
        'syntax error "expected an indented block after function definition on line 4"',
        "Write valid Python; send the whole file.",
    ),
    "tabs": (
        HEAD + module("def credit(state):", "    x = 1", "\treturn state['x']"),
        6,
        'syntax error "inconsistent use of tabs and spaces in indentation"',
        "Write valid Python; send the whole file.",
    ),
    "prose": (
        module(
            "Here is the function:",
            "import torch",
            "import torch.nn.functional as F",
            "import math",
            "def credit(state):",
            "    return state['x']",
        ),
        1,
        'syntax error "invalid syntax"',
        "Write valid Python; send the whole file.",
    ),
    "example call": (
        HEAD + module("def credit(state):", "    return state['x']", "weights = credit({})"),
        6,
        "a value is computed at module level",
        "Move it into the function; only numbers,",
    ),
    "main block": (
        HEAD
        + module("def credit(state):", "    return state['x']", "if __name__ == '__main__':", "    print(credit({}))"),
        6,
        "code runs at module level",
        "Keep only imports, functions and constan",
    ),
    "decorator": (
        HEAD + module("@torch.jit.script", "def credit(state):", "    return state['x']"),
        4,
        "a decorator is not supported",
        "Remove it.",
    ),
    "lambda default": (
        body("g = lambda a=1: a", "return state['x']"),
        5,
        "a default value in a `lambda` is not supported",
        "Use a `def`.",
    ),
    "del": (body("x = state['x']", "del x", "return state['x']"), 6, "`del` is not supported", "Remove it."),
    "walrus": (
        body("if (n := 3) > 2:", "    return state['x'] * n", "return state['x']"),
        5,
        "`:=` is not supported",
        "Assign in a statement of its own.",
    ),
    "detach grad": (
        body("x = state['x']", "x.requires_grad_(True)", "return x"),
        6,
        "`x.requires_grad_` is not available",
        "Remove it: gradients are the trainer's b",
    ),
    "data": (body("return state['x'].data"), 5, "`data` is not available", "Remove it: gradients are the trainer's b"),
    "from_numpy": (
        body("return torch.from_numpy(state['x'])"),
        5,
        "`torch.from_numpy` is not available",
        "Use `torch.tensor` with literal numbers.",
    ),
    "asarray out": (
        body("y = torch.add(state['x'], 1, out=state['x'])", "return y"),
        5,
        "the argument `out=` is not supported",
        "Assign the result instead.",
    ),
    "shadow sum": (
        body("sum = state['x']", "return sum"),
        5,
        "`sum` is given a new value",
        "It is a builtin; use another name, such ",
    ),
    "shadow F": (
        body("F = state['x']", "return F"),
        5,
        "`F` is given a new value",
        "`F` is the module; use another name",
    ),
    "import inside": (
        module("import torch", "def credit(state):", "    import torch.nn.functional as F", "    return state['x']"),
        3,
        "an import stands inside a block",
        "Move it to the top.",
    ),
    "global": (
        module(
            "import torch",
            "COUNT = 0",
            "def credit(state):",
            "    global COUNT",
            "    COUNT += 1",
            "    return state['x']",
        ),
        4,
        "`global` is not supported",
        "Pass the value as an argument.",
    ),
    "yield": (body("yield state['x']"), 5, "`yield` is not supported", "Collect the values in a list and `torch."),
    "non-ascii minus": (
        body("return state['x'] \u2212 1"),
        5,
        "a character outside ASCII stands in the code",
        "Use ASCII names and operators; other cha",
    ),
    "smart quotes": (
        body("return state[\u201cx\u201d]"),
        5,
        "a character outside ASCII stands in the code",
        "Use ASCII names and operators; other cha",
    ),
    "unicode name": (
        body("\u03b1 = 1", "return state['x'] * \u03b1"),
        5,
        "a character outside ASCII stands in the code",
        "Use ASCII names and operators; other cha",
    ),
    "type check": (
        body("if type(state) == dict:", "    pass", "return state['x']"),
        5,
        "`type` is not available",
        "Use `isinstance`, or remove the test: th",
    ),
    "hasattr": (
        body("if hasattr(state, 'x'):", "    pass", "return state['x']"),
        5,
        "`hasattr` is not available",
        "Remove the test: the state's fields are ",
    ),
    "compile": (
        body("return torch.compile(torch.relu)(state['x'])"),
        5,
        "`torch.compile` is not available",
        "Remove it; the function is made fast aft",
    ),
    "vmap": (
        body("return torch.vmap(torch.sum)(state['x'])"),
        5,
        "`torch.vmap` is not available",
        "Write it with broadcasting: `unsqueeze` ",
    ),
    "int subclass": (
        body("return state['x'].as_strided((2,), (1,))"),
        5,
        "`as_strided` is not available",
        "Use slicing or `reshape`.",
    ),
    "functools": (
        module(
            "from functools import reduce",
            "import torch",
            "import torch.nn.functional as F",
            "import math",
            "def credit(state):",
            "    return state['x']",
        ),
        1,
        "importing `functools.reduce` is not supported",
        "Only `import torch`, `import torch.nn.fu",
    ),
    "einops": (
        module(
            "from einops import rearrange",
            "import torch",
            "import torch.nn.functional as F",
            "import math",
            "def credit(state):",
            "    return state['x']",
        ),
        1,
        "importing `einops.rearrange` is not supported",
        "Only `import torch`, `import torch.nn.fu",
    ),
    "typing": (
        module("import torch", "x: Optional[int] = None", "def credit(state):", "    return state['x']"),
        2,
        "`Optional` is not defined",
        "Import it: `from typing import ...`, or ",
    ),
    "dataclass": (
        module(
            "from dataclasses import dataclass",
            "import torch",
            "import torch.nn.functional as F",
            "import math",
            "def credit(state):",
            "    return state['x']",
        ),
        1,
        "importing `dataclasses.dataclass` is not supported",
        "Only `import torch`, `import torch.nn.fu",
    ),
}
"""Source, line, what is said, how the remedy begins."""

GOOD = {
    "plain": body("return state['x']"),
    "docstring": body(
        '"""Who is near gets more; \u00e9 \u2212 \u201cfine\u201d here."""',
        "# \u2212 and in comments",
        "return state['x']",
    ),
    "helper": HEAD
    + module(
        "def _near(a, b):",
        "    return (a - b).abs()",
        "",
        "",
        "def credit(state):",
        "    return _near(state['x'], state['y'])",
    ),
    "constants": HEAD
    + module(
        "A = 2.0",
        "B_ = [1, 2]",
        "C = (A * 3, -1)",
        "D = -math.log(0.95)",
        "E = A ** 0.5",
        "N: int = 2",
        "def credit(state):",
        "    return state['x'] * A",
    ),
    "type hints": HEAD
    + module(
        "from typing import Dict, Tuple",
        "def credit(state: Dict[str, torch.Tensor]) -> Tuple[torch.Tensor, torch.Tensor]:",
        "    return state['x'], state['y']",
    ),
    "modern hints": module(
        "from __future__ import annotations",
        "import torch",
        "import torch.nn.functional as F",
        "import math",
        "def credit(state: dict[str, torch.Tensor]) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:",
        "    return state['x']",
    ),
    "loop": body(
        "total = torch.zeros_like(state['x'])",
        "for i in range(3):",
        "    total = total + state['x'][:, i : i + 1]",
        "return total",
    ),
    "comprehension": body("return torch.stack([state['x'][:, i] for i in range(2)], dim=1)"),
    "lambda": body("g = lambda a: a * 2", "return g(state['x'])"),
    "if on python": body(
        "n = state['x'].shape[1]", "if n > 2:", "    return state['x']", "else:", "    return state['y']"
    ),
    "enumerate zip": body(
        "parts = []",
        "for i, name in enumerate(('x', 'y')):",
        "    parts.append(state[name] * i)",
        "return torch.stack(parts).sum(dim=0)",
    ),
    "in place": body("w = torch.zeros_like(state['x'])", "w[:, 0] = 1.0", "w += 1", "w.mul_(2)", "return w"),
    "assert": body("assert state['x'].dim() == 2", "return state['x']"),
    "tfcaf": HEAD
    + module(
        "def tfcaf(agents_q, global_state):",
        "    return (agents_q * torch.softmax(global_state[:, :2], dim=1)).sum(dim=1, keepdim=True)",
    ),
    "paper": HEAD + module("def QLLMNetwork(agents_q, global_state):", "    return agents_q.sum(dim=1, keepdim=True)"),
    "shares": HEAD + module("def shares(state):", "    return state['x']"),
    "flat": HEAD + module("def credit(global_state):", "    return global_state[:, :2]"),
    "isinstance": body("x = state['x'] if isinstance(state, dict) else state", "return x"),
    "ternary": body("return torch.where(state['x'] > 0, state['x'], -state['x'])"),
    "linalg": body("return torch.linalg.norm(state['x'], dim=-1)"),
    "functional by long name": module(
        "import torch", "def credit(state):", "    return torch.nn.functional.softplus(state['x'])"
    ),
    "from nn import functional": module(
        "import torch",
        "from torch.nn import functional as F",
        "def credit(state):",
        "    return F.softplus(state['x'])",
    ),
    "crlf": body("return state['x']").replace("\n", "\r\n"),
    "dict comprehension": body("means = {k: v.mean() for k, v in state.items()}", "return state['x'] * means['x']"),
    "slices": body("return state['x'][..., 0, None][:, ::2].squeeze(-1)"),
    "sorted key": body("return state[sorted(state.keys(), key=lambda k: len(k))[0]]"),
    "names that only a session makes builtins": body("credits, _ = state['x'].max(dim=1)", "return credits"),
    "nested function": body("def scaled(a, *, by=2.0):", "    return a * by", "", "return scaled(state['x'], by=3.0)"),
    "bias": body("w = state['x']", "bias = -0.1 * w.sum(dim=1, keepdim=True)", "return w, bias"),
    "unpacking": body("first, *rest = state['x'].unbind(dim=-1)", "return torch.stack([first, *rest], dim=-1)"),
    "attention": body(
        "d = torch.einsum('bnd,bfd->bnf', state['x'], state['y']) / 3**0.5",
        "return torch.softmax(d.masked_fill(d < 0, float('-inf')), dim=-1).sum(dim=-1)",
    ),
    "dictionary of constants": HEAD
    + module(
        "SCALE = {'near': 1.0, 'far': 1 / 3}",
        "STEPS = (1, 2, -3)",
        "def credit(state):",
        "    return state['x'] * SCALE['near'] * STEPS[0]",
    ),
    "optional argument": HEAD
    + module(
        "from typing import Optional",
        "def scaled(x: torch.Tensor, by: Optional[float] = None, names: list[str] | None = None) -> torch.Tensor:",
        "    return x if by is None else x * by",
        "def credit(state):",
        "    return scaled(state['x'], 2.0)",
    ),
    "Tensor": module(
        "from torch import Tensor", "def credit(state: dict[str, Tensor]) -> Tensor:", "    return state['x']"
    ),
    "module docstring": '"""Credit by __nearness__, {braces} and eval(this)."""\n' + body("return state['x']"),
    "no newline at the end": body("return state['x']").rstrip(),
    "math": body("return state['x'] * math.sqrt(2.0) + float('inf') * 0"),
    "new zeros": body(
        "x = state['x']", "return x.new_zeros(x.shape[0], 2) + x.to(torch.float32).mean(dim=1, keepdim=True)"
    ),
}


@pytest.mark.parametrize(("source", "line", "what", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_place_and_remedy(source: str, line: int, what: str, remedy: str) -> None:
    verdict = check_gate(source)
    assert verdict is not None
    assert (verdict.stage, verdict.kind, verdict.line) == ("gate", "unsupported", line)
    assert verdict.message.startswith(f"Line {line}: {what}. {remedy}")


@pytest.mark.parametrize("source", GOOD.values(), ids=GOOD)
def test_good_code_passes(source: str) -> None:
    assert check_gate(source) is None
    assert check_gate(source.encode()) is None


LATER = {
    "no function": module("import torch", "A = 1.0"),
    "parameters": module("def credit(a, b, c):", "    return a"),
    "condition on values": body("if state['x'].sum() > 0:", "    return state['x']", "return -state['x']"),
    "break outside a loop": body("break"),
}
"""Mistakes that need more than the syntax: the tracer answers them."""


@pytest.mark.parametrize("source", LATER.values(), ids=LATER)
def test_what_takes_more_than_syntax_is_left_to_the_tracer(source: str) -> None:
    assert check_gate(source) is None


@pytest.mark.parametrize("function", CORPUS, ids=lambda f: f.name)
def test_functions_of_the_corpus(function: Function) -> None:
    """All pass but two, which make a tensor at module level."""
    verdict = check_gate(function.source)
    if function.name in {"helpers", "gathered"}:
        assert verdict is not None
        assert "a value is computed at module level" in verdict.message
    else:
        assert verdict is None


def test_up_to_two_further_lines_are_named() -> None:
    source = (
        HEAD + "def credit(state):\n    print(1)\n    print(2)\n    print(3)\n    print(4)\n    return state['x']\n"
    )
    verdict = check_gate(source)
    assert verdict is not None
    assert "Also line 6: `print` is not available. Also line 7: `print` is not available." in verdict.message
    assert "line 8" not in verdict.message


def test_what_is_forbidden_comes_first() -> None:
    source = HEAD + "def credit(state):\n    print(1)\n    return open('f')\n"
    verdict = check_gate(source)
    assert verdict is not None
    assert (verdict.kind, verdict.line) == ("forbidden", 6)
