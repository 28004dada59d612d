"""The parts of a file of plain torch that do not depend on the credit graph.

A line that is `BUFFERS`, `FUNCTION` or `RULES` alone stands for a block of lines; `CLASS` is the name of the class;
`{N}`, `{S}` and `{STATE}` are sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

HELPERS = '''
def _rows(tensor, width, what):
    """`[..., width]` as `[M, width]`."""
    if tensor.shape[-1] != width or tensor.dtype != torch.float32:
        found = f"{list(tensor.shape)} {tensor.dtype}"
        raise ValueError(f"{what} must be [..., {width}] torch.float32, they are {found}")
    return tensor.reshape(-1, width).contiguous()

'''

WITH_VALUES = '''
def _with_values(tensor, place, values):
    """A copy of `tensor` with other values at `place`."""
    copy = tensor.clone()
    copy[place] = values
    return copy

'''

_ENFORCE = """
# IGM: a negative weight would make an agent's best action the team's worst.
weights = weights.clamp(min=0)
"""

_SUM_TO_N = """
# Scale: the weights of a state sum to N; a row of zeros becomes ones. The largest is divided out first, so
# that equal weights become exactly 1 and no sum overflows. Safe denominators come before each `where`.
largest = weights.detach().abs().amax(dim=-1, keepdim=True)
zero = largest < 1e-30
unit = weights / torch.where(zero, torch.ones_like(largest), largest)
total = unit.abs().sum(dim=-1, keepdim=True)
scaled = unit * (self.n_agents / torch.where(zero, torch.ones_like(total), total))
weights = torch.where(zero, torch.ones_like(scaled), scaled)
"""

RULES: Mapping[str, list[str]] = MappingProxyType(
    {"enforce": _ENFORCE.strip().split("\n"), "sum_to_n": _SUM_TO_N.strip().split("\n")}
)
"""Name of a rule -> its statements on `weights`."""

_INIT = """
    n_agents = {N}
    state_size = {S}

    def __init__(self, bias="function", bias_unit=1.0):
        super().__init__()
        self.bias = bias
        self.bias_unit = bias_unit
        BUFFERS
"""

_WEIGHTS = (
    '''
class CLASS(nn.Module):
    """`Q_tot = sum_i w_i(s) Q_i` with a fixed credit function; it has no parameters and no bias.

    Args:
        bias: ignored, for the sake of functions that have one.
        bias_unit: ignored likewise.
    """
'''
    + _INIT
    + '''
    def forward(self, agent_qs, states):
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]`."""
        _rows(agent_qs, {N}, "agent_qs")
        return (agent_qs.contiguous() * self.credit(states)).sum(dim=-1, keepdim=True)

    def credit(self, states):
        """The weight of each agent, `[..., N]`, of `states [..., S]`."""
        with torch.no_grad():  # it depends on the state alone
            weights = self.rules(self.function(_rows(states, {S}, "states")))
        return weights.reshape(states.shape[:-1] + ({N},))

    def rules(self, weights):
        """The weights that count, of the function's own, `[M, N]`."""
        RULES
        return weights

    def function(self, state):
        """The function's own weights `[M, N]` of `state [M, S]`; B in the comments is M."""
        FUNCTION
'''
)

_WITH_BIAS = (
    '''
class CLASS(nn.Module):
    """`Q_tot = sum_i w_i(s) Q_i + b(s)` with a fixed credit function; it has no parameters.

    Args:
        bias: `function` adds the function's bias b(s), `none` leaves it out.
        bias_unit: what a reward of 1 is in the learner's rewards; the bias is in units of the environment's return.
    """
'''
    + _INIT
    + '''
    def forward(self, agent_qs, states):
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]`."""
        _rows(agent_qs, {N}, "agent_qs")
        weights, bias = self.credit_and_bias(states)
        q_tot = (agent_qs.contiguous() * weights).sum(dim=-1, keepdim=True)
        return q_tot + self.bias_unit * bias if self.bias == "function" else q_tot

    def credit(self, states):
        """The weight of each agent, `[..., N]`, of `states [..., S]`."""
        return self.credit_and_bias(states)[0]

    def credit_and_bias(self, states):
        """The weight of each agent, `[..., N]`, and the bias in units of return, `[..., 1]`, of `states [..., S]`."""
        with torch.no_grad():  # they depend on the state alone
            weights, bias = self.function(_rows(states, {S}, "states"))
            weights = self.rules(weights)
        lead = states.shape[:-1]
        return weights.reshape(lead + ({N},)), bias.reshape(lead + (1,))

    def rules(self, weights):
        """The weights that count, of the function's own, `[M, N]`."""
        RULES
        return weights

    def function(self, state):
        """The function's own weights `[M, N]` and bias `[M, 1]` of `state [M, S]`; B in the comments is M."""
        FUNCTION
'''
)

_GENERAL = (
    '''
class CLASS(nn.Module):
    """`Q_tot` by a fixed function of the agents' values and the state; it has no parameters and no bias of its own.

    Args:
        bias: ignored, for the sake of functions that have one.
        bias_unit: ignored likewise.
    """
'''
    + _INIT
    + '''
    def forward(self, agent_qs, states):
        """`Q_tot [B, T, 1]` of `agent_qs [B, T, N]` and `states [B, T, S]`."""
        q_tot = self.function(_rows(states, {S}, "states"), _rows(agent_qs, {N}, "agent_qs"))
        return q_tot.reshape(agent_qs.shape[:-1] + (1,))

    def credit(self, states, agent_qs):
        """The slope `dQ_tot/dQ_i` of each agent, `[..., N]`, at these values."""
        with torch.enable_grad():
            values = agent_qs.detach().requires_grad_()
            (slopes,) = torch.autograd.grad(self.forward(values, states).sum(), values)
        return slopes

    def function(self, state, agents_q):
        """`Q_tot [M, 1]` of `state [M, S]` and `agents_q [M, N]`; B in the comments is M."""
        FUNCTION
'''
)

_SHARES = '''
class CLASS(nn.Module):
    """Each agent's share of the team's reward by a fixed function of a transition; it has no parameters."""

    n_agents = {N}
    state_size = {STATE}

    def __init__(self):
        super().__init__()
        BUFFERS

    def forward(self, states, actions, next_states):
        """Shares `[..., N]` of `states [..., S]`, numbers of actions `[..., N]` and `next_states [..., S]`."""
        with torch.no_grad():  # a reward has no gradient
            transitions = torch.cat((states, actions.to(states.dtype), next_states), dim=-1)
            shares = self.rules(self.function(_rows(transitions, {S}, "transitions")))
        return shares.reshape(states.shape[:-1] + ({N},))

    def rules(self, weights):
        """The shares that count, of the function's own, `[M, N]`."""
        RULES
        return weights

    def function(self, state):
        """The function's own shares `[M, N]` of transitions `state [M, {S}]`; B in the comments is M."""
        FUNCTION
'''

FORMS: Mapping[str, list[str]] = MappingProxyType(
    {
        name: text.replace("\n\n\n", "\n\n").rstrip("\n").split("\n")
        for name, text in (
            ("weights", _WEIGHTS), ("weights with bias", _WITH_BIAS), ("general", _GENERAL), ("shares", _SHARES)
        )
    }
)  # fmt: skip
"""Form of a credit graph -> the lines of its class."""
