"""Random credit functions: each ends in a verdict, and an accepted one computes what its Python computes.

For a longer run raise `EXAMPLES`: one takes less than a second.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import given, note, settings
from torch import Tensor

from qredit.credit import CreditGraph, apply_form, interpret, parse_graph, specialise
from qredit.sandbox import Accepted, Jail, verify
from qredit.sandbox.gate.check import check_gate
from qredit.sandbox.jails.forkserver import ForkServer
from qredit.sandbox.jails.lockdown import JOBS
from qredit.sandbox.jails.pool import ServerJail
from qredit.sandbox.tracing.trace import trace_source
from tests.sandbox.random_programs import Program, layouts, programs

EXAMPLES = 60
"""How many programs are made."""
BATCHES = (1, 3, 17)
"""States that are compared at once."""
TOLERANCE = 1e-4
"""How far a graph may be from its function where an operation is decomposed, relative to the largest number."""

Function = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


@dataclass
class CountedJail:
    """A jail that counts the servers which it starts."""

    jail: Jail
    servers: list[ForkServer] = field(default_factory=list)


@pytest.fixture(scope="module")
def counted(lockdown: None) -> Iterator[CountedJail]:
    """One warm server; it is replaced only if it is lost."""
    servers: list[ForkServer] = []

    def launch() -> ForkServer:
        servers.append(ForkServer(jobs=JOBS, import_path=()))
        return servers[-1]

    with ServerJail("lockdown", launch, jobs_per_server=10**9) as jail:
        yield CountedJail(jail, servers)


def load(program: Program) -> Function:
    """The Python function itself, of the flat state and the agents' values."""
    namespace: dict[str, Any] = {}
    exec(program.source, namespace)

    def run(state: Tensor, agents_q: Tensor) -> tuple[Tensor, ...]:
        if program.form == "general":
            result = namespace["tfcaf"](agents_q, state)
        else:
            result = namespace["credit"](program.layout.named(state) if program.named else state)
        return result if isinstance(result, tuple) else (result,)

    return run


def states(program: Program, batch: int, seed: int) -> Tensor:
    """States `[B, S]` inside the layout's bounds; in every second one all numbers are whole."""
    generator = torch.Generator().manual_seed(seed)
    columns = []
    for f in program.layout.fields:
        column = f.low + (f.high - f.low) * torch.rand(batch, f.size, generator=generator)
        columns.append(torch.where(torch.arange(batch).unsqueeze(1) % 2 == 0, column.round(), column))
    return torch.cat(columns, dim=1)


def outcome(graph: CreditGraph, run: Function, state: Tensor, agents_q: Tensor, *, of_state: bool) -> list[Tensor]:
    """Raw outputs, `Q_tot`, and its gradients: by the agents' values, and by the state if asked for."""
    inputs = [agents_q.clone().requires_grad_(), state.clone().requires_grad_(of_state)]
    raw = run(inputs[1], inputs[0])
    q_tot = apply_form(graph.header, raw, inputs[0]).q_tot
    loss = (q_tot * torch.linspace(0.5, 2.0, q_tot.shape[0]).unsqueeze(1)).sum()
    wanted = inputs if of_state else inputs[:1]
    gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
    found = [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, wanted, strict=True)]
    return [t.detach() for t in (*raw, q_tot, *found)]


def same_bits(a: Tensor, b: Tensor) -> bool:
    """Equal with the signs of zeros; NaN where NaN."""
    equal = (a == b) & (torch.signbit(a) == torch.signbit(b))
    return a.shape == b.shape and a.dtype == b.dtype and bool((equal | (a.isnan() & b.isnan())).all())


def close(a: Tensor, b: Tensor) -> bool:
    """Within `TOLERANCE` of the largest number; NaN where NaN."""
    finite = b[b.isfinite()]
    scale = float(finite.abs().max()) if finite.numel() else 0.0
    return torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * (scale + 1e-3), equal_nan=True)


def compare(program: Program, graph: CreditGraph) -> None:
    """The graph, by both runners, against the function itself."""
    fast = specialise(graph)
    runners: tuple[Function, ...] = (
        load(program),
        lambda state, agents_q: interpret(graph, state=state, agents_q=agents_q),
        lambda state, agents_q: fast(state=state, agents_q=agents_q),
    )
    for batch, of_state in itertools.product(BATCHES, (True, False)):
        state = states(program, batch, seed=batch)
        agents_q = torch.randn(batch, program.n_agents, generator=torch.Generator().manual_seed(batch))
        results = [outcome(graph, run, state, agents_q, of_state=of_state) for run in runners]
        for position, (eager, reference, quick) in enumerate(zip(*results, strict=True)):
            where = (batch, of_state, position)
            assert same_bits(quick, reference), ("specialised", where, quick, reference)
            same = same_bits(reference, eager) if program.exact else close(reference, eager)
            assert same, ("interpreted", where, reference, eager)


def test_random_programs(counted: CountedJail) -> None:
    tally: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(programs())
    def holds(program: Program) -> None:
        note(program.source)
        assert check_gate(program.source) is None
        verdict = verify(
            program.source,
            layout=program.layout,
            n_agents=program.n_agents,
            states=states(program, 12, seed=5).numpy(),
            jail=counted.jail,
            scale=program.scale,
            igm=program.igm,
        )
        words = "accepted" if isinstance(verdict, Accepted) else f"rejected: {verdict.stage}, {verdict.kind}"
        tally[words] += 1
        if isinstance(verdict, Accepted):
            assert verdict.form == program.form
            compare(program, parse_graph(verdict.payload))
            tally["to the bit"] += program.exact

    holds()
    total = tally["accepted"] + sum(count for words, count in tally.items() if words.startswith("rejected"))
    assert total >= EXAMPLES
    assert tally["accepted"] >= 0.8 * total, tally
    assert tally["to the bit"] >= 0.3 * total, tally
    assert len(counted.servers) == 1


@pytest.mark.parametrize("text", ["torch.sinc({q})", "torch.logit({q}.sigmoid())", "{q}.clone().copy_(0.5)"])
def test_what_random_programs_found(text: str) -> None:
    """`sinc` had a gradient of NaN at 0; `logit` is decomposed to `1 - x`, which was refused; `copy_(0.5)` crashed."""
    body = f"    return agents_q.sum(dim=1, keepdim=True) + {text.format(q='agents_q')}.mean(dim=1, keepdim=True)\n"
    source = f"import torch\ndef tfcaf(agents_q, global_state):\n{body}"
    program = Program(source, layouts(3), 3, "general", named=False, scale="raw", igm="relax", exact=False)
    graph = parse_graph(trace_source(source, program.layout, 3, scale="raw", igm="relax"))
    for agents_q in (torch.zeros(2, 3), torch.tensor([[0.0, 0.5, -1.5]])):
        state = states(program, agents_q.shape[0], seed=0)
        wanted = outcome(graph, load(program), state, agents_q, of_state=False)
        found = outcome(graph, lambda s, q: interpret(graph, state=s, agents_q=q), state, agents_q, of_state=False)
        for a, b in zip(found, wanted, strict=True):
            assert close(a, b), (a, b)
            assert a.isfinite().all()
