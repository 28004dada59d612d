"""A dry run without data: shapes, memory, work and index bounds of a graph at five batch sizes; then a real run.

The dry run is on the device `meta`, where tensors have a shape and no memory, so a forged `expand` to terabytes costs
nothing here and is refused. Only what passes it is run, with a batch of 1 and of 2: the device `meta` does not check
all that the real operations check.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch

from qredit.credit.dry_run import FAILURES, DryRun, Seen, failed, where
from qredit.credit.interpreter import interpret
from qredit.credit.schema import CreditGraph, graph_error

BATCHES = (1, 2, 3, 1024, 65536)
"""Batch sizes of the dry run."""
BASE_LIMIT = 64 * 2**20
"""Bytes of all values of a graph together for a batch of 2."""
ROW_LIMIT = 2**20
"""Bytes of all values per state of the batch, or `STATE_MULTIPLE` times the state's own size if that is more."""
STATE_MULTIPLE = 64
BASE_WORK = 10**8
"""Multiplications of all products and distances of a graph together for a batch of 2."""
ROW_WORK = 10**6
"""Multiplications per state of the batch."""


def memory_check(graph: CreditGraph) -> None:
    """Refuse a graph that fails, needs absurd memory or work, grows faster than the batch or may read out of range.

    All values count as if nothing were freed: that is what training with gradients holds.

    Raises:
        GraphError: with the node, where there is one.
    """
    seen = Seen()
    trials = {batch: DryRun(graph, batch, seen) for batch in BATCHES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as that of `std` over a batch of 1
        for trial in trials.values():
            trial.run()
        _check_sizes(graph, [trials[batch].results for batch in BATCHES])
        small, medium, large = (trials[batch] for batch in (2, 1024, 65536))
        if large.bytes * medium.batch > medium.bytes * large.batch:
            raise graph_error(
                "memory", "it grows faster than linearly with the batch", "Do not combine states of a batch."
            )
        row_limit = max(ROW_LIMIT, STATE_MULTIPLE * 4 * graph.header.state_size)
        _check_limit("memory in bytes", small.bytes, BASE_LIMIT, f"for a batch of {small.batch}")
        _check_limit("memory in bytes", large.bytes // large.batch, row_limit, "per state")
        _check_limit("multiplications", small.work, BASE_WORK, f"for a batch of {small.batch}")
        _check_limit("multiplications", large.work // large.batch, ROW_WORK, "per state")
        for batch in BATCHES[:2]:
            _run(graph, batch)


def _check_limit(what: str, needed: int, limit: int, per: str) -> None:
    if needed > limit:
        raise graph_error(what, f"it needs {needed} {per}, the limit is {limit}", "Use smaller intermediate tensors.")


def _run(graph: CreditGraph, batch: int) -> None:
    """Run it with zeros; in the general form also backwards, since training sends a gradient through it."""
    state = torch.zeros(batch, graph.header.state_size)
    agents_q = torch.zeros(batch, graph.header.n_agents, requires_grad=graph.header.form == "general")
    try:
        with torch.inference_mode(False), torch.enable_grad():
            q_tot = interpret(graph, state=state, agents_q=agents_q)[0]
            if q_tot.requires_grad:
                torch.autograd.grad(q_tot.sum(), [agents_q], allow_unused=True)
    except FAILURES as error:
        raise failed("credit graph", batch, error) from None


def _check_sizes(graph: CreditGraph, results: Sequence[Sequence[Any]]) -> None:
    """Every integer must be affine in `B`: then it is what the dry run saw for each batch, not only for these five."""
    for index, values in enumerate(zip(*results, strict=True)):
        if not isinstance(values[0], int):
            continue
        slope = values[1] - values[0]
        if any(v != values[0] + slope * (b - 1) for v, b in zip(values, BATCHES, strict=True)):
            cause = "the integer is no constant plus a multiple of the batch size"
            raise graph_error(where(graph, index), cause, "Do not compute with the batch size.")
