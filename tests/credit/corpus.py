"""Plausible credit functions in the styles in which language models write them; other rooms' tests use them too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qredit.layout import StateField, StateLayout

N_AGENTS = 3
LAYOUT = StateLayout(
    (
        StateField("agent", (3, 3), "cells, level", 0.0, 9.0, "Row, column and level of each agent."),
        StateField(
            "food", (3, 3), "cells, level", -1.0, 9.0, "Row, column and level of each food; -1, -1, 0 if eaten."
        ),
        StateField("last_action", (3,), "index", 0.0, 5.0, "Last action of each agent; 5 is load."),
    )
)
"""A state of level-based foraging, `S = 21`, in the order that listing 1 of the QLLM paper reads."""


@dataclass(frozen=True)
class Function:
    """One function of the corpus."""

    name: str
    """Says what is particular about it."""
    source: str
    """The module's text."""
    named: bool = True
    """Whether it reads the state by field names."""
    general: bool = False
    """Whether it is of the general form."""

    def load(self) -> Callable[..., Any]:
        """The Python function itself, of flat inputs."""
        namespace: dict[str, Any] = {}
        exec(self.source, namespace)
        if self.general:
            general: Callable[..., Any] = namespace.get("tfcaf") or namespace["QLLMNetwork"]
            return general
        credit: Callable[..., Any] = namespace["credit"]
        return (lambda state: credit(LAYOUT.named(state))) if self.named else credit


def states(batch: int, seed: int = 0) -> Tensor:
    """Whole-numbered states `[B, 21]` as the environment gives them, some foods eaten."""
    generator = torch.Generator().manual_seed(seed)
    agent = torch.randint(0, 10, (batch, 3, 3), generator=generator)
    agent[:, :, 2] = 1 + agent[:, :, 2] % 3
    food = torch.randint(0, 10, (batch, 3, 3), generator=generator)
    eaten = torch.randint(0, 3, (batch, 3, 1), generator=generator) == 0
    food = torch.where(eaten, torch.tensor([-1, -1, 0]), food)
    action = torch.randint(0, 6, (batch, 3), generator=generator)
    return torch.cat([agent.reshape(batch, 9), food.reshape(batch, 9), action], dim=1).float()


def agents_q(batch: int, seed: int = 1) -> Tensor:
    """Values of the chosen actions, `[B, 3]`."""
    return torch.randn(batch, N_AGENTS, generator=torch.Generator().manual_seed(seed))


LISTING_1 = '''
import torch


def QLLMNetwork(agents_q: torch.Tensor, global_state: torch.Tensor) -> torch.Tensor:
    """Listing 1 of the QLLM paper with its typing mistakes repaired."""
    batch_size = agents_q.size(0)
    n_agents = 3
    agents = global_state[:, :9].view(batch_size, n_agents, 3)
    agents_x, agents_y, agents_level = agents[:, :, 0], agents[:, :, 1], agents[:, :, 2]
    foods = global_state[:, 9:18].view(batch_size, 3, 3)
    foods_x, foods_y, foods_level = foods[:, :, 0], foods[:, :, 1], foods[:, :, 2]
    active_foods = (foods_x != -1) & (foods_y != -1)
    last_actions = global_state[:, 18:21]
    sum_adjacent = torch.zeros_like(agents_x)
    for j in range(3):
        food_active = active_foods[:, j]
        food_x_col = foods_x[:, j]
        food_y_col = foods_y[:, j]
        food_level_col = foods_level[:, j]
        dx = torch.abs(agents_x - food_x_col.unsqueeze(1))
        dy = torch.abs(agents_y - food_y_col.unsqueeze(1))
        adjacent = (dx + dy == 1).float()
        contrib = food_level_col.unsqueeze(1) * adjacent * food_active.unsqueeze(1).float()
        sum_adjacent += contrib
    action_mask = (last_actions == 5).float()
    weights = agents_level * sum_adjacent * action_mask
    sum_weights = weights.sum(dim=1, keepdim=True)
    mask = (sum_weights == 0).float()
    normalized = weights / (sum_weights + 1e-8)
    equal_weights = torch.ones_like(weights) / n_agents
    final_weights = normalized * (1 - mask) + equal_weights * mask
    global_q = (agents_q * final_weights).sum(dim=1, keepdim=True)
    return global_q
'''

ONES = """
import torch
def credit(state):
    return torch.ones(state["agent"].shape[0], 3)
"""

PROXIMITY = """
import torch

def credit(state):
    position = state["agent"][..., :2]
    food = state["food"][..., :2]
    distance = (position.unsqueeze(2) - food.unsqueeze(1)).abs().sum(-1)      # [B, N, F]
    gone = (food < 0).any(dim=-1).unsqueeze(1)
    nearest = distance.masked_fill(gone, 20.0).min(dim=-1).values
    return torch.softmax(-nearest / 2.0, dim=-1) * 3
"""

LEVEL_SHARE = """
import torch

def credit(state):
    level = state["agent"][:, :, 2]
    total = level.sum(dim=1, keepdim=True)
    safe = torch.where(total > 0, total, torch.ones_like(total))
    return torch.where(total > 0, level / safe, torch.full_like(level, 1.0 / 3))
"""

LISTS = """
import torch

def credit(state):
    agents = state["agent"]
    foods = state["food"]
    columns = []
    for i in range(agents.shape[1]):
        score = 0.0
        for j in range(foods.size(1)):
            dx = (agents[:, i, 0] - foods[:, j, 0]) ** 2
            dy = (agents[:, i, 1] - foods[:, j, 1]) ** 2
            score = score + foods[:, j, 2] / (1.0 + torch.sqrt(dx + dy + 1e-6))
        columns.append(score * agents[:, i, 2])
    return torch.stack(columns, dim=1)
"""

IN_PLACE_COLUMNS = """
import torch

def credit(state):
    agents, foods = state["agent"], state["food"]
    batch, n = agents.shape[0], agents.shape[1]
    weights = torch.zeros(batch, n, device=agents.device)
    for i in range(n):
        for j in range(3):
            near = ((agents[:, i, :2] - foods[:, j, :2]).abs().sum(dim=-1) <= 2).float()
            weights[:, i] += near * foods[:, j, 2].clamp(min=0)
    weights[:, 0] *= 1.5
    extra = torch.zeros(batch, n)
    extra[:] = agents[:, :1, 2] * 0.01
    extra[:, 1] = agents[:, 1, 2] > 1
    weights += extra
    weights += 0.1
    return weights
"""

MASKED_WRITES = """
import torch

def credit(state):
    loading = state["last_action"] == 5
    weights = state["agent"][:, :, 2].clone()
    weights[loading] = 4.0
    weights[weights < 1.5] = 0.5
    table = state["food"].clone()
    table[table[:, :, 0] < 0] = 0.0
    return weights + table[:, :, 2].mean(dim=1, keepdim=True)
"""

HELPERS = """
import math
import torch
import torch.nn.functional as F

TEMPERATURE = 0.5
ROLE_PRIOR = torch.tensor([1.2, 1.0, 0.8])
LIMITS = (0.05, 5.0)


def _distance(a, b):
    return torch.norm(a[:, :, None, :] - b[:, None, :, :], dim=-1)


def _bounded(x, low=LIMITS[0], high=LIMITS[1]):
    return torch.clamp(x, low, high)


def credit(state):
    d = _distance(state["agent"][..., :2], state["food"][..., :2])
    score = torch.exp(-d / math.sqrt(2.0)).sum(dim=-1)
    return _bounded(F.softmax(score / TEMPERATURE, dim=1) * ROLE_PRIOR)
"""

RANKS = """
import torch

def credit(state):
    score = state["agent"][:, :, 2] * 10 + state["last_action"]
    order = torch.argsort(score, dim=1, descending=True)
    ranks = torch.argsort(order, dim=1).float()
    best, _ = torch.topk(score, k=2, dim=1)
    return 1.0 / (1.0 + ranks) + 0.01 * best.mean(dim=1, keepdim=True)
"""

ATTENTION = """
import torch

def credit(state):
    q = state["agent"] / 10.0
    k = state["food"] / 10.0
    logits = torch.einsum("bnd,bfd->bnf", q, k) / 3 ** 0.5
    gone = state["food"][:, None, :, 0] < 0
    attention = torch.softmax(logits.masked_fill(gone, float("-inf")), dim=-1)
    attention = torch.nan_to_num(attention, nan=0.0)
    value = torch.matmul(attention, k)
    return value.pow(2).sum(-1).sqrt() + 1e-3
"""

NEAREST_ONE_HOT = """
import torch
import torch.nn.functional as F

def credit(state):
    agents, foods = state["agent"], state["food"]
    d = torch.cdist(agents[:, :, :2], foods[:, :, :2])
    owner = d.argmin(dim=1)                                   # nearest agent of each food
    assigned = F.one_hot(owner, num_classes=3).float()        # [B, F, N]
    value = foods[:, :, 2].clamp(min=0).unsqueeze(-1)
    return (assigned * value).sum(dim=1) + 1e-2
"""

WITH_BIAS = """
import torch

def credit(state):
    level = state["agent"][:, :, 2]
    left = (state["food"][:, :, 2] > 0).float().sum(dim=1, keepdim=True)
    weights = level / level.sum(dim=1, keepdim=True).clamp(min=1e-6)
    bias = -0.1 * left + torch.tanh(level.mean(dim=1, keepdim=True))
    return weights, bias
"""

GATHERED = """
import torch

LOAD_VALUE = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9, 2.0])

def credit(state):
    agents, foods = state["agent"], state["food"]
    d = (agents[:, :, None, :2] - foods[:, None, :, :2]).abs().sum(-1)
    index = d.argmin(dim=2)
    level = torch.gather(foods[:, :, 2], 1, index).clamp(min=0.0)
    action = state["last_action"].long().clamp(0, 5)
    rows = torch.arange(agents.shape[0]).unsqueeze(1)
    own = agents[rows, torch.arange(3), 2]
    return LOAD_VALUE[action] * (1 + level) + 0.1 * own
"""

MIN_GENERAL = """
import torch

def tfcaf(agents_q, global_state):
    weight = torch.softmax(global_state[:, 18:21], dim=-1)
    soft_min = -torch.logsumexp(-agents_q * 2.0, dim=1, keepdim=True) / 2.0
    team = (weight * agents_q).sum(dim=1, keepdim=True)
    spread = (agents_q - agents_q.detach().mean(dim=1, keepdim=True)).abs().mean(dim=1, keepdim=True)
    return 0.5 * soft_min + team + 0.01 * spread
"""

SHARED_GENERAL = """
import torch

def tfcaf(q, s):
    a = torch.tanh(q * s[:, 18:21])
    b = torch.tanh(q * s[:, 18:21])
    c = torch.exp(s[:, 2:9:3] * 0.1) + torch.exp(s[:, 2:9:3] * 0.1)
    mixed = a * c + b * q + a * b
    return mixed.sum(1, keepdim=True) + q.max(dim=1, keepdim=True)[0] + q.mean(1, keepdim=True) * q.var(1, keepdim=True)
"""

DOUBLE = """
import torch

def credit(state):
    x = state["agent"].double()
    x = (x - x.mean(dim=(1, 2), keepdim=True)) / (x.std(dim=(1, 2), keepdim=True) + 1e-8)
    weights = torch.sigmoid(x.sum(dim=-1)).to(torch.float32)
    return weights.clamp_(min=0.05)
"""

SIGNED = """
import torch

def credit(state):
    row, column, level = state["agent"].unbind(dim=-1)
    centre = (row - 4.5).abs() + (column - 4.5).abs()
    blocked = (torch.cdist(state["agent"][..., :2], state["agent"][..., :2]) < 1.5).float().sum(-1) - 1
    return level - 0.5 * blocked - 0.2 * centre * torch.sign(level - level.mean(dim=1, keepdim=True))
"""

FLAT = """
import torch

def credit(global_state):
    B = global_state.size(0)
    agents = global_state[:, 0:9].reshape(B, 3, 3)
    foods = global_state[:, 9:18].reshape(B, 3, 3)
    total = torch.zeros(B, 3)
    for f in range(3):
        alive = (foods[:, f, 2] > 0).float().unsqueeze(1)
        distance = torch.sqrt(((agents[:, :, :2] - foods[:, f:f + 1, :2]) ** 2).sum(dim=2))
        total = total + alive * foods[:, f, 2:3] / (distance + 1.0)
    return torch.where(total.sum(1, keepdim=True) > 0, total, torch.ones(B, 3))
"""

CUMULATIVE = """
import torch

def credit(state):
    order = torch.flip(torch.cumsum(state["agent"][:, :, 2], dim=1), dims=[1])
    parts = torch.chunk(state["food"], 3, dim=1)
    value = sum(part[:, 0, 2].relu() for part in parts)
    squeezed = torch.cat([order, value.unsqueeze(1)], dim=1)
    weights = torch.nn.functional.normalize(squeezed, p=1, dim=1)[:, :3]
    return torch.maximum(weights, torch.tensor(0.01)).roll(1, dims=1).round(decimals=4)
"""

LEAVE_ONE_OUT = """
import torch

def credit(state):
    agents, foods = state["agent"], state["food"]
    n = agents.shape[1]
    keep = 1.0 - torch.eye(n)
    near = ((agents[:, :, None, :2] - foods[:, None, :, :2]).abs().sum(-1) <= 1).to(agents.dtype)
    power = near * agents[:, :, 2:3]
    team = power.sum(dim=1)
    without = torch.einsum("mn,bnf->bmf", keep, power)
    needed = foods[:, :, 2]
    wins = (team >= needed) & (needed > 0)
    still = (without >= needed.unsqueeze(1)) & (needed > 0).unsqueeze(1)
    pivotal = wins.unsqueeze(1) & ~still
    return pivotal.float().mul(needed.clamp_min(0).unsqueeze(1)).sum(-1) + 0.05
"""

CORPUS = (
    Function("listing_1", LISTING_1, named=False, general=True),
    Function("ones", ONES),
    Function("proximity", PROXIMITY),
    Function("level_share", LEVEL_SHARE),
    Function("lists", LISTS),
    Function("in_place_columns", IN_PLACE_COLUMNS),
    Function("masked_writes", MASKED_WRITES),
    Function("helpers", HELPERS),
    Function("ranks", RANKS),
    Function("attention", ATTENTION),
    Function("nearest_one_hot", NEAREST_ONE_HOT),
    Function("with_bias", WITH_BIAS),
    Function("gathered", GATHERED),
    Function("min_general", MIN_GENERAL, named=False, general=True),
    Function("shared_general", SHARED_GENERAL, named=False, general=True),
    Function("double", DOUBLE),
    Function("signed", SIGNED),
    Function("flat", FLAT, named=False),
    Function("cumulative", CUMULATIVE),
    Function("leave_one_out", LEAVE_ONE_OUT),
)
"""All of them, by name."""
