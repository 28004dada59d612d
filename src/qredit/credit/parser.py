"""From bytes to a checked credit graph: an exact allowlist, a type for each argument, backward references only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn, get_args

import torch

from qredit.credit.decode import INTEGER_LIMIT, decode_json, shown
from qredit.credit.memory import memory_check
from qredit.credit.opset import DTYPES, INTEGER_OPS, MEMORY_FORMATS, TEXTS, Parameter, operations
from qredit.credit.schema import (
    FORMAT,
    Argument,
    Constant,
    CreditGraph,
    Form,
    Header,
    Igm,
    Node,
    Ref,
    Scale,
    graph_error,
    read_float,
)

NODE_LIMIT = 2000
"""Nodes of a graph."""
CONSTANT_LIMIT = 4096
"""Elements of a constant, and constants of a graph."""
RANK_LIMIT = 8
"""Dimensions of a tensor and entries of a list of integers."""
LIST_LIMIT = 256
"""Entries of a list of tensors or of sizes to split into."""
AGENTS_LIMIT = 256
"""Agents `N`."""
STATE_LIMIT = 100_000
"""Numbers of a state `S`."""

Kind = Literal["tensor", "int", "several"]


def parse_graph(data: bytes) -> CreditGraph:
    """Parse a credit graph that anyone may have written, and prove that it can be run.

    What is returned has only allowed operations with arguments of the right types, refers backwards only, needs memory
    that grows at most linearly with the batch, and never reads outside a tensor.

    Raises:
        GraphError: any of this does not hold; within a few seconds and a few hundred MB whatever the bytes are.
    """
    graph = _Reader().graph(decode_json(data))
    memory_check(graph)
    return graph


class _Reader:
    """Reads one document; knows the kind of each value that later nodes may refer to."""

    def __init__(self) -> None:
        self.where = "credit graph"
        self.inputs: tuple[str, ...] = ()
        self.n_constants = 0
        self.nodes: list[tuple[Kind, int | None]] = []

    def refuse(self, cause: str) -> NoReturn:
        raise graph_error(self.where, cause)

    def graph(self, document: Any) -> CreditGraph:
        keys = {"format", "header", "constants", "nodes", "outputs"}
        if not isinstance(document, dict) or set(document) != keys:
            self.refuse(f"it must be an object with the keys {', '.join(sorted(keys))}")
        if type(document["format"]) is not int or document["format"] != FORMAT:
            self.refuse(f"format {shown(document['format'])} is unknown, this qredit reads {FORMAT}")
        header = self.header(document["header"])
        self.inputs = header.inputs
        entries = self.list_of(document["constants"], "constants", CONSTANT_LIMIT)
        constants = tuple(self.constant(i, entry) for i, entry in enumerate(entries))
        self.n_constants = len(constants)
        entries = self.list_of(document["nodes"], "nodes", NODE_LIMIT)
        nodes = tuple(self.node(i, entry) for i, entry in enumerate(entries))
        self.where = "outputs"
        outputs = tuple(self.tensor(entry) for entry in self.list_of(document["outputs"], "outputs", header.n_outputs))
        if len(outputs) != header.n_outputs:
            self.refuse(f"there are {len(outputs)}, the header asks for {header.n_outputs}")
        return CreditGraph(header, constants, nodes, outputs)

    def list_of(self, value: Any, what: str, limit: int) -> Sequence[Any]:
        if not isinstance(value, list):
            self.refuse(f"{what} must be a list")
        if len(value) > limit:
            self.refuse(f"{what} has {len(value)} entries, the limit is {limit}")
        return value

    def header(self, value: Any) -> Header:
        self.where = "header"
        types: Mapping[str, type] = {
            "form": str, "scale": str, "igm": str, "n_agents": int, "state_size": int, "has_bias": bool
        }  # fmt: skip
        if not isinstance(value, dict) or set(value) != set(types):
            self.refuse(f"it must be an object with the keys {', '.join(sorted(types))}")
        for name, wanted in types.items():
            if type(value[name]) is not wanted:
                self.refuse(f"{name} {shown(value[name])} is no {wanted.__name__}")
        for name, choices in (
            ("form", get_args(Form)), ("scale", get_args(Scale)), ("igm", get_args(Igm))
        ):  # fmt: skip
            if value[name] not in choices:
                self.refuse(f"{name} {shown(value[name])} is none of {', '.join(choices)}")
        if not 1 <= value["n_agents"] <= AGENTS_LIMIT or not 1 <= value["state_size"] <= STATE_LIMIT:
            self.refuse(f"n_agents must be in 1..{AGENTS_LIMIT} and state_size in 1..{STATE_LIMIT}")
        if value["form"] != "weights" and value["has_bias"]:
            self.refuse(f"the form {value['form']} has no bias of its own")
        return Header(**value)

    def constant(self, index: int, value: Any) -> Constant:
        self.where = f"constant c{index}"
        if not isinstance(value, dict) or set(value) != {"dtype", "shape", "values"}:
            self.refuse("it must be an object with the keys dtype, shape, values")
        dtype = value["dtype"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            self.refuse(f"dtype {shown(dtype)} is none of {', '.join(DTYPES)}")
        shape = tuple(self.list_of(value["shape"], "shape", RANK_LIMIT))
        if not all(type(d) is int and d >= 1 for d in shape):
            self.refuse(f"shape {shown(list(shape))} must hold positive integers")
        values = self.list_of(value["values"], "values", CONSTANT_LIMIT)
        if math.prod(shape) != len(values):
            self.refuse(f"shape {shown(list(shape))} does not fit {len(values)} values")
        return Constant(dtype, shape, tuple(self.element(dtype, v) for v in values))

    def element(self, dtype: str, value: Any) -> float | int | bool:
        if dtype == "bool":
            if not isinstance(value, bool):
                self.refuse(f"value {shown(value)} is no bool")
            return value
        if DTYPES[dtype].is_floating_point:
            number = read_float(value)
            if number is None or (math.isfinite(number) and abs(number) > torch.finfo(DTYPES[dtype]).max):
                self.refuse(f"value {shown(value)} is no {dtype}")
            return number
        if type(value) is not int or not torch.iinfo(DTYPES[dtype]).min <= value <= torch.iinfo(DTYPES[dtype]).max:
            self.refuse(f"value {shown(value)} is no {dtype}")
        return value

    def node(self, index: int, value: Any) -> Node:
        self.where = f"node n{index}"
        if not isinstance(value, dict) or not {"op", "args"} <= set(value) <= {"op", "args", "kwargs"}:
            self.refuse("it must be an object with the keys op, args and perhaps kwargs")
        op = value["op"]
        if op in INTEGER_OPS:
            node = self.integer_node(op, value)
            self.nodes.append(("int", None))
            return node
        operation = operations().get(op) if isinstance(op, str) else None
        if operation is None:
            self.refuse(f"operation {shown(op)} is not allowed")
        self.where = f"node n{index} (`{op}`)"
        args = self.list_of(value["args"], "args", RANK_LIMIT)
        kwargs = value.get("kwargs", {})
        positional = [p for p in operation.parameters if not p.keyword]
        keyword = {p.name: p for p in operation.parameters if p.keyword}
        if not isinstance(kwargs, dict) or not set(kwargs) <= set(keyword) or len(args) > len(positional):
            self.refuse("it has arguments that the operation does not take")
        missing = [p.name for p in positional[len(args) :] if p.required]
        missing += [name for name, p in keyword.items() if p.required and name not in kwargs]
        if missing:
            self.refuse(f"argument `{missing[0]}` is missing")
        node = Node(
            op,
            tuple(self.argument(op, p, a) for p, a in zip(positional, args, strict=False)),
            tuple((name, self.argument(op, keyword[name], kwargs[name])) for name in sorted(kwargs)),
        )
        self.nodes.append(
            ("tensor", None) if operation.results == 1 else ("int", None) if operation.results == 0
            else ("several", operation.results)
        )  # fmt: skip
        return node

    def integer_node(self, op: str, value: Mapping[str, Any]) -> Node:
        args = self.list_of(value["args"], "args", 2)
        if len(args) != 2 or "kwargs" in value:
            self.refuse(f"{op} takes two integers")
        return Node(op, tuple(self.integer(a) for a in args))

    def argument(self, op: str, parameter: Parameter, value: Any) -> Argument:
        if not parameter.is_list:
            if value is None and parameter.optional:
                return None
            return self.single(op, parameter, value)
        whole = parameter.optional and parameter.type != "Tensor"  # `int[]?`; in `Tensor?[]` an element may be None
        if value is None and whole:
            return None
        long = parameter.type == "Tensor" or parameter.name == "split_sizes"
        entries = self.list_of(value, f"`{parameter.name}`", LIST_LIMIT if long else RANK_LIMIT)
        return tuple(
            None if entry is None and parameter.optional and not whole else self.single(op, parameter, entry)
            for entry in entries
        )

    def single(self, op: str, parameter: Parameter, value: Any) -> Argument:
        kind = parameter.type
        if kind == "Tensor":
            return self.tensor(value)
        if kind == "Operand":
            return self.number(value, tensors=True)
        if kind == "Scalar":
            return self.number(value, tensors=False)
        if kind == "SymInt":
            return self.integer(value)
        if kind == "int" and type(value) is int:
            return value
        if kind == "bool" and isinstance(value, bool):
            return value
        if kind == "float" and (number := read_float(value)) is not None:
            return number
        texts: Mapping[str, Any] = {"ScalarType": DTYPES, "MemoryFormat": MEMORY_FORMATS}.get(kind, {})
        if isinstance(value, str) and value in texts:
            return value
        if kind == "str" and isinstance(value, str) and TEXTS[op, parameter.name].fullmatch(value):
            return value
        return self.refuse(f"`{parameter.name}` {shown(value)} is no {kind}")

    def number(self, value: Any, *, tensors: bool) -> Argument:
        if isinstance(value, bool | int):
            return value
        if (number := read_float(value)) is not None:
            return number
        ref, kind = self.reference(value)
        if kind == "int" or (kind == "tensor" and tensors):
            return ref
        return self.refuse(f"{shown(value)} is no number" + (" or tensor" if tensors else ""))

    def integer(self, value: Any) -> Argument:
        if type(value) is int:
            return value
        ref, kind = self.reference(value)
        if kind != "int":
            self.refuse(f"{shown(value)} is no integer smaller than {INTEGER_LIMIT}")
        return ref

    def tensor(self, value: Any) -> Ref:
        ref, kind = self.reference(value)
        if kind != "tensor":
            self.refuse(f"{shown(value)} is no tensor")
        return ref

    def reference(self, value: Any) -> tuple[Ref, Kind]:
        """The reference and the kind of what it refers to."""
        ref = Ref.parse(value) if isinstance(value, str) else None
        if ref is None:
            self.refuse(f"{shown(value)} is no reference and of no type that fits here")
        if ref.kind == "constant":
            known = ref.index < self.n_constants
        elif ref.kind == "node":
            known = ref.index < len(self.nodes)
        else:
            known = ref.kind in self.inputs
        if not known:
            self.refuse(f"{shown(value)} refers to nothing before it")
        if ref.kind != "node":
            return ref, "tensor"
        kind, results = self.nodes[ref.index]
        if (kind == "several") != (ref.item is not None) or (ref.item or 0) >= (results or LIST_LIMIT):
            self.refuse(f"{shown(value)} does not name one result of node n{ref.index}")
        return ref, "tensor" if kind == "several" else kind
