"""A credit function as a mixer: the credit graph of an artifact, and nothing else, is executed (QLLM, equation 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from qredit.artifact import CREDIT_GRAPH, load_artifact
from qredit.credit import CreditGraph, apply_form, credit_weights, parse_graph, specialise, weighted_sum
from qredit.errors import ArtifactError

STATES_TOGETHER = 1024
"""A large function needs up to 100 kB per state while it runs."""


class CreditMixer(nn.Module):
    """`Q_tot = sum_i f_w^i(s) Q_i + f_b(s)` with a fixed, verified credit function; it has no parameters.

    Args:
        graph: the credit graph.
        bias: `function` uses the graph's own bias, if it has one; `none` leaves it out.
    """

    def __init__(self, graph: CreditGraph, *, bias: Literal["function", "none"] = "function") -> None:
        super().__init__()
        self.graph = graph
        self.bias = bias
        self.bias_unit = 1.0
        """What one unit of raw return is in the trainer's rewards: a bias is in units of raw return."""
        self._run = specialise(graph)

    @property
    def n_agents(self) -> int:
        """`N`."""
        return self.graph.header.n_agents

    def forward(self, agent_qs: Tensor, states: Tensor) -> Tensor:
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]`.

        Raises:
            ValueError: the shapes are not those of the credit function.
        """
        self._check(states, agent_qs)
        header = self.graph.header
        if header.form == "general":
            s = states.reshape(-1, header.state_size)  # [B*T, S]
            raw = self._run(state=s, agents_q=agent_qs.reshape(-1, header.n_agents))
            return raw[0].reshape(*agent_qs.shape[:-1], 1)
        return self.mix(agent_qs, self.outputs(states))

    @property
    def output_size(self) -> int:
        """`C`, how many numbers `outputs` gives per state; 0 in the general form, which needs the agents' values."""
        header = self.graph.header
        return 0 if header.form == "general" else header.n_agents + header.has_bias

    def outputs(self, states: Tensor) -> Tensor:
        """Weights and bias `[..., C]` of `states [..., S]`, without gradients: they depend on the state alone.

        A state's outputs never change, so a trainer that meets a state again and again can keep them for `mix`.

        Raises:
            ValueError: the general form, or states of another size.
        """
        self._check(states, None)
        header = self.graph.header
        if header.form == "general":
            raise ValueError("the general form has no outputs without the agents' values")
        rows = states.reshape(-1, header.state_size)
        with torch.no_grad():
            parts = [self._outputs(part) for part in torch.split(rows, STATES_TOGETHER)]
            return torch.cat(parts).reshape(*states.shape[:-1], self.output_size)

    def _outputs(self, states: Tensor) -> Tensor:
        """`[B, C]` of `[B, S]`."""
        raw = self._run(state=states, agents_q=None)
        return torch.cat([credit_weights(self.graph.header, raw), *raw[1:]], dim=-1)

    def mix(self, agent_qs: Tensor, outputs: Tensor) -> Tensor:
        """`Q_tot [..., 1]` of `agent_qs [..., N]` and `outputs [..., C]`; the very numbers of `forward`."""
        weights, bias = outputs.tensor_split([self.n_agents], dim=-1)
        q_tot = weighted_sum(agent_qs, weights)
        return q_tot + self.bias_unit * bias if bias.shape[-1] and self.bias == "function" else q_tot

    def credit(self, states: Tensor, agent_qs: Tensor | None = None) -> Tensor:
        """Weight of each agent: `[..., N]` for `states [..., S]`.

        The weights form reads them off; the general form gives `dQ_tot/dQ_i` at `agent_qs [..., N]`.

        Raises:
            ValueError: the general form without `agent_qs`, or shapes that do not fit.
        """
        self._check(states, agent_qs)
        header = self.graph.header
        if header.form == "weights":
            return self.outputs(states)[..., : header.n_agents]
        if agent_qs is None:
            raise ValueError(
                "the credit of a general form depends on the agents' values: call credit(states, agent_qs)"
            )
        s = states.reshape(-1, header.state_size)
        q = agent_qs.detach().reshape(-1, header.n_agents).requires_grad_()
        with torch.enable_grad():  # the credit is a gradient, whoever asks
            total = apply_form(header, self._run(state=s, agents_q=q), q).q_tot.sum()
        (gradient,) = torch.autograd.grad(total, q)
        return gradient.reshape(agent_qs.shape)

    def _check(self, states: Tensor, agent_qs: Tensor | None) -> None:
        header = self.graph.header
        if states.shape[-1] != header.state_size:
            raise ValueError(f"states have {states.shape[-1]} numbers, the credit function reads {header.state_size}")
        if agent_qs is not None and agent_qs.shape[-1] != header.n_agents:
            raise ValueError(f"there are {agent_qs.shape[-1]} agents, the credit function knows {header.n_agents}")


def load_mixer(path: Path | str, *, bias: Literal["function", "none"] = "function") -> CreditMixer:
    """Load an artifact (its folder, or the folder of the run that made it) as a mixing module.

    It drops into code that calls `mixer(agent_qs [B, T, N], states [B, T, S])`, such as EPyMARL's learners. Nothing of
    the language model's Python is executed.

    Raises:
        ArtifactError: missing, damaged or forged, or no credit artifact.
    """
    return CreditMixer(load_graph(path, forms=("weights", "general")), bias=bias)


def load_graph(path: Path | str, *, forms: Sequence[str]) -> CreditGraph:
    """The credit graph of an artifact, if it has one of these forms.

    Raises:
        ArtifactError: missing, damaged or forged, no credit artifact, or of another form.
    """
    artifact = load_artifact(path)
    if artifact.kind != "credit" or CREDIT_GRAPH not in artifact.files:
        raise ArtifactError(
            f"artifact `{artifact.path}`",
            cause=f"its kind is `{artifact.kind}`, a mixer needs `credit`",
            remedy="Give an artifact that `qredit generate` made.",
        )
    graph = parse_graph(artifact.files[CREDIT_GRAPH])
    form = graph.header.form
    if form in forms:
        return graph
    shares = "shares" in forms
    needed = "a function `share`" if shares else "a function `credit` or `tfcaf`"
    raise ArtifactError(
        f"artifact `{artifact.path}`",
        cause=f"it {_DOES[form]}; {'shares are needed' if shares else 'a mixer needs weights'}",
        remedy=f"Give an artifact with {needed}.",
    )


_DOES = {
    "weights": "weighs the agents' values",
    "general": "mixes the agents' values",
    "shares": "shares out the team reward, for policy gradients",
    "value": "values states or transitions",
}
