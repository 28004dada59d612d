import torch
import torch.nn.functional as F
import math

COALITIONS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
RATE = 0.25                # loss of value per step of arrival time
SLACK = 0.3                # how much the earlier arrivals of a coalition matter
RETRY = (0.72, 0.6, 0.5)   # value of a ready food not eaten now, by loaders needed
LOAD_GAIN = 1.5
UNSEEN = 2.0               # extra steps for a food out of sight
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

def viewed_value(dist, level, need, rel, eye, rate, retry):
    # dist: [B, A, V, N, F], rel: [B, V, N, F] -> value of each food [B, A, V, F]
    own = torch.zeros_like(dist[:, :, :, 0, :])
    other = torch.zeros_like(own)
    for c in COALITIONS:
        strength = weakest = level[:, c[0]]
        longest = summed = dist[:, :, :, c[0], :]
        product = top = rel[:, :, c[0], :]
        member = eye[:, :, c[0]]
        for j in c[1:]:
            strength = strength + level[:, j]
            weakest = torch.minimum(weakest, level[:, j])
            longest = torch.maximum(longest, dist[:, :, :, j, :])
            summed = summed + dist[:, :, :, j, :]
            product = product * rel[:, :, j, :]
            top = torch.maximum(top, rel[:, :, j, :])
            member = member + eye[:, :, j]
        # strong enough, and no member superfluous
        able = (strength.unsqueeze(1) >= need - 0.01)
        able = (able & ((strength - weakest).unsqueeze(1) < need - 0.01)).to(dist.dtype)
        time = longest + SLACK * (summed - longest)
        factor = retry[len(c) - 1] * able.unsqueeze(1) * product / torch.clamp(top, min=0.1)
        value = factor.unsqueeze(1) * torch.exp(-rate * time)
        inside = member.unsqueeze(1).unsqueeze(3)
        own = torch.maximum(own, inside * value)
        other = torch.maximum(other, (1.0 - inside) * value)
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
    """An agent earns credit first where its LOAD in this step completes a food,
    given who probably loads too, and next where its own move decides how soon a
    coalition without superfluous members is complete. Partners count by what
    they see and by the food they are heading for or waiting at."""
    pos, level = state["agent_position"], state["agent_level"]
    food, last = state["food_position"], state["last_action"]
    dt = pos.dtype
    alive = ((state["food_level"] > 0.5) & (food[:, :, 0] > -0.5)).to(dt)
    need = state["food_level"] * alive
    eye = torch.diag_embed(torch.ones_like(level))
    gone = (1.0 - alive).sum(1, keepdim=True)
    expected = 0.5 * (level.sum(1, keepdim=True) + 1.0)
    share = need / torch.clamp(need.sum(1, keepdim=True) + gone * expected, min=1.0)
    part = share.unsqueeze(1)
    # who stands beside or sees which food, and who could eat it
    dr, dc = gaps(pos[:, :, 0], pos[:, :, 1], food)
    man = dr + dc
    there = alive.unsqueeze(1)
    beside = ((man > 0.5) & (man < 1.5)).to(dt) * there
    sight = (torch.maximum(dr, dc) < 2.5).to(dt) * there
    sees = torch.clamp(sight.sum(2), max=1.0)
    low = need.unsqueeze(1) - 0.01
    strong = level.unsqueeze(2)
    present = (beside * strong).sum(1, keepdim=True)
    ready = (present >= low).to(dt)
    solo = (strong >= low).to(dt)
    helped = (present - beside * strong + strong >= low).to(dt)
    # intention from the last action
    did = [(torch.abs(last - a) < 0.5).to(dt) for a in range(6)]
    pr, pc = gaps(pos[:, :, 0] - did[2] + did[1], pos[:, :, 1] - did[4] + did[3], food)
    closer = (pr + pc - man) * there
    anchor = did[5].unsqueeze(2) * beside
    idle = did[0].unsqueeze(2)
    # soft assignment of each agent to the foods: [B, N, F]
    base = arrival(pos[:, :, 0], pos[:, :, 1], food, alive)
    easy = 0.5 + 0.5 * torch.maximum(solo, helped)
    appeal = part * easy * torch.exp(0.35 * closer + anchor - 0.3 * base)
    sharp = appeal * appeal
    focus = sharp / (sharp.sum(2, keepdim=True) + 1e-10)
    partner = (0.45 + 0.2 * sight + 0.2 * beside) * (0.45 + 0.55 * focus) + 0.15 * anchor
    partner = torch.clamp(partner, max=1.0).unsqueeze(1)
    rel = eye.unsqueeze(3) + (1.0 - eye.unsqueeze(3)) * partner
    # value of the foods after each move of each single agent: [B, 5, N, F]
    moved = []
    for m in MOVES:
        row, col = move_one(pos, food, alive, eye, m[0], m[1])
        moved.append(arrival(row, col, food, alive))
    mask = eye.unsqueeze(1).unsqueeze(4)
    wide = base.unsqueeze(1).unsqueeze(1)
    dist = mask * torch.stack(moved, dim=1).unsqueeze(2) + (1.0 - mask) * wide
    future = viewed_value(dist, level, need, rel, eye, RATE, RETRY)
    # how likely each agent loads in this step
    loads = torch.maximum(0.45 + 0.27 * ready, 0.8 * solo) * (1.0 - 0.35 * idle)
    p = beside * torch.maximum(loads, 0.88 * anchor)
    without, together = [], []
    n = level.shape[1]
    for i in range(n):
        j, k = (i + 1) % n, (i + 2) % n
        lj, lk = level[:, j].unsqueeze(1), level[:, k].unsqueeze(1)
        own = level[:, i].unsqueeze(1) * beside[:, i]
        without.append(enough(p[:, j], p[:, k], lj, lk, 0.0 * own, need))
        together.append(enough(p[:, j], p[:, k], lj, lk, own, need))
    without = torch.stack(without, dim=1)
    together = torch.stack(together, dim=1)
    # spread over the moves, plus what the own LOAD changes in this step
    q_move = ((part * (1.0 - without)).unsqueeze(1) * future).sum(3)
    centred = q_move - q_move.mean(1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(1) + 1e-8) * (0.6 + 0.4 * sees)
    contrast = (part * (together - without) * (1.0 - future[:, 0])).sum(2)
    score = spread + LOAD_GAIN * contrast
    weights = FLOOR + score / (score.sum(1, keepdim=True) + 0.003)
    # bias: cautious estimate of the return still to be had
    even = 0.92 * torch.ones_like(rel[:, 0:1])
    still = viewed_value(wide, level, need, even, torch.zeros_like(eye[:, 0:1]),
                         0.05, (1.0, 1.0, 1.0))
    bias = 0.5 * (share * still[:, 0, 0]).sum(1, keepdim=True)
    return weights, bias
