import torch
import torch.nn.functional as F
import math

COALITIONS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
RATE = 0.25       # loss of value per step of arrival time, for the weights
SLACK = 0.3       # how much the earlier arrivals of a coalition matter
KEEP = 0.65       # value of a food that is ready but not eaten now
LOAD_GAIN = 1.5   # factor of the LOAD contrast against the movement spread
UNSEEN = 2.0      # extra steps for a food out of sight
FAR = 30.0
FLOOR = 0.25

def gaps(row, col, points):
    # absolute row and column differences [B, N, M]
    dr = torch.abs(row.unsqueeze(2) - points[:, :, 0].unsqueeze(1))
    dc = torch.abs(col.unsqueeze(2) - points[:, :, 1].unsqueeze(1))
    return dr, dc

def arrival(row, col, food, alive):
    # steps until each agent stands beside each food: [B, N, F]
    dr, dc = gaps(row, col, food)
    steps = torch.clamp(dr + dc - 1.0, min=0.0)
    hidden = torch.clamp(0.5 * (torch.maximum(dr, dc) - 2.0), min=0.0, max=1.0)
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

def viewed_value(dist, level, need, rel, eye, rate):
    # dist: [B, A, V, N, F], rel: [B, V, N, F] -> value of each food [B, A, V, F]
    own = torch.zeros_like(dist[:, :, :, 0, :])
    other = torch.zeros_like(own)
    for c in COALITIONS:
        strength = level[:, c[0]]
        longest = summed = dist[:, :, :, c[0], :]
        product = top = rel[:, :, c[0], :]
        member = eye[:, :, c[0]]
        for j in c[1:]:
            strength = strength + level[:, j]
            longest = torch.maximum(longest, dist[:, :, :, j, :])
            summed = summed + dist[:, :, :, j, :]
            product = product * rel[:, :, j, :]
            top = torch.maximum(top, rel[:, :, j, :])
            member = member + eye[:, :, j]
        able = (strength.unsqueeze(1) >= need - 0.01).to(dist.dtype)
        time = longest + SLACK * (summed - longest)
        factor = able.unsqueeze(1) * product / torch.clamp(top, min=0.1)
        value = factor.unsqueeze(1) * torch.exp(-rate * time)
        inside = member.unsqueeze(1).unsqueeze(3)
        own = torch.maximum(own, inside * value)
        other = torch.maximum(other, (1.0 - inside) * value)
    # 4-norm: a smooth maximum, an agent slower than the others changes little
    power = own * own * own * own + other * other * other * other
    return torch.sqrt(torch.sqrt(power + 1e-12))

def enough(pj, pk, lj, lk, own, need):
    # probability that the loads of j and k plus the strength own suffice: [B, F]
    low = need - 0.01
    dt = pj.dtype
    no_k = (1.0 - pj) * (own >= low).to(dt) + pj * (own + lj >= low).to(dt)
    with_k = (1.0 - pj) * (own + lk >= low).to(dt) + pj * (own + lj + lk >= low).to(dt)
    return (1.0 - pk) * no_k + pk * with_k

def credit(state):
    """An agent earns credit first of all where its LOAD in this step decides
    whether a food is eaten, and next where its own move changes how soon a food
    is reached. Food that needs far or uninformed partners counts less, and an
    agent that others can replace or that is too weak gets little."""
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
    # who stands beside or sees which food, and how reliable it is as a partner
    dr, dc = gaps(pos[:, :, 0], pos[:, :, 1], food)
    man = dr + dc
    there = alive.unsqueeze(1)
    beside = ((man > 0.5) & (man < 1.5)).to(pos.dtype) * there
    sight = (torch.maximum(dr, dc) < 2.5).to(pos.dtype) * there
    partner = (0.4 + 0.25 * sight + 0.2 * beside).unsqueeze(1)
    rel = eye.unsqueeze(3) + (1.0 - eye.unsqueeze(3)) * partner
    # value of the foods after each move of each single agent: [B, 5, N, F]
    base = arrival(pos[:, :, 0], pos[:, :, 1], food, alive)
    moved = []
    for m in MOVES:
        row, col = move_one(pos, food, alive, eye, m[0], m[1])
        moved.append(arrival(row, col, food, alive))
    moved = torch.stack(moved, dim=1)
    mask = eye.unsqueeze(1).unsqueeze(4)
    dist = mask * moved.unsqueeze(2) + (1.0 - mask) * base.unsqueeze(1).unsqueeze(1)
    future = KEEP * viewed_value(dist, level, need, rel, eye, RATE)
    # how likely each agent loads in this step
    low = need.unsqueeze(1) - 0.01
    present = (beside * level.unsqueeze(2)).sum(1, keepdim=True)
    ready = (present >= low).to(pos.dtype)
    solo = (level.unsqueeze(2) >= low).to(pos.dtype)
    again = (torch.abs(last - 5.0) < 0.5).to(pos.dtype).unsqueeze(2)
    loads = torch.maximum(0.45 + 0.2 * ready, 0.75 * solo)
    p = beside * torch.maximum(loads, 0.85 * again)
    without, together = [], []
    n = level.shape[1]
    for i in range(n):
        j = (i + 1) % n
        k = (i + 2) % n
        lj = level[:, j].unsqueeze(1)
        lk = level[:, k].unsqueeze(1)
        own = level[:, i].unsqueeze(1) * beside[:, i]
        without.append(enough(p[:, j], p[:, k], lj, lk, 0.0 * own, need))
        together.append(enough(p[:, j], p[:, k], lj, lk, own, need))
    without = torch.stack(without, dim=1)
    together = torch.stack(together, dim=1)
    # spread over the moves, plus what the own LOAD changes in this step
    part = share.unsqueeze(1)
    missed = (part * (1.0 - without)).unsqueeze(1)
    q_move = (missed * future).sum(3)
    centred = q_move - q_move.mean(1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(1) + 1e-8)
    contrast = (part * (together - without) * (1.0 - future[:, 0])).sum(2)
    score = spread + LOAD_GAIN * contrast
    weights = FLOOR + score / (score.sum(1, keepdim=True) + 0.003)
    # bias: cautious estimate of the return still to be had
    even = 0.92 * torch.ones_like(rel[:, 0:1])
    still = viewed_value(base.unsqueeze(1).unsqueeze(1), level, need, even,
                         torch.zeros_like(eye[:, 0:1]), 0.05)
    bias = 0.5 * (share * still[:, 0, 0]).sum(1, keepdim=True)
    return weights, bias
