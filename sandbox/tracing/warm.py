"""Functions to trace before the lock-down.

torch and sympy import parts of themselves when they are first needed, and no file can be opened once a candidate
runs. These functions use each kind of operation, of arithmetic on sizes and of failure once; a test traces a far wider
corpus after them and sees that nothing more is imported.
"""

from __future__ import annotations

_NAMED = """
import math
import torch
import torch.nn.functional as F

SCALE = 2.0
WEIGHTS = torch.tensor([1.0, 2.0, 0.5])


def _near(a, b):
    return torch.linalg.norm(a.unsqueeze(2) - b.unsqueeze(1), dim=-1)


def credit(state):
    p, f, x = state["agent_position"], state["food_position"], state["agent_level"]
    B, N = x.shape
    m, i, d = x > 1.5, x.long().clamp(0, 2), torch.cdist(p, f)
    w = x * WEIGHTS * SCALE
"""

_GOOD_LINES = """
    total = torch.zeros(B, N)
    for j in range(2):
        total += (d[:, :, j] == 1).float() * state["food_level"][:, j : j + 1]
    total[:, 0] = 1.0
    total[:, 1:] += d.mean(dim=-1)[:, 1:]
    total[total > 3] = 3.0
    if B > 1:
        total = total.reshape(B * N).view(-1, N) + torch.zeros(B * N).view(B, N)
    w = w + torch.where(m & (total > 0), total, torch.tensor(0.3)) + torch.einsum("bnf,bf->bn", d, state["food_level"])
    w = w + F.one_hot(d.sum(dim=2).argmin(dim=1), 3).float() + torch.gather(w, 1, i) + w[:, [2, 1, 0]] + w.mT.mT
    w = w + torch.softmax(w, dim=-1).clamp(min=0.1) + w.std(dim=1, keepdim=True) + F.normalize(w, p=1, dim=1)
    w = w + w.sort(dim=1, descending=True).values + w.topk(2, dim=1).indices.sum(1, keepdim=True) + w.cumsum(1) // 2
    w = w + torch.matmul(d, d.transpose(1, 2)).sum(-1) + _near(p, f).min(dim=2)[0] + F.pad(w[:, :2], (0, 1))
    w = w + torch.stack([w[:, k] for k in range(N)], dim=1) + torch.cat(w.split(1, dim=1), dim=1) + torch.eye(3).sum(0)
    w = w.masked_fill(w > 50, float("inf")).clamp(max=math.pi) ** 2 % 3 + torch.arange(3, device=w.device)
    return w, total.amax(dim=1, keepdim=True)
"""

_GENERAL = """
import torch
def tfcaf(agents_q, global_state):
    w = torch.softmax(global_state[:, 6:9], dim=1)
    share = (w * torch.relu(agents_q)).sum(dim=1, keepdim=True)
    return share + agents_q.detach().mean(dim=1, keepdim=True) + agents_q.logsumexp(dim=1, keepdim=True)
"""

SOURCES = (_NAMED + _GOOD_LINES, _GENERAL)
"""Good functions."""

_BROKEN_LINES = (
    "if x.sum() > 0: w = w * 2",
    "w = torch.stack([row for row in x])",
    "w = w * (1 if B % 2 == 0 else 2)",
    "w = w + torch.from_numpy(x.numpy())",
    "w = w * torch.tensor([x[0, 0], 1.0, 2.0])",
    "w = w + (x > 1).nonzero().shape[0] + x[m].sum()",
    "w = w + (x @ x.T) @ x",
    "w = w +",
)

BROKEN_SOURCES = tuple(f"{_NAMED}    {line}\n    return w\n" for line in _BROKEN_LINES)
"""Functions that no graph can be made of, each refused in another way."""
