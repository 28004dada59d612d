"""Exported files, run where this package cannot be imported, compute the very bits of the interpreter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from qredit.artifact import CREDIT_GRAPH, bundled_artifacts, load_artifact
from qredit.credit import CreditGraph, apply_form, credit_weights, interpret, parse_graph
from qredit.credit.opset import operations
from qredit.credit.plain_torch import Origin, one_line, plain_torch
from qredit.credit.schema import Igm, Scale
from qredit.errors import ConfigurationError
from qredit.layout import StateField, StateLayout
from qredit.sandbox.tracing.failure import TraceFailure
from qredit.sandbox.tracing.trace import trace_source
from tests.credit import alone
from tests.credit.build import HEADER, document, encoded, with_operation
from tests.credit.corpus import CORPUS, LAYOUT, N_AGENTS, Function, agents_q, states
from tests.credit.test_opset import CASES, NOT_DIFFERENTIABLE
from tests.sandbox.random_programs import Program, programs
from tests.sandbox.test_random_programs import states as random_states

ORIGIN = Origin("a-task", "0" * 64, "0.0.0")
BATCH = 7

FURTHER: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "add_alpha": ("aten.add.Tensor", ["x", "y"], {"alpha": 2.5}),
    "rsub_alpha": ("aten.rsub.Scalar", ["x", 2.0, 3], {}),
    "rsub_negative": ("aten.rsub.Scalar", ["x", -2.0], {}),
    "sub_negative": ("aten.sub.Tensor", ["x", -0.0], {}),
    "sum_all": ("aten.sum.dim_IntList", ["x", None, True], {}),
    "mean_all": ("aten.mean.dim", ["x", None], {}),
    "mean_no_dims": ("aten.mean.dim", ["x", []], {}),
    "std_default": ("aten.std.correction", ["x"], {}),
    "var_two": ("aten.var.correction", ["x", [1]], {"correction": 2}),
    "elu_scaled": ("aten.elu.default", ["x", 1.5, 1.0507, 2], {}),
    "elu_alpha": ("aten.elu.default", ["x", 1.5], {}),
    "gelu_tanh": ("aten.gelu.default", ["x"], {"approximate": "tanh"}),
    "clamp_no_minimum": ("aten.clamp.Tensor", ["x", None, "y"], {}),
    "div_mode_none": ("aten.div.Tensor_mode", ["x", "y"], {"rounding_mode": None}),
    "slice_step": ("aten.slice.Tensor", ["x", -1, None, None, 2], {}),
    "slice_open": ("aten.slice.Tensor", ["x", 1, -2], {}),
    "select_negative": ("aten.select.int", ["p", -1, 0], {}),
    "slice_scatter_step": ("aten.slice_scatter.default", ["p", "u", 2, 1, None, 2], {}),
    "squeeze_dims": ("aten.squeeze.dims", ["u", [-1, 0]], {}),
    "index_between": ("aten.index.Tensor", ["p", [None, "c1", None]], {}),
    "index_two": ("aten.index.Tensor", ["p", [None, "c1", "c5"]], {}),
    "index_scalar": ("aten.index.Tensor", ["p", [None, "c5", "c6"]], {}),
    "put_scalar": ("aten.index_put.default", ["p", [None, "c5", "c6"], "c0"], {}),
    "scalar_tensor_whole": ("aten.scalar_tensor.default", [2], {}),
    "full_of_flags": ("aten.full.default", [["B"], True], {}),
    "full_infinite": ("aten.full.default", [["B"], "-inf"], {}),
    "nan_to_num": ("aten.nan_to_num.default", ["x", 1.0, None, -3.0], {}),
    "sort_stability_unsaid": ("aten.sort.stable", ["x"], {"stable": None, "dim": 1}),
    "to_copy_of_the_same": ("aten._to_copy.default", ["x"], {"dtype": "float32"}),
    "where_flags": ("aten.where.self", ["m", "x", "i"], {}),
    "where_number_beside_whole": ("aten.where.ScalarOther", ["m", "i", 0.5], {}),
    "where_number_before_whole": ("aten.where.ScalarSelf", ["m", 1, "i"], {}),
    "copy": ("aten._to_copy.default", ["x"], {}),
}
"""What the cases of the allowlist leave out: defaults, negative dimensions, scalars and steps."""
ITEMS = {"sort_stability_unsaid": 0}


@dataclass
class Trial:
    """A graph with its input, and what the file made of it."""

    graph: CreditGraph
    state: Tensor
    values: Tensor
    found: Mapping[str, Tensor]
    text: str


def exported(
    folder: Path, cases: Mapping[str, tuple[CreditGraph, Tensor, Tensor, StateLayout | None]]
) -> dict[str, Trial]:
    """Write each graph, and run all files in one process without this package."""
    texts = {}
    for name, (graph, state, values, layout) in cases.items():
        given = {"state": state, "agents_q": values}
        header = graph.header
        if header.form == "shares":
            size = (header.state_size - header.n_agents) // 2
            first, actions, after = torch.split(state, [size, header.n_agents, size], dim=1)
            given |= {"first": first.contiguous(), "actions": actions.long(), "next": after.contiguous()}
        texts[name] = plain_torch(graph, layout, ORIGIN).text
        (folder / f"{name}.py").write_text(texts[name])
        save_file(given, folder / f"{name}.safetensors")
    command = [sys.executable, "-I", "-W", "error", str(alone.__file__), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {
        name: Trial(graph, state, values, load_file(folder / f"{name}.out.safetensors"), texts[name])
        for name, (graph, state, values, _) in cases.items()
    }


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal, NaN where NaN."""
    return (
        a.dtype == b.dtype and torch.equal(a.isnan(), b.isnan()) and torch.equal(a.nan_to_num(0.5), b.nan_to_num(0.5))
    )


def assert_is_the_interpreters(trial: Trial, *, gradients: bool = True) -> None:
    """Raw results, their gradients, and the rules."""
    graph, header = trial.graph, trial.graph.header
    state, values = trial.state.clone().requires_grad_(gradients), trial.values.clone().requires_grad_()
    raw = interpret(graph, state=state, agents_q=values)
    wanted = {f"raw_{i}": r for i, r in enumerate(raw)}
    total = sum(((r * torch.linspace(0.5, 2.0, r.numel()).reshape(r.shape)).sum() for r in raw), torch.zeros(()))
    if gradients and total.requires_grad:
        slopes = torch.autograd.grad(total, [state, values], allow_unused=True, retain_graph=True)
        for name, value, slope in zip(("state", "agents_q"), (state, values), slopes, strict=True):
            wanted[f"gradient_{name}"] = torch.zeros_like(value) if slope is None else slope
    if header.form == "shares":
        wanted["shares"] = credit_weights(header, raw)
    else:
        credit = apply_form(header, [r.detach() for r in raw] if header.form == "weights" else raw, values)
        wanted["q_tot"] = credit.q_tot
        (wanted["slopes"],) = torch.autograd.grad(credit.q_tot.sum(), [values])
        wanted["credit"] = wanted["slopes"] if credit.weights is None else credit.weights
    assert set(wanted) <= set(trial.found)
    for name, tensor in wanted.items():
        assert same_bits(trial.found[name], tensor.detach()), (name, trial.found[name], tensor)


def traced(
    source: str, *, scale: Scale = "sum_to_n", igm: Igm = "enforce", n_actions: int | None = None
) -> CreditGraph:
    """A function of the state of the corpus as a graph."""
    forms = None if n_actions is None else ("shares",)
    data = trace_source(source, LAYOUT, N_AGENTS, scale=scale, igm=igm, n_actions=n_actions, forms=forms)
    return parse_graph(data)


BOTH_SIGNS = """
def credit(state):
    level = state["agent"][..., 2]
    return (level - level.mean(dim=1, keepdim=True)) * (state["agent"][:, :1, 0] > 2).float()
"""
SHARE = """
def share(state, actions, next_state):
    eaten = (state["food"][..., 2] - next_state["food"][..., 2]).sum(dim=1, keepdim=True)
    return state["agent"][..., 2] * (actions == 5).float() + eaten.clamp(min=-2.0)
"""


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Trial]:
    """The corpus with all rules, what ships, and every operation, in one process."""
    cases: dict[str, tuple[CreditGraph, Tensor, Tensor, StateLayout | None]] = {}
    for function in CORPUS:
        cases[f"corpus_{function.name}"] = (traced(function.source), states(BATCH), agents_q(BATCH), LAYOUT)
    for scale in get_args(Scale):
        for igm in get_args(Igm):
            graph = traced(BOTH_SIGNS, scale=scale, igm=igm)
            cases[f"rules_{scale}_{igm}"] = (graph, states(BATCH), agents_q(BATCH), None)
    shares = traced(SHARE, n_actions=6)
    transition = torch.cat([states(BATCH), torch.arange(3 * BATCH).reshape(BATCH, 3) % 6, states(BATCH, seed=4)], dim=1)
    cases["shares"] = (shares, transition, agents_q(BATCH), LAYOUT.transition(N_AGENTS, 6))
    for task, path in bundled_artifacts().items():
        artifact = load_artifact(path)
        graph = parse_graph(artifact.files[CREDIT_GRAPH])
        layout = StateLayout.from_json(json.loads(artifact.files["layout.json"]))
        generator = torch.Generator().manual_seed(3)
        state = torch.randint(-1, 5, (BATCH, layout.size), generator=generator).float()
        values = torch.randn(BATCH, graph.header.n_agents, generator=generator)
        cases[f"ships_{task}"] = (graph, state, values, layout)
    further = [{"dtype": "int64", "shape": [], "values": [1]}] * 2
    operations_to_run = {f"op_{op}": (op, *case) for op, case in CASES.items()}
    operations_to_run |= {f"further_{name}": (*case, ITEMS.get(name)) for name, case in FURTHER.items()}
    for name, (op, args, kwargs, item) in operations_to_run.items():
        content = with_operation(op, args, kwargs, item=item)
        content["constants"] = [*content["constants"], *further]
        cases[name] = (parse_graph(encoded(content)), states(BATCH), agents_q(BATCH), None)
    return exported(tmp_path_factory.mktemp("alone"), cases)


@pytest.mark.parametrize("function", CORPUS, ids=lambda f: f.name)
def test_the_corpus(trials: Mapping[str, Trial], function: Function) -> None:
    assert_is_the_interpreters(trials[f"corpus_{function.name}"])


@pytest.mark.parametrize("scale", ["sum_to_n", "raw"])
@pytest.mark.parametrize("igm", ["enforce", "relax"])
def test_the_rules(trials: Mapping[str, Trial], scale: str, igm: str) -> None:
    """Of weights with both signs, and of rows of zeros."""
    trial = trials[f"rules_{scale}_{igm}"]
    assert_is_the_interpreters(trial)
    assert (trial.found["raw_0"] < 0).any()
    assert (trial.found["raw_0"] == 0).all(dim=1).any()
    assert bool((trial.found["credit"] < 0).any()) == (igm == "relax")


def test_shares(trials: Mapping[str, Trial]) -> None:
    trial = trials["shares"]
    assert_is_the_interpreters(trial)
    assert torch.allclose(trial.found["shares"].sum(dim=1), torch.full((BATCH,), 3.0))
    assert "chosen_action_" in trial.text


def test_what_ships(trials: Mapping[str, Trial]) -> None:
    shipped = [trial for name, trial in trials.items() if name.startswith("ships_")]
    assert {trial.graph.header.form for trial in shipped} == {"weights", "general"}
    for trial in shipped:
        assert_is_the_interpreters(trial)


@pytest.mark.parametrize("op", sorted(CASES))
def test_every_operation(trials: Mapping[str, Trial], op: str) -> None:
    trial = trials[f"op_{op}"]
    assert op in {node.op for node in trial.graph.nodes}
    assert_is_the_interpreters(trial, gradients=op not in NOT_DIFFERENTIABLE)


@pytest.mark.parametrize("name", sorted(FURTHER))
def test_arguments(trials: Mapping[str, Trial], name: str) -> None:
    assert_is_the_interpreters(trials[f"further_{name}"])


def test_the_cases_are_all_operations() -> None:
    assert set(CASES) | {"aten.sym_size.int"} == set(operations())


def test_random_programs(tmp_path: Path) -> None:
    """Whatever a program does, the file does the same; one process runs all of them."""
    cases: dict[str, tuple[CreditGraph, Tensor, Tensor, StateLayout | None]] = {}

    @settings(max_examples=15)
    @given(programs())
    def collect(program: Program) -> None:
        try:
            data = trace_source(program.source, program.layout, program.n_agents, scale=program.scale, igm=program.igm)
        except TraceFailure:
            return
        values = torch.randn(BATCH, program.n_agents, generator=torch.Generator().manual_seed(1))
        state = random_states(program, BATCH, seed=2)
        cases[f"random_{len(cases)}"] = (parse_graph(data), state, values, program.layout)

    collect()
    assert len(cases) >= 8
    for trial in exported(tmp_path, cases).values():
        assert_is_the_interpreters(trial)


def test_lines_say_what_they_hold(trials: Mapping[str, Trial]) -> None:
    """A field by its name, every tensor with its shape, and no line that nothing needs."""
    text = trials["ships_lbf-5x5-2p-1f"].text
    assert "agent_position_2 = agent_position_0.reshape(batch_1, 2, 2)  # [B, 2, 2]" in text
    assert "[8:9] food_level [1], level, 0 to 4: Level of each food; 0 once it is eaten." in text
    assert max(map(len, text.splitlines())) <= 130
    dead = document([{"op": "aten.neg.default", "args": ["n0"]}])
    assert "neg_" not in plain_torch(parse_graph(encoded(dead)), None, ORIGIN).text


def test_no_parameters_and_constants_that_move(trials: Mapping[str, Trial]) -> None:
    """A learner copies it, and saves and loads its state."""
    module: dict[str, object] = {}
    exec(trials["op_aten.mm.default"].text, module)
    mixer = module["CreditMixer"]()  # type: ignore[operator]
    assert list(mixer.parameters()) == []
    assert mixer.state_dict() == {}
    assert {name for name, _ in mixer.named_buffers()} >= {"constant_2"}
    assert mixer.to(torch.float64).constant_2.dtype == torch.float64


@pytest.mark.parametrize(("version", "op"), [("1.11", "aten.round.decimals"), ("1.10", "aten.exp.default")])
def test_the_version_of_torch(trials: Mapping[str, Trial], version: str, op: str) -> None:
    assert f"It needs torch >= {version} " in trials[f"op_{op}"].text
    assert "It needs torch >= 2.0 " in trials["further_var_two"].text


@pytest.mark.parametrize(
    "bad", ["", "class", "None", "2nd", "a b", "a.b", "x\ny", "torch", "ValueError", "Å", "_rows", "a" * 81]
)
def test_class_names(bad: str) -> None:
    graph = parse_graph(encoded(document()))
    with pytest.raises(ConfigurationError, match="class name"):
        plain_torch(graph, None, ORIGIN, class_name=bad)
    assert "\nclass My_Mixer2(nn.Module):" in plain_torch(graph, None, ORIGIN, class_name="My_Mixer2").text


def test_values_are_refused() -> None:
    content = document(header={**HEADER, "form": "value", "scale": "raw", "igm": "relax"})
    content["nodes"] = [{"op": "aten.sum.dim_IntList", "args": ["state", [1], True]}]
    content["outputs"] = ["n0"]
    with pytest.raises(ConfigurationError, match="`value`"):
        plain_torch(parse_graph(encoded(content)), None, ORIGIN)


STRANGE = (
    "\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029", "\x00", "\x1b[2J", "\u202e",
    '"""', "'''", "\\", "\\\n", "{", "}", "{N}", "CLASS", "FUNCTION", "# -*- coding: utf-7 -*-", "\ud800", "\U000e0041",
    "raise SystemExit", "x" * 150,
)  # fmt: skip


def statements(text: str) -> str:
    """The code without comments."""
    return ast.dump(ast.parse(text))


WORDED = parse_graph(encoded(document()))
FIELDS = (StateField("agent", (12,), "cells", 0, 9, "-"), StateField("rest", (9,), "cells", 0, 9, "-"))


@pytest.fixture(scope="module")
def quiet() -> str:
    """The file where nobody says anything strange."""
    return plain_torch(WORDED, StateLayout(FIELDS), ORIGIN).text


@given(text=st.lists(st.sampled_from(STRANGE) | st.text(), max_size=6).map("".join))
def test_a_strangers_text_stays_in_comments(quiet: str, text: str) -> None:
    """Whatever the task, units and meanings say, the code is the same, and every line of the file is ours."""
    strange = StateLayout(tuple(replace(f, unit=text, meaning=text) for f in FIELDS))
    loud = plain_torch(WORDED, strange, replace(ORIGIN, task=text)).text
    assert statements(loud) == statements(quiet)
    assert tokenize.detect_encoding(BytesIO(loud.encode()).readline)[0] == "utf-8"
    assert all(c == "\n" or c.isprintable() for c in loud)
    assert [line for line in loud.splitlines() if not line.startswith("#")] == [
        line for line in quiet.splitlines() if not line.startswith("#")
    ]


def test_one_line() -> None:
    assert one_line("a\nb\u2028\u202e\ud800é") == "a\\nb\\u2028\\u202e\\ud800é"
