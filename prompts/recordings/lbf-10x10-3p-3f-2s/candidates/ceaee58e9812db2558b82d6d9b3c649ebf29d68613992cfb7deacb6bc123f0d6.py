import torch
import torch.nn.functional as F
import math

COALITIONS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
RATE = 0.26        # loss of value per step of arrival time
SLACK = 0.3        # how much the earlier arrivals of a coalition matter
KEEP = 0.65        # value of a food that is ready but not eaten now
UNSEEN = 2.0       # extra steps for a food far out of sight
FAR = 30.0
LOAD_WEIGHT = 0.4  # direct credit for a LOAD that decides
FLOOR = 0.25


def gaps(row, col, points):
    # row, col: [B, N], points: [B, M, 2] -> absolute differences [B, N, M]
    dr = torch.abs(row.unsqueeze(2) - points[:, :, 0].unsqueeze(1))
    dc = torch.abs(col.unsqueeze(2) - points[:, :, 1].unsqueeze(1))
    return dr, dc


def closeness(dr, dc):
    # 1 within sight, falling to 0 three cells beyond it
    return torch.clamp((5.0 - torch.maximum(dr, dc)) / 3.0, min=0.0, max=1.0)


def arrival(row, col, food, alive):
    # steps until each agent stands beside each food: [B, N, F]
    dr, dc = gaps(row, col, food)
    steps = torch.clamp(dr + dc - 1.0, min=0.0) + UNSEEN * (1.0 - closeness(dr, dc))
    there = alive.unsqueeze(1)
    return there * steps + (1.0 - there) * FAR


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


def coalition_value(dist, level, need, reliable, rate):
    # dist: [B, X, Y, N, F], reliable: [B, N, F] -> value in 0..1: [B, X, Y, F]
    # only coalitions count that are strong enough and have no superfluous member
    best = torch.zeros_like(dist[:, :, :, 0, :])
    total = torch.zeros_like(best)
    count = torch.zeros_like(need)
    for c in COALITIONS:
        strength = level[:, c[0]]
        weakest = strength
        longest = dist[:, :, :, c[0], :]
        summed = longest
        team = reliable[:, c[0]]
        for j in c[1:]:
            strength = strength + level[:, j]
            weakest = torch.minimum(weakest, level[:, j])
            longest = torch.maximum(longest, dist[:, :, :, j, :])
            summed = summed + dist[:, :, :, j, :]
            team = team * reliable[:, j]
        if len(c) == 1:
            team = torch.ones_like(team)
        low = need - 0.01
        able = ((strength.unsqueeze(1) >= low)
                & ((strength - weakest).unsqueeze(1) < low)).to(dist.dtype)
        time = longest + SLACK * (summed - longest)
        value = (able * team).unsqueeze(1).unsqueeze(1) * torch.exp(-rate * time)
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
    """An agent earns credit where its LOAD decides whether a food is eaten in
    this step, and where its own move changes how soon the best coalition without
    superfluous members reaches a food. Food that needs partners counts less when
    these are out of sight of it; surplus, too weak and far agents get little."""
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
    part = (need / initial).unsqueeze(1).unsqueeze(1)

    # who stands beside which food, and how reliably it comes to it or loads there
    dr, dc = gaps(pos[:, :, 0], pos[:, :, 1], food)
    man = dr + dc
    reliable = 0.5 + 0.3 * closeness(dr, dc)
    beside = ((man > 0.5) & (man < 1.5)).to(pos.dtype) * alive.unsqueeze(1)
    present = (beside * level.unsqueeze(2)).sum(1)
    ready = (present >= need - 0.01).to(pos.dtype).unsqueeze(1)
    loaded = (torch.abs(last - 5.0) < 0.5).to(pos.dtype).unsqueeze(2)
    p = beside * (0.5 + 0.25 * ready + 0.15 * loaded)

    # value of the foods after each move of each single agent: [B, 5, N, F]
    base = arrival(pos[:, :, 0], pos[:, :, 1], food, alive)
    moved = []
    for m in MOVES:
        row, col = move_one(pos, food, alive, eye, m[0], m[1])
        moved.append(arrival(row, col, food, alive))
    moved = torch.stack(moved, dim=1)
    mask = eye.unsqueeze(1).unsqueeze(4)
    dist = mask * moved.unsqueeze(2) + (1.0 - mask) * base.unsqueeze(1).unsqueeze(1)
    future = KEEP * coalition_value(dist, level, need, reliable, RATE)

    # probability that each food is eaten now, without and with the agent's LOAD
    without = []
    together = []
    n = level.shape[1]
    for i in range(n):
        j = (i + 1) % n
        k = (i + 2) % n
        lj = level[:, j].unsqueeze(1)
        lk = level[:, k].unsqueeze(1)
        own = level[:, i].unsqueeze(1) * beside[:, i]
        without.append(enough(p[:, j], p[:, k], lj, lk, torch.zeros_like(own), need))
        together.append(enough(p[:, j], p[:, k], lj, lk, own, need))
    without = torch.stack(without, dim=1).unsqueeze(1)
    together = torch.stack(together, dim=1).unsqueeze(1)

    # spread of the values of the six actions, plus what the LOAD itself decides
    q_move = (part * (without + (1.0 - without) * future)).sum(3)
    q_load = (part * (together + (1.0 - together) * future[:, 0:1])).sum(3)
    q = torch.cat([q_move, q_load], dim=1)
    centred = q - q.mean(1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(1) + 1e-8)
    decisive = (part * (together - without)).sum(3)[:, 0]
    matter = spread + LOAD_WEIGHT * decisive
    weights = FLOOR + matter / (matter.sum(1, keepdim=True) + 0.003)

    # cautious estimate of the return still to be had
    trust = 0.97 * torch.ones_like(reliable)
    still = coalition_value(base.unsqueeze(1).unsqueeze(1), level, need, trust, 0.05)
    bias = 0.5 * (part * still).sum(3)[:, :, 0]
    return weights, bias
