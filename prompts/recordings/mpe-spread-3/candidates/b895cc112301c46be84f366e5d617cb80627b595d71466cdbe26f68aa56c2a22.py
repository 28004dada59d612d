import torch
import torch.nn.functional as F
import math

TOUCH = 0.3
LIMIT = 0.3          # mean push of a half-competent agent
GLIDE = 0.5          # weight of the continuation without steering
SEGMENTS = ((1, 4), (4, 8), (8, 15))
PARTS = (0.3, 0.4, 0.3)
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def assignment(pos, vel, marks):
    # the six one-to-one plans, their probabilities and the expected cost
    ahead = pos + 0.25 * vel
    gap = marks.unsqueeze(1) - ahead.unsqueeze(2)
    cost = torch.sqrt((gap * gap).sum(-1) + 4e-4)  # [B, agent, landmark]
    sums = []
    places = []
    for a, b, c in PERMS:
        sums.append(cost[:, 0, a] + cost[:, 1, b] + cost[:, 2, c])
        places.append(torch.stack([marks[:, a], marks[:, b], marks[:, c]], dim=1))
    total = torch.stack(sums, dim=1)  # [B, 6]
    prob = torch.softmax(-total / 0.12, dim=1)
    return places, prob, (prob * total).sum(1)


def steer(p, v, goal):
    # push towards the goal, braking in time; both axes share one push
    u = 2.5 * (goal - p - 0.25 * v)
    size = u.abs().sum(-1, keepdim=True)
    return u * (LIMIT / torch.clamp(size, min=LIMIT))


def certainty(s):
    # how far a contact of the mean paths is still a contact, s: spread per axis
    return 1.0 / (1.0 + 2.0 * s * s / (TOUCH * TOUCH))


def advance(p, v, u, sure):
    # one step of the world: move, damp, contact push, action
    d = p.unsqueeze(-2) - p.unsqueeze(-3)
    dist = torch.sqrt((d * d).sum(-1) + 2.5e-3)
    force = 10.0 * F.relu(TOUCH - dist) / dist
    push = (force.unsqueeze(-1) * d).sum(-2)
    return p + 0.1 * v, 0.75 * v + sure * push + u


def expected_reward(p, marks, s):
    # p [..., agent, 2], marks [..., landmark, 2], s [..., 1, 1]: the agents'
    # positions are uncertain with standard deviation s per axis
    d = p.unsqueeze(-2) - marks.unsqueeze(-3)
    mean = torch.sqrt((d * d).sum(-1) + 1.4 * s * s + 4e-4)
    tau = 0.55 * s + 0.015
    near = -tau * torch.logsumexp(-mean / tau, dim=-2, keepdim=True)
    near = near.sum(-1, keepdim=True)
    q = p.unsqueeze(-2) - p.unsqueeze(-3)
    gap = torch.sqrt((q * q).sum(-1) + 4e-4)
    touch = certainty(s) * torch.sigmoid((TOUCH - gap) / (0.7 * s + 0.02))
    # every pair is counted twice; the diagonal is a constant and cancels later
    touch = 0.5 * touch.sum(-1, keepdim=True).sum(-2, keepdim=True)
    return (-1.5 * near - touch).squeeze(-1).squeeze(-1)


def credit(state):
    """An agent earns credit for what its action in this very step changes in
    the team's expected reward: as the (possibly soon) nearest agent of one or
    more landmarks that it can approach or leave, or by causing or avoiding a
    contact. Distant, redundant agents and those that glide onto their landmark
    anyway get little; uncertainty about later play grows with time."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(1)  # [B, 3, 2]
    places, prob, cost = assignment(pos, vel, marks)

    # constants: five actions, identity, which continuations steer
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
    on = torch.cat([zero, one, one, one, one, one, one]).reshape(1, 7, 1, 1, 1, 1)

    # dimensions: batch, continuation, varied agent, its action, agent, xy
    goal = torch.stack([pos] + places, dim=1).unsqueeze(2).unsqueeze(2)
    p = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)

    # this step: one agent's action is varied, the others glide or steer
    first = on * steer(p, v, goal) * (1.0 - same) + acts * same
    p, v = advance(p, v, first, 1.0)

    # continuations: gliding (random play on average) and the six plans
    prior = torch.cat([GLIDE * torch.ones_like(prob[:, :1]),
                       (1.0 - GLIDE) * prob], dim=1).unsqueeze(-1)  # [B, 7, 1]

    total = pos.new_zeros(1)
    share = pos.new_zeros(1)
    spread = 0.0
    for k in range(3):
        for t in range(SEGMENTS[k][0], SEGMENTS[k][1]):
            # one random action moves an agent by up to 0.126 per axis (s.d.)
            s = on * min(0.6 * math.sqrt(spread), 0.14) + (1.0 - on) * math.sqrt(spread)
            p, v = advance(p, v, on * steer(p, v, goal), certainty(s))
            spread = spread + 0.016 * (1.0 - 0.75 ** t) ** 2
            s = on * min(0.6 * math.sqrt(spread), 0.14) + (1.0 - on) * math.sqrt(spread)
            total = total + expected_reward(p, m, s)  # [B, 7, 3, 5]
        # shares inside each continuation, after this horizon
        dev = total - total.mean(dim=3, keepdim=True)
        var = (dev * dev).mean(dim=3) + 1e-5  # [B, 7, 3]
        std = torch.sqrt(var)
        part = 0.5 * var / torch.clamp(var.sum(2, keepdim=True), min=1e-6)
        part = part + 0.5 * std / torch.clamp(std.sum(2, keepdim=True), min=1e-6)
        share = share + PARTS[k] * (prior * part).sum(1)  # [B, 3]

    weights = 0.33 + 1.5 * share

    # loss still to come until the landmarks are covered, bounded
    bias = -12.0 * torch.tanh(2.5 * cost / 12.0)
    return weights, bias.unsqueeze(1)
