import torch
import torch.nn.functional as F
import math

COALITIONS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
RATE = 0.25                  # loss of value per step of arrival time
SLACK = 0.3                  # how much the earlier arrivals of a coalition matter
RETRY = (0.7, 0.55, 0.45)    # value of a food not eaten now, by loaders needed
CALM = (1.0, 0.92, 0.85)     # the same for the bias
LOAD_GAIN = 1.5              # factor of the LOAD contrast against the movement spread
UNSEEN = 2.0                 # extra steps for a food out of sight
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
    return FAR + alive.unsqueeze(1) * (steps + UNSEEN * hidden - FAR)

def move_one(pos, food, alive, eye, dr, dc):
    # row and column of each agent after its own move, the others staying
    row, col = pos[:, :, 0] + dr, pos[:, :, 1] + dc
    inside = (row > -0.5) & (row < 9.5) & (col > -0.5) & (col < 9.5)
    fr, fc = gaps(row, col, food)
    on_food = ((fr + fc < 0.5).to(pos.dtype) * alive.unsqueeze(1)).sum(2)
    ar, ac = gaps(row, col, pos)
    on_agent = ((ar + ac < 0.5).to(pos.dtype) * (1.0 - eye)).sum(2)
    go = inside.to(pos.dtype) * (1.0 - torch.clamp(on_food + on_agent, max=1.0))
    return pos[:, :, 0] + go * dr, pos[:, :, 1] + go * dc

def viewed_value(dist, level, need, rel, eye, rate, keep):
    # dist: [B, A, V, N, F], rel: [B, V, N, F] -> value of each food [B, A, V, F]
    own = other = torch.zeros_like(dist[:, :, :, 0, :])
    low = need - 0.01
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
        # strong enough, and not without its weakest member
        able = (strength.unsqueeze(1) >= low) & ((strength - weakest).unsqueeze(1) < low)
        time = longest + SLACK * (summed - longest)
        factor = product / torch.sqrt(torch.clamp(top, min=0.1))
        factor = keep[len(c) - 1] * able.to(dist.dtype).unsqueeze(1) * factor
        value = factor.unsqueeze(1) * torch.exp(-rate * time)
        inside = member.unsqueeze(1).unsqueeze(3)
        own = torch.maximum(own, inside * value)
        other = torch.maximum(other, (1.0 - inside) * value)
    # 4-norm: a smooth maximum, an agent slower than the others changes little
    power = own * own * own * own + other * other * other * other
    return torch.sqrt(torch.sqrt(power + 1e-12))

def enough(pj, pk, lj, lk, own, low):
    # probability that the loads of j and k plus the strength own suffice: [B, F]
    dt = pj.dtype
    no_k = (1.0 - pj) * (own >= low).to(dt) + pj * (own + lj >= low).to(dt)
    with_k = (1.0 - pj) * (own + lk >= low).to(dt) + pj * (own + lj + lk >= low).to(dt)
    return (1.0 - pk) * no_k + pk * with_k

def chose(last, action):
    return (torch.abs(last - action) < 0.5).to(last.dtype)

def credit(state):
    """An agent earns credit first of all where its LOAD in this step decides
    whether a food is eaten, and next where its own move changes how soon a
    coalition that needs it is ready. Partners count by where they stand and
    what their last action shows they are after; superfluous agents get little."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food = state["food_position"]
    last = state["last_action"]
    alive = ((state["food_level"] > 0.5) & (food[:, :, 0] > -0.5)).to(pos.dtype)
    need = state["food_level"] * alive
    eye = torch.diag_embed(torch.ones_like(level))
    there = alive.unsqueeze(1)
    # share of the return in each food; eaten foods count with the expected level
    gone = (1.0 - alive).sum(1, keepdim=True)
    expected = 0.5 * (level.sum(1, keepdim=True) + 1.0)
    share = need / torch.clamp(need.sum(1, keepdim=True) + gone * expected, min=1.0)
    # where each agent stands and what its last action shows: [B, N, F]
    row, col = pos[:, :, 0], pos[:, :, 1]
    dr, dc = gaps(row, col, food)
    beside = ((dr + dc > 0.5) & (dr + dc < 1.5)).to(pos.dtype) * there
    sight = (torch.maximum(dr, dc) < 2.5).to(pos.dtype) * there
    pr, pc = gaps(row - chose(last, 2.0) + chose(last, 1.0),
                  col - chose(last, 4.0) + chose(last, 3.0), food)
    approach = (pr + pc - dr - dc) * there
    waiting = beside * chose(last, 5.0).unsqueeze(2)
    low = need.unsqueeze(1) - 0.01
    solo = (level.unsqueeze(2) >= low).to(pos.dtype)
    base = arrival(row, col, food, alive)
    # soft assignment of each agent to the foods, and its reliability as a partner
    appeal = torch.exp(0.5 * approach + waiting - 0.4 * base)
    appeal = need.unsqueeze(1) * (0.5 + 0.5 * solo) * appeal
    focus = appeal / torch.clamp(appeal.sum(2, keepdim=True), min=1e-6)
    partner = 0.45 + 0.2 * sight + 0.1 * beside + 0.15 * waiting + 0.1 * approach * (0.3 + 0.7 * sight)
    partner = (partner * (0.65 + 0.35 * focus)).unsqueeze(1)
    rel = eye.unsqueeze(3) + (1.0 - eye.unsqueeze(3)) * partner
    # value of the foods after each move of each single agent: [B, 5, N, F]
    moved = []
    for m in MOVES:
        r, c = move_one(pos, food, alive, eye, m[0], m[1])
        moved.append(arrival(r, c, food, alive))
    change = torch.stack(moved, dim=1) - base.unsqueeze(1)
    dist = base.unsqueeze(1).unsqueeze(1) + eye.unsqueeze(1).unsqueeze(4) * change.unsqueeze(2)
    future = viewed_value(dist, level, need, rel, eye, RATE, RETRY)
    # how likely each agent loads in this step
    ready = ((beside * level.unsqueeze(2)).sum(1, keepdim=True) >= low).to(pos.dtype)
    loads = torch.maximum(0.45 + 0.2 * ready, 0.75 * solo) + 0.1 * approach
    p = beside * torch.maximum(loads, 0.85 * waiting)
    without, together = [], []
    n = level.shape[1]
    for i in range(n):
        j, k = (i + 1) % n, (i + 2) % n
        lj, lk = level[:, j].unsqueeze(1), level[:, k].unsqueeze(1)
        own = level[:, i].unsqueeze(1) * beside[:, i]
        without.append(enough(p[:, j], p[:, k], lj, lk, 0.0 * own, need - 0.01))
        together.append(enough(p[:, j], p[:, k], lj, lk, own, need - 0.01))
    without, together = torch.stack(without, dim=1), torch.stack(together, dim=1)
    # spread over the moves, plus what the own LOAD changes in this step
    part = share.unsqueeze(1)
    q_move = ((part * (1.0 - without)).unsqueeze(1) * future).sum(3)
    centred = q_move - q_move.mean(1, keepdim=True)
    spread = torch.sqrt((centred * centred).mean(1) + 1e-8)
    contrast = (part * (together - without) * (1.0 - future[:, 0])).sum(2)
    score = spread + LOAD_GAIN * contrast
    weights = FLOOR + score / (score.sum(1, keepdim=True) + 0.003)
    # bias: cautious estimate of the return still to be had
    still = viewed_value(base.unsqueeze(1).unsqueeze(1), level, need, torch.ones_like(rel[:, 0:1]),
                         torch.zeros_like(eye[:, 0:1]), 0.05, CALM)
    bias = 0.5 * (share * still[:, 0, 0]).sum(1, keepdim=True)
    return weights, bias
