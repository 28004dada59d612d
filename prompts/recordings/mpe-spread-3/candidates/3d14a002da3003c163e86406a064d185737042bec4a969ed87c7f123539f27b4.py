import torch
import torch.nn.functional as F
import math

STAGES = (1, 2, 2)  # samples of the reward, two steps apart, before each reading
TOUCH = 0.3
SOFT = 1e-3
LIMIT = 0.25        # mean push of a half-skilled team, per step
GLIDE = 0.5         # belief in the gliding continuation
GLIDE_NOISE = 0.1   # growth of position spread with the root of time
STEER_NOISE = 0.04
FLOOR = 0.3
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def assignments(pos, vel, marks):
    # all one-to-one assignments, the belief in each, and the expected cost
    ahead = pos + 0.25 * vel
    d = marks.unsqueeze(1) - ahead.unsqueeze(2)  # [B, agent, landmark, 2]
    cost = torch.sqrt((d * d).sum(-1) + SOFT)
    sums = []
    places = []
    for a, b, c in PERMS:
        sums.append(cost[:, 0, a] + cost[:, 1, b] + cost[:, 2, c])
        places.append(torch.stack([marks[:, a], marks[:, b], marks[:, c]], dim=1))
    total = torch.stack(sums, dim=1)  # [B, 6]
    prob = torch.softmax(-total / 0.12, dim=1)
    return torch.stack(places, dim=1), prob, (prob * total).sum(1, keepdim=True)


def steer(p, v, goal, limit):
    # push towards the goal, braking in time; both axes share one push
    u = goal - p - 0.25 * v
    size = u.abs().sum(-1, keepdim=True)
    return u * (limit / torch.clamp(size, min=0.4 * LIMIT))


def pairs(p):
    # the three pairs (0, 1), (1, 2), (2, 0): offset and distance
    d = p - torch.cat([p[..., 1:, :], p[..., :1, :]], dim=-2)
    return d, torch.sqrt((d * d).sum(-1, keepdim=True) + SOFT)


def advance(p, v, d, dist, u):
    # one step of the world: move, damp, contact push, action
    h = d * (F.relu(10.0 * TOUCH - 10.0 * dist) / dist)
    push = h - torch.cat([h[..., 2:, :], h[..., :2, :]], dim=-2)
    return p + 0.1 * v, 0.75 * v + push + u


def reward(p, dist, marks, s):
    # expected reward when each agent's position is uncertain by s per axis
    d = p.unsqueeze(-2) - marks.unsqueeze(-3)  # [..., agent, landmark, 2]
    far = torch.sqrt((d * d).sum(-1) + (1.5 * s * s + SOFT))
    temp = 0.8 * s
    near = torch.logsumexp(far * (-1.0 / temp), dim=-2, keepdim=True) * (-temp)
    chance = TOUCH * TOUCH / (TOUCH * TOUCH + 4.0 * s * s)
    touch = chance * torch.sigmoid((TOUCH - dist) / (0.03 + 0.8 * s))
    return -1.5 * near.sum(-1).sum(-1) - touch.sum(-1).sum(-1)


def credit(state):
    """An agent earns credit for how much the choice of its action in this very
    step changes the expected reward of the next steps, as the (soon) nearest
    agent of a landmark or by a contact. Agents that glide far off, are redundant
    or rest safely on a landmark get little; shares are averaged over a gliding
    continuation of growing uncertainty and over all assignments, by likelihood."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(1)  # [B, 3, 2]
    places, prob, cost = assignments(pos, vel, marks)

    # continuation 0 glides, 1 to 6 steer by one assignment each
    goals = torch.cat([pos.unsqueeze(1), places], dim=1)  # [B, 7, 3, 2]
    belief = torch.cat([GLIDE * torch.ones_like(cost), (1.0 - GLIDE) * prob], dim=1)

    # constants: the four pushes (NONE is their middle), identity, strengths
    zero = pos.new_zeros(1)
    one = pos.new_ones(1)
    six = pos.new_ones(6)
    half = 0.5 * one
    acts = torch.stack([
        torch.cat([-half, zero]),
        torch.cat([half, zero]),
        torch.cat([zero, -half]),
        torch.cat([zero, half]),
    ]).reshape(1, 1, 1, 4, 1, 2)
    same = torch.stack([
        torch.cat([one, zero, zero]),
        torch.cat([zero, one, zero]),
        torch.cat([zero, zero, one]),
    ]).reshape(1, 1, 3, 1, 3, 1)
    limit = torch.cat([zero, LIMIT * six]).reshape(1, 7, 1, 1, 1, 1)
    noise = torch.cat([GLIDE_NOISE * one, STEER_NOISE * six]).reshape(1, 7, 1, 1, 1, 1)

    # dimensions: batch, continuation, varied agent, its action, agent, xy
    p = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    g = goals.unsqueeze(2).unsqueeze(2)

    # this step: one agent's action is varied, the others follow the continuation
    d, dist = pairs(p)
    first = steer(p, v, g, limit) * (1.0 - same) + acts * same
    p, v = advance(p, v, d, dist, first)
    d, dist = pairs(p)

    # the following steps: add up the reward, read the shares at three horizons
    total = pos.new_zeros(1)
    share = pos.new_zeros(1)
    t = 0
    for samples in STAGES:
        for _ in range(samples):
            for _ in range(2):
                t = t + 1
                p, v = advance(p, v, d, dist, steer(p, v, g, limit))
                d, dist = pairs(p)
            total = total + reward(p, dist, m, noise * math.sqrt(t))  # [B, 7, 3, 4]
        spread = total - total.mean(dim=3, keepdim=True)
        effect = torch.sqrt((spread * spread).mean(dim=3) + 1e-6)  # [B, 7, 3]
        part = effect / torch.clamp(effect.sum(dim=2, keepdim=True), min=1e-4)
        share = share + (belief.unsqueeze(2) * part).sum(1) / len(STAGES)

    weights = FLOOR + 3.0 * share

    # loss still to come until the landmarks are covered, bounded
    bias = -12.0 * torch.tanh(2.5 * cost / 12.0)
    return weights, bias
