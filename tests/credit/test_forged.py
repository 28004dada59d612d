"""Forged graphs: each is refused with a message, in bounded time and memory, whatever the bytes are."""

from __future__ import annotations

import copy
import json
import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from qredit.credit import GraphError, interpret, parse_graph
from tests.credit.build import CONSTANTS, HEADER, NEXT, document, encoded, with_operation
from tests.credit.corpus import states

HUGE = 2**31 - 1


def node(op: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"op": op, "args": list(args), **({"kwargs": kwargs} if kwargs else {})}


def header(**changes: Any) -> dict[str, Any]:
    return document(header={**HEADER, **changes})


def constant(dtype: Any, shape: Any, values: Any) -> dict[str, Any]:
    return document(constants=[{"dtype": dtype, "shape": shape, "values": values}])


GATHER = node("aten.gather.default", "n0", 1, "n10")

FORGED: dict[str, tuple[Any, str]] = {
    # the document
    "list": ([], "must be an object"),
    "missing key": ({k: v for k, v in document().items() if k != "outputs"}, "must be an object"),
    "extra key": (document(hook="import os"), "must be an object"),
    "format 2": (document(format=2), "format `2` is unknown"),
    "format true": (document(format=True), "format `True` is unknown"),
    "nodes no list": (document() | {"nodes": {}}, "must be a list"),
    "2001 nodes": (document([node("aten.abs.default", "n0")] * 2001), "the limit is 2000"),
    # the header
    "form": (header(form="sums"), "none of weights, general"),
    "scale": (header(scale="sum"), "none of"),
    "igm": (header(igm=None), "no str"),
    "agents bool": (header(n_agents=True), "no int"),
    "agents 0": (header(n_agents=0), "n_agents must be in"),
    "agents many": (header(n_agents=10**6), "n_agents must be in"),
    "state many": (header(state_size=10**6), "state_size in"),
    "header extra": (header(evil=1), "must be an object"),
    "general with bias": (header(form="general", has_bias=True), "no bias"),
    "value with bias": (header(form="value", has_bias=True), "no bias"),
    "value per agent": (header(form="value"), "Return a float32 tensor [B, 1]"),
    # constants
    "dtype complex": (constant("complex64", [1], [1.0]), "none of bool"),
    "dtype attribute": (constant("__class__", [1], [1.0]), "none of bool"),
    "dtype no text": (constant([], [1], [1.0]), "none of bool"),
    "shape negative": (constant("float32", [-1], []), "positive integers"),
    "shape zero": (constant("float32", [0], []), "positive integers"),
    "shape mismatch": (constant("float32", [2], [1.0]), "does not fit"),
    "shape of the product of huge numbers": (constant("float32", [HUGE, HUGE], [1.0]), "does not fit"),
    "too many values": (constant("float32", [4097], [0.0] * 4097), "the limit is 4096"),
    "value text": (constant("float32", [1], ["os"]), "no float32"),
    "value too large for float32": (constant("float32", [1], [1e300]), "no float32"),
    "float in int64": (constant("int64", [1], [1.5]), "no int64"),
    "inf in int64": (constant("int64", [1], ["inf"]), "no int64"),
    "int in bool": (constant("bool", [1], [1]), "no bool"),
    "bool in int64": (constant("int64", [1], [True]), "no int64"),
    "uint8 range": (constant("uint8", [1], [256]), "no uint8"),
    # operations
    "unknown op": (with_operation("aten.foo.default", ["x"]), "not allowed"),
    "custom namespace": (with_operation("evil.mul.Tensor", ["x", "x"]), "not allowed"),
    "from_file": (with_operation("aten.from_file.default", ["/etc/passwd"]), "not allowed"),
    "set_": (with_operation("aten.set_.source_Storage", ["x", "x"]), "not allowed"),
    "in place": (with_operation("aten.add_.Tensor", ["x", 1]), "not allowed"),
    "as_strided": (with_operation("aten.as_strided.default", ["x", [3], [1]]), "not allowed"),
    "empty": (with_operation("aten.empty.memory_format", [[3]]), "not allowed"),
    "random": (with_operation("aten.rand.default", [[3]]), "not allowed"),
    "item": (with_operation("aten.item.default", ["x"]), "not allowed"),
    "dunder": (with_operation("aten.mul.__class__", ["x"]), "not allowed"),
    "op no text": (with_operation(["aten.mul.Tensor"], ["x"]), "not allowed"),  # type: ignore[arg-type]
    "pow on integers": (document([node("int.pow", 10, 10**7)]), "not allowed"),
    # arguments
    "missing argument": (with_operation("aten.mul.Tensor", ["x"]), "`other` is missing"),
    "missing keyword": (with_operation("aten.div.Tensor_mode", ["x", 2]), "`rounding_mode` is missing"),
    "too many arguments": (with_operation("aten.abs.default", ["x", 1]), "does not take"),
    "unknown keyword": (with_operation("aten.abs.default", ["x"], {"out": "x"}), "does not take"),
    "device": (with_operation("aten.zeros.default", [[3]], {"device": "cuda"}), "does not take"),
    "text argument": (with_operation("aten.div.Tensor_mode", ["x", 2], {"rounding_mode": "up"}), "no str"),
    "dtype argument": (with_operation("aten._to_copy.default", ["x"], {"dtype": "float16"}), "no ScalarType"),
    "number for a tensor": (with_operation("aten.abs.default", [3]), "no reference"),
    "null for a tensor": (with_operation("aten.abs.default", [None]), "no reference"),
    "list for a number": (with_operation("aten.eq.Scalar", ["x", [1]]), "no reference"),
    "tensor for a number": (with_operation("aten.eq.Scalar", ["x", "y"]), "no number"),
    "tensor for a size": (with_operation("aten.zeros.default", [["x"]]), "no integer"),
    "float for a size": (with_operation("aten.zeros.default", [[1.5]]), "no reference"),
    "integer for a tensor": (with_operation("aten.abs.default", ["B"]), "no tensor"),
    "bool for a dimension": (with_operation("aten.unsqueeze.default", ["x", True]), "no int"),
    "long list": (with_operation("aten.expand.default", ["x", [1] * 9]), "the limit is 8"),
    "long list of tensors": (with_operation("aten.stack.default", [["x"] * 257]), "the limit is 256"),
    "nested list": (with_operation("aten.stack.default", [[["x"]]]), "no reference"),
    # references
    "forward": (with_operation("aten.abs.default", ["n11"]), "nothing before it"),
    "itself": (with_operation("aten.abs.default", ["n10"]), "nothing before it"),
    "no such constant": (with_operation("aten.abs.default", ["c99"]), "nothing before it"),
    "no such input": (with_operation("aten.abs.default", ["agents_q"]), "nothing before it"),
    "leading zero": (with_operation("aten.abs.default", ["n00"]), "no reference"),
    "negative": (with_operation("aten.abs.default", ["n-1"]), "no reference"),
    "other digits": (with_operation("aten.abs.default", ["n\u0661"]), "no reference"),
    "item of one tensor": (document([], outputs=["n0.0"]), "one result"),
    "no item of several": (with_operation("aten.topk.default", ["x", 2]), "one result"),
    "third item of two": (with_operation("aten.topk.default", ["x", 2], item=2), "one result"),
    "item beyond a list": (with_operation("aten.unbind.int", ["x", 1], item=3), "index out of range"),
    "integer as output": (document(outputs=["n2"]), "no tensor"),
    "two outputs": (document(outputs=["n0", "n0"]), "the limit is 1"),
    "no output": (document(outputs=[]), "the header asks for 1"),
    "output no text": (document(outputs=[0]), "no reference"),
    # what it computes
    "wrong shape": (document(outputs=["n3"]), "Return a float32 tensor"),
    "wrong dtype": (document(outputs=["n5"]), "Return a float32 tensor"),
    "shapes do not fit": (with_operation("aten.add.Tensor", ["x", "u"]) | {"outputs": ["n10"]}, "Return a float32"),
    "matrices do not fit": (with_operation("aten.bmm.default", ["p", "p"]), "it fails"),
    "dimension out of range": (with_operation("aten.select.int", ["x", 7, 0]), "it fails"),
    "only for even batches": (with_operation("aten.view.default", ["x", [-1, 2, 3]]), "with a batch of 1 it fails"),
    "only for one batch": (with_operation("aten.view.default", ["x", [2, 3]]), "it fails"),
    "empty result": (with_operation("aten.slice.Tensor", ["x", 1, 3, 3]), "is empty"),
    "nine dimensions": (
        document([node("aten.expand.default", "n0", [1] * 6 + ["n2", 3]), node("aten.unsqueeze.default", "n10", 0)]),
        "more than 8 dimensions",
    ),
    # integers
    "overflow": (document([node("int.mul", HUGE, 2)]), "2**31 or more"),
    "overflow in steps": (document([node("int.mul", "n2", 2**20), node("int.mul", "n10", 2**20)]), "2**31 or more"),
    "division by zero": (document([node("int.floordiv", "n2", 0)]), "divides by zero"),
    "modulo zero": (document([node("int.mod", "n2", 0)]), "divides by zero"),
    "B squared": (document([node("int.mul", "n2", "n2")]), "2**31 or more"),
    "spike at some batch": (document([node("int.mod", "n2", 7)]), "no constant plus a multiple"),
    "integer of three": (document([node("int.add", 1, 2, 3)]), "the limit is 2"),
    "integer with a float": (document([node("int.add", 1, 2.0)]), "no reference"),
    # memory
    "terabytes": (with_operation("aten.full.default", [[HUGE, 500], 1.0]), "it needs"),
    "expand to terabytes": (with_operation("aten.expand.default", ["x", [HUGE, "B", 3]]), "it needs"),
    "arange to gigabytes": (with_operation("aten.arange.default", [HUGE]), "it needs"),
    "more than memory can count": (with_operation("aten.zeros.default", [[HUGE, HUGE, HUGE]]), "it fails"),
    "B by B": (with_operation("aten.zeros.default", [["B", "B"]]), "faster than linearly"),
    "B by B in one product": (with_operation("aten.mm.default", ["x", "n7"]), "it fails"),
    "much per state": (with_operation("aten.zeros.default", [["B", 300_000]]), "per state"),
    "slow distances": (
        document([node("aten.ones.default", [1500, 1500]), node("aten.cdist.default", "n10", "n10", 2.5)]),
        "multiplications: it needs",
    ),
    "slow product per state": (
        document([node("aten.ones.default", ["n2", 250, 250]), node("aten.bmm.default", "n10", "n10")]),
        "multiplications: it needs",
    ),
    "no derivative": (
        document(
            [node("aten.floor_divide.default", "agents_q", 2.0), node("aten.slice.Tensor", "n10", 1, 0, 1)],
            header={**HEADER, "form": "general"},
            outputs=["n11"],
        ),
        "derivative",
    ),
    "dtype that an operation lacks": (with_operation("aten.bitwise_not.default", ["x"]), "not implemented for"),
    "dtypes that do not fit": (with_operation("aten.mm.default", ["raw_i", "c2"]), "it fails"),
    "a million tensors": (
        document([node("aten.zeros.default", [10**6]), node("aten.unbind.int", "n10", 0)]),
        "the limit is 256",
    ),
    "a million pieces": (
        document([node("aten.zeros.default", [10**6]), node("aten.split.Tensor", "n10", 1)]),
        "the limit is 256",
    ),
    "pieces of size 0": (with_operation("aten.split.Tensor", ["x", 0], item=0), "the limit is 256"),
    # reading out of range
    "index from data": (with_operation("aten.gather.default", ["x", 1, "raw_i"]), "an index may leave 0..2"),
    "clamped too late": (document([node("aten.clamp.default", "n5", 0, 3), GATHER]), "may leave"),
    "clamped on one side": (document([node("aten.clamp.default", "n5", 0), GATHER]), "may leave"),
    "clamped as float": (
        document([
            node("aten.clamp.default", "n0", 0, 2),
            node("aten._to_copy.default", "n10", dtype="int64"),
            node("aten.gather.default", "n0", 1, "n11"),
        ]),
        "may leave",
    ),
    "shifted index": (document([node("aten.add.Tensor", "n6", 1), GATHER]), "may leave"),
    "constant out of range": (with_operation("aten.index_select.default", ["u", 2, "c1"]), "may leave 0..0"),
    "index_put out of range": (with_operation("aten.index_put.default", ["u", [None, None, "c1"], "c0"]), "may leave"),
    "embedding out of range": (with_operation("aten.embedding.default", ["c2", "raw_i"]), "may leave"),
    "scatter out of range": (with_operation("aten.scatter.value", ["x", 1, "raw_i", 1.0]), "may leave"),
    "arange longer than the table": (
        document([node("aten.arange.default", 4), node("aten.index_select.default", "n0", 1, "n10")]),
        "may leave",
    ),
    "mask as index": (with_operation("aten.index.Tensor", ["x", ["m"]]), "torch.where"),
    "float as index": (with_operation("aten.index.Tensor", ["x", ["y"]]), "must be an integer"),
    "integers divided by data": (with_operation("aten.floor_divide.default", ["raw_i", "i"]), "zero or negative"),
    "integers modulo 0": (with_operation("aten.remainder.Scalar", ["raw_i", 0]), "zero or negative"),
    "integers divided by -1": (with_operation("aten.floor_divide.default", ["raw_i", -1]), "zero or negative"),
    "integers rounded": (with_operation("aten.div.Tensor_mode", ["i", "i"], {"rounding_mode": "trunc"}), "zero or"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_forged_graph_is_refused(name: str) -> None:
    content, cause = FORGED[name]
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(GraphError) as refused:
        parse_graph(encoded(content))
    assert cause in f"{refused.value}"
    assert refused.value.family == "user"
    assert len(str(refused.value)) < 700
    assert time.process_time() - started < 20  # a bound, no measurement: none of these takes a second
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


RAW: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "no valid JSON"),
    "binary": (b"\x80\x04\x95pickle", "not ASCII"),
    "utf-8": ('{"form\u00e9": 1}'.encode(), "not ASCII"),
    "too large": (b" " * 200_001, "at most 200000 bytes"),
    "deep": (b"[" * 100_000, "nested deeper than 8"),
    "deep objects": (b'{"a":' * 30_000 + b"1" + b"}" * 30_000, "nested deeper than 8"),
    "brackets in text only": (b'["' + b"[" * 1000 + b'"]', "must be an object"),
    "escaped quotes": (b'["\\"' + b"[" * 1000 + b'"]', "must be an object"),
    "open text": (b'["' + b"[" * 1000, "nested deeper"),
    "twice": (b'{"format": 1, "format": 1}', "stands twice"),
    "NaN": (b'{"format": NaN}', "JSON has none"),
    "Infinity": (b"[-Infinity]", "JSON has none"),
    "overflowing float": (b"[1e999]", "too large"),
    "long float": (b"[0." + b"1" * 100 + b"]", "more than 40 characters"),
    "large integer": (b"[2147483648]", "smaller than 2**31"),
    "long integer": (b"[" + b"9" * 100_000 + b"]", "smaller than 2**31"),
    "trailing": (b"{} {}", "no valid JSON"),
    "comment": (b"{} // x", "no valid JSON"),
}


@pytest.mark.parametrize("name", RAW)
def test_bytes_that_are_no_graph(name: str) -> None:
    data, cause = RAW[name]
    with pytest.raises(GraphError, match=cause.replace("*", r"\*")):
        parse_graph(data)


def test_at_least_a_hundred_forgeries() -> None:
    assert len(FORGED) + len(RAW) >= 100


@pytest.mark.parametrize(
    ("further", "index"),
    [
        ([node("aten.arange.default", 3)], "n10"),
        ([node("aten.argmax.default", "n0", 1, True)], "n10"),
        ([node("aten.sort.default", "n0", 1)], "n10.1"),
        ([node("aten.topk.default", "n0", 2, 1)], "n10.1"),
        ([node("aten.remainder.Scalar", "n5", 3)], "n10"),
        ([node("aten._to_copy.default", "n4", dtype="int64")], "n10"),
        ([node("aten._to_copy.default", "n4", dtype="int64"), node("aten.mul.Tensor", "n10", 2)], "n11"),
        ([node("aten.rsub.Scalar", "n6", 2)], "n10"),
        ([node("aten.where.self", "n4", "n6", "c1")], "n10"),
        ([node("aten.clamp_min.default", "n5", 0), node("aten.clamp_max.default", "n10", 2)], "n11"),
        ([node("aten.flip.default", "n6", [1]), node("aten.roll.default", "n10", [1], [1])], "n11"),
        ([node("aten.cat.default", ["n6", "n6"], 1)], "n10"),
        ([node("aten.zeros_like.default", "n6")], "n10"),
        ([node("aten.minimum.default", "n5", "c1"), node("aten.maximum.default", "n10", "n6")], "n11"),
    ],
)
def test_index_that_is_provably_in_range(further: list[dict[str, Any]], index: str) -> None:
    """Each really stays in range, for extreme states and NaN too."""
    if index == "n10" and further[0]["op"] in ("aten.arange.default",):
        nodes = [*further, node("aten.index_select.default", "n0", 1, index)]
    else:
        nodes = [*further, node("aten.gather.default", "n0", 1, index)]
    count = NEXT + len(nodes)
    nodes += [node("aten.sum.default", f"n{count - 1}"), node("aten.add.Tensor", "n8", f"n{count}")]
    graph = parse_graph(encoded(document(nodes, outputs=[f"n{count + 1}"])))
    state = states(8)
    state[0], state[1], state[2], state[3] = float("nan"), float("inf"), -float("inf"), 1e30
    assert interpret(graph, state=state)[0].shape == (8, 3)


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_mutated_bytes_never_raise_anything_else(data: st.DataObject) -> None:
    """Flipped, cut, doubled and inserted bytes."""
    raw = bytearray(encoded(document([node("aten.topk.default", "n0", 2, 1)])))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(raw) - 1))
        action = data.draw(st.sampled_from(["flip", "cut", "insert", "double"]))
        if action == "flip":
            raw[at] = data.draw(st.integers(0, 255))
        elif action == "cut":
            del raw[at : at + data.draw(st.integers(1, 40))]
        elif action == "insert":
            raw[at:at] = data.draw(st.sampled_from([b"[", b'"', b"-", b"9", b"null", b"n1", b"1e9", b"true", b","]))
        else:
            raw[at:at] = raw[at : at + 60]
        if not raw:
            break
    _must_be_a_graph_or_an_error(bytes(raw))


def _places(value: Any) -> list[Callable[[Any], None]]:
    """Setters of every value inside a document."""
    found: list[Callable[[Any], None]] = []
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        found.append(partial(value.__setitem__, key))
        found += _places(value[key])
    return found


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-HUGE, HUGE),
    st.integers(-3, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["n0", "n2", "n3", "n5", "n6", "c0", "c1", "state", "n10.1", "inf", "nan", "float64", "bool", "int64"]
    ),
    st.sampled_from(["aten.mul.Tensor", "aten.view.default", "aten.unbind.int", "aten.full_like.default", "int.mul"]),
    st.lists(st.integers(-2, 4), max_size=4),
    st.text(max_size=5),
)


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_mutated_values_never_raise_anything_else(data: st.DataObject) -> None:
    """Values of a well-formed document replaced by others; what is accepted runs at any batch size."""
    further = [
        node("aten.unbind.int", "n3", 1),
        node("aten.sum.dim_IntList", "n3", [2], False, dtype="float32"),
        node("aten.gather.default", "n0", 1, "n6"),
        node("int.add", "n2", 1),
        node("aten.where.ScalarOther", "n4", "n11", 0.5),
        node("aten.split.Tensor", "n14", 2, 1),
        node("aten.cat.default", ["n15.0", "n10.0"], 1),
        node("aten.slice.Tensor", "n16", 1, 0, 3),
    ]
    content = copy.deepcopy(document(further, constants=CONSTANTS[:2], outputs=["n17"]))
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(content)
        places[data.draw(st.integers(0, len(places) - 1))](data.draw(VALUES))
    _must_be_a_graph_or_an_error(encoded(content))


def _must_be_a_graph_or_an_error(data: bytes) -> None:
    try:
        graph = parse_graph(data)
    except GraphError:
        return
    assert parse_graph(graph.to_bytes()) == graph
    assert json.loads(graph.to_bytes())["format"] == 1
    if graph.header.state_size == 21 and graph.header.form == "weights":
        for batch in (1, 5):
            assert interpret(graph, state=states(batch))[0].shape == (batch, graph.header.n_agents)
