"""What specialisation saves, and what it must leave alone."""

from __future__ import annotations

import copy
import weakref
from typing import Any

import pytest
import torch

from qredit.credit import interpret, parse_graph, specialise, specialiser
from qredit.credit.simplify import gradient_carriers, simplify
from tests.credit.build import HEADER, document, encoded
from tests.credit.corpus import agents_q, states


def node(op: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"op": op, "args": list(args), **({"kwargs": kwargs} if kwargs else {})}


REPEATED = document(
    [
        node("aten.exp.default", "n0"),  # n10
        node("aten.exp.default", "n0"),  # n11: the same
        node("aten.add.Tensor", "n10", "n11"),  # n12
        node("aten.sin.default", "n0"),  # n13: nobody reads it
        node("aten.eye.default", 3),  # n14: a constant
        node("aten.sum.dim_IntList", "n14", [0]),  # n15: a constant too
        node("aten.mul.Tensor", "n12", "n15"),  # n16
        node("aten.gt.Scalar", "n0", 1),  # n17
        node("aten.gt.Scalar", "n0", 1.0),  # n18: 1.0 is not 1
        node("aten.bitwise_and.Tensor", "n17", "n18"),  # n19
        node("aten.where.ScalarOther", "n19", "n16", 0.5),  # n20
    ],
    outputs=["n20"],
)


def test_shared_and_dropped_nodes() -> None:
    graph = parse_graph(encoded(REPEATED))
    free = simplify(graph, gradients_of=frozenset())
    assert 11 not in free.nodes  # shared with 10
    assert 13 not in free.nodes  # dead
    assert {17, 18} <= set(free.nodes)
    assert str(free.nodes[12].args[1]) == "n10"
    bound = simplify(graph, gradients_of=frozenset({"state"}))
    assert {10, 11} <= set(bound.nodes)  # a gradient flows through both


def test_a_gradient_flows_through_floats_only() -> None:
    graph = parse_graph(encoded(REPEATED))
    carriers = gradient_carriers(graph, frozenset({"state"}))
    assert {0, 3, 10, 11, 12, 16, 20} <= carriers
    assert not carriers & {2, 4, 5, 14, 15, 17, 18, 19}
    assert gradient_carriers(graph, frozenset({"agents_q"})) == set()


def test_what_no_step_reads_any_more_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand operations on thousands of states would take gigabytes otherwise."""
    depth = 40
    nodes = [node("aten.exp.default", "n0"), *(node("aten.sin.default", f"n{10 + k}") for k in range(depth))]
    graph = parse_graph(encoded(document(nodes, outputs=[f"n{10 + depth}"])))
    made: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def sine(x: torch.Tensor) -> torch.Tensor:
        alive.append(sum(one() is not None for one in made))
        result = x.sin()
        made.append(weakref.ref(result))
        return result

    monkeypatch.setattr(specialiser, "_FAST", {"sin": sine})
    state = states(4)
    (found,) = specialise(graph)(state=state)
    assert torch.equal(found, interpret(graph, state=state)[0])
    assert len(alive) == depth
    assert max(alive) <= 1


def test_results_are_equal_whoever_calls_first() -> None:
    """Constants made in inference mode could not be used in training."""
    graph = parse_graph(encoded(REPEATED))
    fast = specialise(graph)
    with torch.inference_mode():
        (inferred,) = fast(state=states(4))
    state = states(4).requires_grad_()
    (trained,) = fast(state=state)
    torch.autograd.grad(trained.sum(), [state])
    assert torch.equal(inferred, trained)
    assert torch.equal(interpret(graph, state=states(4))[0], trained)


def test_copies_are_independent() -> None:
    """A target network is a deep copy of its mixer."""
    fast = specialise(parse_graph(encoded(REPEATED)))
    before = fast(state=states(4))[0]
    assert torch.equal(copy.deepcopy(fast)(state=states(4))[0], before)


def test_inputs_are_checked_and_made_contiguous() -> None:
    graph = parse_graph(encoded(REPEATED))
    strided = states(4).t().contiguous().t()
    for run in (specialise(graph), lambda state: interpret(graph, state=state)):
        assert torch.equal(run(state=strided)[0], run(state=states(4))[0])
        for wrong in (states(4)[:, :20], states(4).double(), states(4)[0]):
            with pytest.raises(ValueError, match="state must be"):
                run(state=wrong)


def test_general_form_needs_both_inputs() -> None:
    content = document(
        [node("aten.sum.dim_IntList", "agents_q", [1], True)], header={**HEADER, "form": "general"}, outputs=["n10"]
    )
    graph = parse_graph(encoded(content))
    with pytest.raises(ValueError, match="needs agents_q"):
        specialise(graph)(state=states(2))
    with pytest.raises(ValueError, match="agents_q must be"):
        interpret(graph, state=states(2), agents_q=torch.zeros(2, 4))
    assert torch.equal(interpret(graph, state=states(2), agents_q=agents_q(2))[0], agents_q(2).sum(1, keepdim=True))


def test_results_go_to_the_device_of_the_state() -> None:
    """Constants and factories too; `meta` stands for any other device."""
    graph = parse_graph(encoded(REPEATED))
    fast = specialise(graph)
    assert fast(state=states(3))[0].device.type == "cpu"
    assert fast(state=states(3).to("meta"))[0].device.type == "meta"
    assert interpret(graph, state=states(3).to("meta"))[0].device.type == "meta"
