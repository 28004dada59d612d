import torch
import torch.nn.functional as F
import math

TOUCH = 0.3
LIMIT = 0.3          # mean push of a half-competent agent
GLIDE = 0.55         # weight of the continuation without steering
SEGMENTS = ((1, 4), (4, 8), (8, 15))
PARTS = (0.3, 0.4, 0.3)
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def plans(pos, vel, marks):
    # the two most probable one-to-one plans, their weights, the expected cost
    ahead = pos + 0.25 * vel
    diff = marks.unsqueeze(1) - ahead.unsqueeze(2)
    cost = torch.sqrt((diff * diff).sum(-1) + 4e-4)  # [B, agent, landmark]
    sums = []
    places = []
    for a, b, c in PERMS:
        sums.append(cost[:, 0, a] + cost[:, 1, b] + cost[:, 2, c])
        places.append(torch.stack([marks[:, a], marks[:, b], marks[:, c]], dim=1))
    total = torch.stack(sums, dim=1)  # [B, 6]
    place = torch.stack(places, dim=1)  # [B, 6, 3, 2]
    prob = torch.softmax(-total / 0.12, dim=1)
    # nearly hard choices, smooth only close to a tie
    best = torch.softmax(-total / 0.02, dim=1)
    second = torch.softmax(-total / 0.02 - 2000.0 * F.relu(best - 0.5), dim=1)
    goal1 = (best.unsqueeze(-1).unsqueeze(-1) * place).sum(1)
    goal2 = (second.unsqueeze(-1).unsqueeze(-1) * place).sum(1)
    w = torch.stack([(best * prob).sum(1), (second * prob).sum(1)], dim=1)
    w = w / torch.clamp(w.sum(1, keepdim=True), min=1e-6)
    return goal1, goal2, w, (prob * total).sum(1)


def steer(p, v, goal):
    # push towards the goal, braking in time; both axes share one push
    u = 2.5 * (goal - p - 0.25 * v)
    size = u.abs().sum(-1, keepdim=True)
    return u * (LIMIT / torch.clamp(size, min=LIMIT))


def certainty(s):
    # how far a contact of the mean paths is still a contact, s: spread per axis
    return 1.0 / (1.0 + 2.0 * s * s / (TOUCH * TOUCH))


def pairs(p):
    # each pair of agents once: row i is agent i minus the next in the circle
    d = p - torch.cat([p[..., 1:, :], p[..., :1, :]], dim=-2)
    gap = torch.sqrt((d * d).sum(-1, keepdim=True) + 1e-3)
    return d, gap, TOUCH - gap


def advance(p, v, u, d, gap, over, strength):
    # one step of the world: move, damp, contact push, action
    f = (F.relu(over) / gap * strength) * d
    push = f - torch.cat([f[..., 2:, :], f[..., :2, :]], dim=-2)
    return p + 0.1 * v, 0.75 * v + push + u


def expected_reward(p, marks, over, s):
    # the agents' positions are uncertain with standard deviation s per axis
    d = p.unsqueeze(-2) - marks.unsqueeze(-3)
    mean = torch.sqrt((d * d).sum(-1) + (1.4 * s * s + 4e-4))
    tau = 0.55 * s + 0.015
    near = -tau * torch.logsumexp(mean * (-1.0 / tau), dim=-2, keepdim=True)
    near = near.sum(-1, keepdim=True)
    touch = torch.sigmoid(over * (1.0 / (0.7 * s + 0.02)))
    touch = certainty(s) * touch.sum(-2, keepdim=True)
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
    goal1, goal2, w, cost = plans(pos, vel, marks)

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
    on = torch.cat([zero, one, one]).reshape(1, 3, 1, 1, 1, 1)

    # dimensions: batch, continuation, varied agent, its action, agent, xy
    goal = torch.stack([pos, goal1, goal2], dim=1).unsqueeze(2).unsqueeze(2)
    p = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)

    # this step: one agent's action is varied, the others glide or steer
    first = on * steer(p, v, goal) * (1.0 - same) + acts * same
    d, gap, over = pairs(p)
    p, v = advance(p, v, first, d, gap, over, 10.0)
    d, gap, over = pairs(p)

    # continuations: gliding (random play on average) and the two plans
    prior = torch.cat([GLIDE * torch.ones_like(w[:, :1]),
                       (1.0 - GLIDE) * w], dim=1).unsqueeze(-1)  # [B, 3, 1]

    total = pos.new_zeros(1)
    share = pos.new_zeros(1)
    spread = 0.0
    s = 0.0 * on
    for k in range(3):
        for t in range(SEGMENTS[k][0], SEGMENTS[k][1]):
            u = on * steer(p, v, goal)
            p, v = advance(p, v, u, d, gap, over, 10.0 * certainty(s))
            d, gap, over = pairs(p)
            # one random action moves an agent by up to 0.126 per axis (s.d.)
            spread = spread + 0.016 * (1.0 - 0.75 ** t) ** 2
            root = math.sqrt(spread)
            s = on * min(0.6 * root, 0.14) + (1.0 - on) * root
            total = total + expected_reward(p, m, over, s)  # [B, 3, 3, 5]
        # shares inside each continuation, after this horizon
        dev = total - total.mean(dim=3, keepdim=True)
        var = (dev * dev).mean(dim=3) + 1e-5  # [B, 3, 3]
        std = torch.sqrt(var)
        part = 0.5 * var / torch.clamp(var.sum(2, keepdim=True), min=1e-6)
        part = part + 0.5 * std / torch.clamp(std.sum(2, keepdim=True), min=1e-6)
        share = share + PARTS[k] * (prior * part).sum(1)  # [B, 3]

    weights = 0.33 + 1.5 * share

    # loss still to come until the landmarks are covered, bounded
    bias = -12.0 * torch.tanh(2.5 * cost / 12.0)
    return weights, bias.unsqueeze(1)
