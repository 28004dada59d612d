import torch
import torch.nn.functional as F
import math

DISCOUNT = 0.97
TOUCH = 0.3
SOFT = 4e-4
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
# first step, end, and share in the credit of each horizon
STAGES = ((0, 3, 0.2), (3, 7, 0.35), (7, 13, 0.45))
PURSUE = 0.45
WEAK = 0.25
GLIDE = 0.30


def length(d, soft):
    return torch.sqrt((d * d).sum(-1) + soft)


def lowest(x):
    # one-hot row of the smallest entry (shared evenly in an exact tie)
    hit = torch.where(x <= x.amin(dim=1, keepdim=True),
                      torch.ones_like(x), torch.zeros_like(x))
    return hit / torch.clamp(hit.sum(1, keepdim=True), min=1.0)


def assignments(pos, vel, marks):
    # cheapest and second cheapest one-to-one assignment, without averaging
    ahead = pos + 0.25 * vel
    cost = length(marks.unsqueeze(1) - ahead.unsqueeze(2), SOFT)  # [B, agent, mark]
    sums = []
    places = []
    for k in range(6):
        a, b, c = PERMS[k]
        # the small constant breaks exact ties
        sums.append(cost[:, 0, a] + cost[:, 1, b] + cost[:, 2, c] + 1e-4 * k)
        places.append(torch.stack([marks[:, a], marks[:, b], marks[:, c]], dim=1))
    total = torch.stack(sums, dim=1)  # [B, 6]
    place = torch.stack(places, dim=1)  # [B, 6, 3, 2]

    first = lowest(total)
    second = lowest(total + 1000.0 * first)
    goal_a = (first.unsqueeze(-1).unsqueeze(-1) * place).sum(1)
    goal_b = (second.unsqueeze(-1).unsqueeze(-1) * place).sum(1)
    cost_a = (first * total).sum(1, keepdim=True)
    cost_b = (second * total).sum(1, keepdim=True)
    doubt = torch.sigmoid((cost_a - cost_b) / 0.1)  # at most about one half

    prob = torch.softmax(-total / 0.08, dim=1)
    expected = (prob * total).sum(1, keepdim=True)
    return goal_a, goal_b, doubt, expected


def steer(p, v, goal, gain, limit):
    # push towards the goal, braking in time; both axes share one push
    u = gain * (goal - p - 0.25 * v)
    size = u.abs().sum(-1, keepdim=True)
    return u * (limit / torch.maximum(size, limit))


def pairs(p):
    # pair k is agent k and the next one in the circle; each pair occurs once
    d = p - torch.cat([p[..., 1:, :], p[..., :1, :]], dim=-2)
    return d, length(d, SOFT)


def advance(p, v, u, d, gap):
    # one step of the world: move, damp, contact push, action
    force = F.relu(TOUCH - gap) * (10.0 / torch.clamp(gap, min=0.06))
    s = force.unsqueeze(-1) * d
    push = s - torch.cat([s[..., 2:, :], s[..., :2, :]], dim=-2)
    return p + 0.1 * v, 0.75 * v + push + u


def reward(p, gap, marks, t):
    # the later the step, the less certain who is nearest and who touches
    blur = 0.02 + 0.007 * t
    dist = length(p.unsqueeze(-2) - marks.unsqueeze(-3), blur * blur)
    low = dist.amin(dim=-2, keepdim=True)
    heap = torch.exp((low - dist) * (1.0 / blur)).sum(-2)  # at least 1
    near = (low.squeeze(-2) - blur * torch.log(heap)).sum(-1)
    touch = torch.sigmoid((TOUCH - gap) * (1.0 / (0.03 + 0.003 * t)))
    return -1.5 * near - touch.sum(-1)


def credit(state):
    """An agent earns credit for how much its action in this very step changes
    the team's reward, judged over short and long horizons and over several
    continuations (two assignments, weak pursuit, pure gliding). The nearest
    agent of distant landmarks and agents about to touch earn most; redundant,
    far away or safely settled agents earn little."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(1)  # [B, 3, 2]

    goal_a, goal_b, doubt, cost = assignments(pos, vel, marks)

    zero = pos.new_zeros(1)
    one = pos.new_ones(1)
    half = 0.5 * one
    acts = torch.stack([
        torch.cat([zero, zero]),
        torch.cat([-half, zero]),
        torch.cat([half, zero]),
        torch.cat([zero, -half]),
        torch.cat([zero, half]),
    ]).reshape(1, 1, 1, 5, 1, 2)
    same = torch.stack([
        torch.cat([one, zero, zero]),
        torch.cat([zero, one, zero]),
        torch.cat([zero, zero, one]),
    ]).reshape(1, 1, 3, 1, 3, 1)

    # continuations: best assignment, second best, weak pursuit, gliding
    limit = torch.cat([half, half, 0.18 * one, half]).reshape(1, 4, 1, 1, 1, 1)
    gain = torch.cat([2.5 * one, 2.5 * one, 2.5 * one, zero])
    gain = gain.reshape(1, 4, 1, 1, 1, 1)
    sure = torch.ones_like(doubt)
    share = torch.cat([
        PURSUE * (1.0 - doubt), PURSUE * doubt, WEAK * sure, GLIDE * sure,
    ], dim=1)  # [B, 4]

    # dimensions: batch, continuation, varied agent, its action, agent, xy
    g = torch.stack([goal_a, goal_b, goal_a, goal_a], dim=1)
    g = g.unsqueeze(2).unsqueeze(2)
    p = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)

    # this step: one agent's action is varied, the others follow the continuation
    d, gap = pairs(p)
    u = steer(p, v, g, gain, limit) * (1.0 - same) + acts * same
    p, v = advance(p, v, u, d, gap)
    d, gap = pairs(p)

    total = pos.new_zeros(1)
    mixed = torch.zeros_like(pos[:, :, 0])
    for start, end, portion in STAGES:
        for t in range(start, end):
            u = steer(p, v, g, gain, limit)
            p, v = advance(p, v, u, d, gap)
            d, gap = pairs(p)
            total = total + (DISCOUNT ** t) * reward(p, gap, m, t)  # [B, 4, 3, 5]
        spread = total - total.mean(dim=3, keepdim=True)
        effect = torch.sqrt((spread * spread).mean(dim=3) + 4e-4)  # [B, 4, 3]
        average = torch.clamp(effect.mean(dim=2, keepdim=True), min=1e-3)
        relative = effect / average
        mixed = mixed + portion * (share.unsqueeze(2) * relative).sum(1)

    weights = 0.45 + mixed

    # loss still to come until the landmarks are covered, bounded
    bias = -12.0 * torch.tanh(2.5 * cost / 12.0)
    return weights, bias
