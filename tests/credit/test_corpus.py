"""Every function of the corpus, traced: the graph computes the very bits of the Python function."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from qredit.credit import CreditGraph, apply_form, interpret, parse_graph, specialise
from qredit.sandbox.tracing.trace import trace_source
from tests.credit.corpus import CORPUS, LAYOUT, N_AGENTS, Function, agents_q, states


@pytest.fixture(scope="module")
def graphs() -> Mapping[str, CreditGraph]:
    return {
        f.name: parse_graph(trace_source(f.source, LAYOUT, N_AGENTS, scale="sum_to_n", igm="enforce")) for f in CORPUS
    }


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal, NaN where NaN."""
    return torch.equal(torch.isnan(a), torch.isnan(b)) and torch.equal(a.nan_to_num(0.5), b.nan_to_num(0.5))


def run(function: Function, graph: CreditGraph, how: str, state: Tensor, values: Tensor) -> tuple[Tensor, ...]:
    if how == "eager":
        loaded = function.load()
        result = loaded(values, state) if function.general else loaded(state)
        return result if isinstance(result, tuple) else (result,)
    if how == "interpret":
        return interpret(graph, state=state, agents_q=values)
    return specialise(graph)(state=state, agents_q=values)


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
@pytest.mark.parametrize("function", CORPUS, ids=lambda f: f.name)
def test_values_and_gradients_are_the_bits_of_the_python_function(
    graphs: Mapping[str, CreditGraph], function: Function, batch: int
) -> None:
    """Raw outputs, `Q_tot`, and the gradients of both inputs, through interpreter and specialised graph."""
    graph = graphs[function.name]
    outcomes = {}
    for how in ("eager", "interpret", "specialise"):
        state, values = states(batch).requires_grad_(), agents_q(batch).requires_grad_()
        raw = run(function, graph, how, state, values)
        q_tot = apply_form(graph.header, raw, values).q_tot
        loss = (q_tot * torch.linspace(0.5, 2.0, batch).unsqueeze(1)).sum()
        gradients = torch.autograd.grad(loss, [values, state], allow_unused=True)
        outcomes[how] = [*raw, q_tot, *(g if g is not None else torch.zeros(0) for g in gradients)]
    for how in ("interpret", "specialise"):
        assert len(outcomes[how]) == len(outcomes["eager"])
        for position, (got, wanted) in enumerate(zip(outcomes[how], outcomes["eager"], strict=True)):
            assert same_bits(got, wanted), (how, position, got, wanted)


@pytest.mark.parametrize("function", CORPUS, ids=lambda f: f.name)
def test_specialised_without_a_gradient_of_the_state(graphs: Mapping[str, CreditGraph], function: Function) -> None:
    """The program that shares more work, as training uses it: the same bits too."""
    graph = graphs[function.name]
    results = []
    for how in ("interpret", "specialise"):
        values = agents_q(33).requires_grad_()
        q_tot = apply_form(graph.header, run(function, graph, how, states(33), values), values).q_tot
        results.append((q_tot, *torch.autograd.grad(q_tot.square().sum(), [values])))
    for a, b in zip(*results, strict=True):
        assert same_bits(a, b)


@pytest.mark.parametrize("function", CORPUS, ids=lambda f: f.name)
def test_json_round_trip(graphs: Mapping[str, CreditGraph], function: Function) -> None:
    graph = graphs[function.name]
    data = graph.to_bytes()
    again = parse_graph(data)
    assert again == graph
    assert again.to_bytes() == data
    assert again.sha256 == graph.sha256
    assert len(data) < 20_000
    assert (graph.header.form == "general") == function.general


def test_tracing_twice_gives_the_same_bytes(graphs: Mapping[str, CreditGraph]) -> None:
    function = next(f for f in CORPUS if f.name == "helpers")
    again = trace_source(function.source, LAYOUT, N_AGENTS, scale="sum_to_n", igm="enforce")
    assert again == graphs["helpers"].to_bytes()


def test_header_is_hashed(graphs: Mapping[str, CreditGraph]) -> None:
    """The same function with another scale or IGM is another graph."""
    source = next(f for f in CORPUS if f.name == "level_share").source
    hashes = {graphs["level_share"].sha256}
    for scale, igm in (("raw", "enforce"), ("sum_to_n", "relax")):
        hashes.add(parse_graph(trace_source(source, LAYOUT, N_AGENTS, scale=scale, igm=igm)).sha256)  # type: ignore[arg-type]
    assert len(hashes) == 3


def test_ones_are_vdn_to_the_bit(graphs: Mapping[str, CreditGraph]) -> None:
    values = agents_q(64)
    raw = specialise(graphs["ones"])(state=states(64))
    assert torch.equal(apply_form(graphs["ones"].header, raw, values).q_tot, values.sum(dim=-1, keepdim=True))
