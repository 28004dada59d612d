import torch
import torch.nn.functional as F
import math

COALITIONS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
RATE = 0.2        # loss of value per step of arrival time
SLACK = 0.3       # how much the earlier arrivals of a coalition matter
KEEP = 0.75       # value of a food that is ready but not eaten now
TEAMWORK = 0.72   # reliability lost per additional agent needed
UNSEEN = 1.0      # extra steps for a food out of sight
FAR = 30.0
FLOOR = 0.25


def gaps(row, col, points):
    # row, col: [B, N], points: [B, M, 2] -> absolute differences [B, N, M]
    dr = torch.abs(row.unsqueeze(2) - points[:, :, 0].unsqueeze(1))
    dc = torch.abs(col.unsqueeze(2) - points[:, :, 1].unsqueeze(1))
    return dr, dc


def arrival(row, col, food, alive):
    # steps until each agent stands beside each food: [B, N, F]
    dr, dc = gaps(row, col, food)
    steps = torch.clamp(dr + dc - 1.0, min=0.0)
    hidden = (torch.maximum(dr, dc) > 2.5).to(steps.dtype)
    there = alive.unsqueeze(1)
    return there * (steps + UNSEEN * hidden) + (1.0 - there) * FAR


def move_one(pos, food, alive, eye, dr, dc):
    # row and column of each agent after its own move, the others staying
    row = pos[:, :, 0] + dr
    col = pos[:, :, 1] + dc
    inside = (row > -0.5) & (row < 9.5) & (col > -0.5) & (col < 9.5)
    fr, fc = gaps(row, col, food)
    on_food = ((fr + fc < 0.5).to(pos.dtype) * alive.unsqueeze(1)).sum(2)
    ar, ac = gaps(row, col, pos)
    on_agent = ((ar + ac < 0.5).to(pos.dtype) * (1.0 - eye)).sum(2)
    go = inside.to(pos.dtype) * (1.0 - torch.clamp(on_food + on_agent, max=1.0))
    return pos[:, :, 0] + go * dr, pos[:, :, 1] + go * dc


def coalition_value(dist, level, need, rate, teamwork):
    # dist: [B, X, Y, N, F] -> value in 0..1 of each food: [B, X, Y, F]
    best = torch.zeros_like(dist[:, :, :, 0, :])
    total = torch.zeros_like(best)
    count = torch.zeros_like(need)
    for c in COALITIONS:
        strength = level[:, c[0]]
        longest = dist[:, :, :, c[0], :]
        summed = longest
        for j in c[1:]:
            strength = strength + level[:, j]
            longest = torch.maximum(longest, dist[:, :, :, j, :])
            summed = summed + dist[:, :, :, j, :]
        able = (strength.unsqueeze(1) >= need - 0.01).to(dist.dtype)
        time = longest + SLACK * (summed - longest)
        factor = teamwork ** (len(c) - 1)
        value = able.unsqueeze(1).unsqueeze(1) * factor * torch.exp(-rate * time)
        best = torch.maximum(best, value)
        total = total + value
        count = count + able
    mean = total / torch.clamp(count, min=1.0).unsqueeze(1).unsqueeze(1)
    return 0.85 * best + 0.15 * mean


def enough(pj, pk, lj, lk, own, need):
    # probability that the loads of j and k plus the strength own suffice: [B, F]
    low = need - 0.01
    none = (own >= low).to(pj.dtype)
    only_j = (own + lj >= low).to(pj.dtype)
    only_k = (own + lk >= low).to(pj.dtype)
    both = (own + lj + lk >= low).to(pj.dtype)
    return ((1.0 - pj) * (1.0 - pk) * none + pj * (1.0 - pk) * only_j
            + (1.0 - pj) * pk * only_k + pj * pk * both)


def credit(state):
    """An agent earns credit where its own six actions lead to different team
    outcomes: when its LOAD is needed by the coalition beside a food, when it can
    eat a near food alone, or when it is the last needed member still to arrive.
    Surplus, too weak and far agents get little."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food = state["food_position"]
    last = state["last_action"]
    alive = ((state["food_level"] > 0.5) & (food[:, :, 0] > -0.5)).to(pos.dtype)
    need = state["food_level"] * alive
    eye = torch.diag_embed(torch.ones_like(level))

    # share of the return in each food; eaten foods count with the expected level
    gone = (1.0 - alive).sum(1, keepdim=True)
    expected = 0.5 * (level.sum(1, keepdim=True) + 1.0)
    initial = torch.clamp(need.sum(1, keepdim=True) + gone * expected, min=1.0)
    share = need / initial

    # value of the foods after each move of each single agent: [B, 5, N, F]
    base = arrival(pos[:, :, 0], pos[:, :, 1], food, alive)
    moved = []
    for m in MOVES:
        row, col = move_one(pos, food, alive, eye, m[0], m[1])
        moved.append(arrival(row, col, food, alive))
    moved = torch.stack(moved, dim=1)
    mask = eye.unsqueeze(1).unsqueeze(4)
    dist = mask * moved.unsqueeze(2) + (1.0 - mask) * base.unsqueeze(1).unsqueeze(1)
    future = KEEP * coalition_value(dist, level, need, RATE, TEAMWORK)

    # who stands beside which food, and how likely it loads in this step
    dr, dc = gaps(pos[:, :, 0], pos[:, :, 1], food)
    man = dr + dc
    beside = ((man > 0.5) & (man < 1.5)).to(pos.dtype) * alive.unsqueeze(1)
    loads = 0.6 + 0.25 * (torch.abs(last - 5.0) < 0.5).to(pos.dtype)
    p = beside * loads.unsqueeze(2)

    without = []
    together = []
    n = level.shape[1]
    for i in range(n):
        j = (i + 1) % n
        k = (i + 2) % n
        lj = level[:, j].unsqueeze(1)
        lk = level[:, k].unsqueeze(1)
        own = level[:, i].unsqueeze(1) * beside[:, i]
        zero = torch.zeros_like(own)
        without.append(enough(p[:, j], p[:, k], lj, lk, zero, need))
        together.append(enough(p[:, j], p[:, k], lj, lk, own, need))
    without = torch.stack(without, dim=1).unsqueeze(1)
    together = torch.stack(together, dim=1).unsqueeze(1)

    # one-step values of the six actions, and their spread for each agent
    part = share.unsqueeze(1).unsqueeze(1)
    q_move = (part * (without + (1.0 - without) * future)).sum(3)
    q_load = (part * (together + (1.0 - together) * future[:, 0:1])).sum(3)
    q = torch.cat([q_move, q_load], dim=1)
    centred = q - q.mean(1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(1) + 1e-8)
    weights = FLOOR + spread / (spread.sum(1, keepdim=True) + 0.003)

    # cautious estimate of the return still to be had
    still = coalition_value(base.unsqueeze(1).unsqueeze(1), level, need, 0.05, 0.95)
    bias = 0.5 * (part * still).sum(3)[:, :, 0]
    return weights, bias
