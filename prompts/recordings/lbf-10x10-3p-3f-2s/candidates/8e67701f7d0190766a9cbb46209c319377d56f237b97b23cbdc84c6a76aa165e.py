import torch
import torch.nn.functional as F
import math

COALITIONS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
RETRY = (0.75, 0.6, 0.48)   # value of a ready food not eaten now, by loaders needed
CERTAIN = (1.0, 1.0, 1.0)
RATE = 0.25       # loss of value per step of arrival time, for the weights
SLACK = 0.3       # how much the earlier arrivals of a coalition matter
LOAD_GAIN = 1.5   # factor of the LOAD contrast against the movement spread
UNSEEN = 2.0      # extra steps for a food out of sight
FAR = 30.0
FLOOR = 0.25

def same(x, value):
    return (torch.abs(x - value) < 0.5).to(x.dtype)

def gaps(row, col, points):
    dr = torch.abs(row.unsqueeze(2) - points[:, :, 0].unsqueeze(1))
    dc = torch.abs(col.unsqueeze(2) - points[:, :, 1].unsqueeze(1))
    return dr, dc

def arrival(row, col, food, alive):
    dr, dc = gaps(row, col, food)
    steps = torch.clamp(dr + dc - 1.0, min=0.0)
    hidden = torch.clamp(0.5 * (torch.maximum(dr, dc) - 2.0), min=0.0, max=1.0)
    there = alive.unsqueeze(1)
    return there * (steps + UNSEEN * hidden) + (1.0 - there) * FAR

def move_one(pos, food, alive, eye, dr, dc):
    row = pos[:, :, 0] + dr
    col = pos[:, :, 1] + dc
    inside = (row > -0.5) & (row < 9.5) & (col > -0.5) & (col < 9.5)
    fr, fc = gaps(row, col, food)
    on_food = (same(fr + fc, 0.0) * alive.unsqueeze(1)).sum(2)
    ar, ac = gaps(row, col, pos)
    on_agent = (same(ar + ac, 0.0) * (1.0 - eye)).sum(2)
    go = inside.to(pos.dtype) * (1.0 - torch.clamp(on_food + on_agent, max=1.0))
    return pos[:, :, 0] + go * dr, pos[:, :, 1] + go * dc

def viewed_value(dist, level, need, rel, eye, rate, keep):
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
        low = need - 0.01
        able = (strength.unsqueeze(1) >= low) & ((strength - weakest).unsqueeze(1) < low)
        time = longest + SLACK * (summed - longest)
        chance = product / torch.sqrt(torch.clamp(top, min=0.1))
        factor = keep[len(c) - 1] * able.to(dist.dtype).unsqueeze(1) * chance
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
    """An agent earns credit first of all where its LOAD in this step decides
    whether a food is eaten, and next where its own move changes how soon a needed
    group is complete. Partners count by what they see, where their last action
    points and which food they are likely to serve; superfluous agents get little."""
    pos, level = state["agent_position"], state["agent_level"]
    food, last = state["food_position"], state["last_action"]
    alive = ((state["food_level"] > 0.5) & (food[:, :, 0] > -0.5)).to(pos.dtype)
    need = state["food_level"] * alive
    eye = torch.diag_embed(torch.ones_like(level))
    # share of the return in each food; eaten foods count with the expected level
    gone = (1.0 - alive).sum(1, keepdim=True)
    expected = 0.5 * (level.sum(1, keepdim=True) + 1.0)
    share = need / torch.clamp(need.sum(1, keepdim=True) + gone * expected, min=1.0)
    part, there = share.unsqueeze(1), alive.unsqueeze(1)
    # who stands beside or sees which food, and where its last action points
    row, col = pos[:, :, 0], pos[:, :, 1]
    dr, dc = gaps(row, col, food)
    reach = torch.maximum(dr, dc)
    beside = same(dr + dc, 1.0) * there
    sight = (reach < 2.5).to(pos.dtype) * there
    br, bc = gaps(row - same(last, 2.0) + same(last, 1.0),
                  col - same(last, 4.0) + same(last, 3.0), food)
    toward = torch.clamp(br + bc - dr - dc, min=-1.0, max=1.0) * there
    anchor = beside * same(last, 5.0).unsqueeze(2)
    # soft assignment of each partner to one food, and its reliability there
    base = arrival(row, col, food, alive)
    pull = part * torch.exp(0.4 * toward + anchor - RATE * base)
    choice = pull / torch.clamp(pull.sum(2, keepdim=True), min=1e-8)
    trust = 0.4 + 0.25 * sight + 0.2 * beside + 0.1 * (toward + anchor)
    partner = (trust * (0.5 + 0.5 * choice)).unsqueeze(1)
    rel = eye.unsqueeze(3) + (1.0 - eye.unsqueeze(3)) * partner
    # value of the foods after each move of each single agent: [B, 5, N, F]
    moved = []
    for m in MOVES:
        r, c = move_one(pos, food, alive, eye, m[0], m[1])
        moved.append(arrival(r, c, food, alive))
    mask = eye.unsqueeze(1).unsqueeze(4)
    dist = mask * torch.stack(moved, dim=1).unsqueeze(2)
    dist = dist + (1.0 - mask) * base.unsqueeze(1).unsqueeze(1)
    future = viewed_value(dist, level, need, rel, eye, RATE, RETRY)
    # how likely each agent loads in this step; one that just arrived or waits does
    low = need.unsqueeze(1) - 0.01
    ready = ((beside * level.unsqueeze(2)).sum(1, keepdim=True) >= low).to(pos.dtype)
    solo = (level.unsqueeze(2) >= low).to(pos.dtype)
    loads = 0.45 + 0.2 * ready + 0.15 * torch.clamp(toward, min=0.0)
    p = beside * torch.maximum(torch.maximum(loads, 0.75 * solo), 0.9 * anchor)
    without, together = [], []
    n = level.shape[1]
    for i in range(n):
        j, k = (i + 1) % n, (i + 2) % n
        lj, lk = level[:, j].unsqueeze(1), level[:, k].unsqueeze(1)
        own = level[:, i].unsqueeze(1) * beside[:, i]
        without.append(enough(p[:, j], p[:, k], lj, lk, 0.0 * own, need))
        together.append(enough(p[:, j], p[:, k], lj, lk, own, need))
    without, together = torch.stack(without, dim=1), torch.stack(together, dim=1)
    # spread over the moves, damped for an agent far from seeing any food
    q_move = ((part * (1.0 - without)).unsqueeze(1) * future).sum(3)
    centred = q_move - q_move.mean(1, keepdim=True)
    clear = torch.clamp(1.8 - 0.4 * reach, min=0.0, max=1.0) * there
    steer = 0.5 + 0.5 * clear.amax(2)
    spread = steer * torch.sqrt((centred * centred).mean(1) + 1e-8)
    contrast = (part * (together - without) * (1.0 - future[:, 0])).sum(2)
    score = spread + LOAD_GAIN * contrast
    weights = FLOOR + score / (score.sum(1, keepdim=True) + 0.002)
    # bias: cautious estimate of the return still to be had
    even = 0.92 * torch.ones_like(rel[:, 0:1])
    still = viewed_value(base.unsqueeze(1).unsqueeze(1), level, need, even,
                         torch.zeros_like(eye[:, 0:1]), 0.05, CERTAIN)
    return weights, 0.5 * (share * still[:, 0, 0]).sum(1, keepdim=True)
