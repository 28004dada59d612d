"""What the evaluator is told about an accepted candidate besides its code: figures measured on probe states."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qredit.prompts import figure

if TYPE_CHECKING:
    from torch import Tensor

    from qredit.contracts import States
    from qredit.credit import CreditGraph
    from qredit.sandbox.verdict import Accepted

Describe = Callable[["Accepted"], str]


def describe_credit(states: States) -> Describe:
    """A function that describes the credit of an accepted candidate on probe states `[M, S]`.

    Per agent: mean, range and standard deviation of the weight after scale and IGM; the share of states that differ
    from VDN; how even the credit is; the bias. For the general form the weights are `dQ_tot/dQ_i` at `Q = 0`.
    """

    def describe(accepted: Accepted) -> str:
        import torch

        from qredit.credit import parse_graph
        from qredit.credit.statistics import weight_statistics

        graph = parse_graph(accepted.graph)
        weights, bias = _credit(graph, torch.tensor(states))  # a copy: the states may be read-only
        found = weight_statistics(weights, graph.header.scale if graph.header.form == "weights" else "raw")
        named = "weight" if graph.header.form == "weights" else "dQ_tot/dQ"
        lines = [
            f"{named} of agent {i}: mean {figure(found.mean[i])}, from {figure(found.minimum[i])} to "
            f"{figure(found.maximum[i])}, standard deviation {figure(found.std[i])}"
            for i in range(graph.header.n_agents)
        ]
        lines.append(f"differs from VDN in {figure(100 * found.vdn_difference)} % of the states")
        lines.append(
            f"evenness (entropy, 1 is VDN, 0 all credit to one agent): {figure(found.entropy)}; "
            f"largest share of one agent, on average: {figure(found.concentration)}"
        )
        if bias is not None:
            low, high, mean = float(bias.min()), float(bias.max()), float(bias.mean())
            lines.append(f"bias: mean {figure(mean)}, from {figure(low)} to {figure(high)}")
        return "\n".join(lines)

    return describe


def _credit(graph: CreditGraph, states: Tensor) -> tuple[Tensor, Tensor | None]:
    """Weights `[M, N]` and, if there is one, bias `[M, 1]` on states `[M, S]`."""
    import torch

    from qredit.credit import apply_form, interpret

    agents_q = torch.zeros(states.shape[0], graph.header.n_agents, requires_grad=True)  # [M, N]
    general = graph.header.form == "general"
    credit = apply_form(graph.header, interpret(graph, state=states, agents_q=agents_q if general else None), agents_q)
    if credit.weights is not None:
        return credit.weights.detach(), None if credit.bias is None else credit.bias.detach()
    (gradient,) = torch.autograd.grad(credit.q_tot.sum(), agents_q)
    return gradient, None
