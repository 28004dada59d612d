import torch
import torch.nn.functional as F
import math

DISCOUNT = 0.95
TOUCH = 0.3
SOFT = 4e-4
FLOOR = 0.35
PLAN_TEMPERATURE = 0.12
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
# stretches of the simulation (read after 3, 7, 12 steps): steps, weight
STRETCHES = ((3, 0.3), (4, 0.4), (5, 0.3))
# weights of strong steering, weak steering, gliding
STRONG, WEAK, GLIDE = 0.35, 0.35, 0.3
# growth of the position's uncertainty per square root of a step
C_STRONG, C_WEAK, C_GLIDE = 0.04, 0.07, 0.12


def length(d, var):
    return torch.sqrt((d * d).sum(-1) + var)


def assignments(pos, vel, marks):
    # all six one-to-one assignments: their goals and their costs
    ahead = pos + 0.25 * vel
    cost = length(marks.unsqueeze(1) - ahead.unsqueeze(2), SOFT)  # [B, agent, landmark]
    sums = []
    places = []
    for a, b, c in PERMS:
        sums.append(cost[:, 0, a] + cost[:, 1, b] + cost[:, 2, c])
        places.append(torch.stack([marks[:, a], marks[:, b], marks[:, c]], dim=1))
    return torch.stack(places, dim=1), torch.stack(sums, dim=1)  # [B, 6, 3, 2], [B, 6]


def steer(p, v, goal, limit, active):
    # push towards the goal, braking in time; both axes share one push
    u = 2.5 * (goal - p - 0.25 * v)
    size = u.abs().sum(-1, keepdim=True)
    return active * u * (limit / torch.maximum(size, limit))


def advance(p, v, u):
    # one step of the world: move, damp, contact push, action
    d = p.unsqueeze(-2) - p.unsqueeze(-3)
    dist = length(d, SOFT)
    force = 10.0 * F.relu(TOUCH - dist) / dist
    push = (force.unsqueeze(-1) * d).sum(-2)
    return p + 0.1 * v, 0.75 * v + push + u


def reward(p, marks, var):
    # p [..., agent, 2], marks [..., landmark, 2]; var: uncertainty per axis
    width = 0.01 + 0.7 * torch.sqrt(var)
    dist = length(p.unsqueeze(-2) - marks.unsqueeze(-3), var)
    low = dist.amin(dim=-2, keepdim=True)
    mass = torch.exp((low - dist) / width).sum(-2, keepdim=True)  # at least 1
    near = (low - width * torch.log(mass)).sum(-1).sum(-1)
    gap = length(p.unsqueeze(-2) - p.unsqueeze(-3), var)
    # every pair is counted twice; the diagonal is a constant and cancels later
    touch = 0.5 * torch.sigmoid((TOUCH - gap) / (0.01 + width)).sum(-1).sum(-1)
    return -1.5 * near - touch


def shares(total):
    # each agent's share of the effect within every continuation, [B, 13, 3]
    spread = total - total.mean(dim=3, keepdim=True)
    effect = torch.sqrt((spread * spread).mean(dim=3) + 1e-6)
    return effect / torch.clamp(effect.sum(dim=2, keepdim=True), min=1e-4)


def credit(state):
    """An agent earns credit for the part that its action in this very step has
    in the team's coming reward: as the (probably) nearest agent of a landmark
    that it has not settled on, or by causing or avoiding a contact. Its share is
    taken in each possible continuation and horizon, then averaged by likelihood."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(1)  # [B, 3, 2]

    places, costs = assignments(pos, vel, marks)
    prob = torch.softmax(-costs / PLAN_TEMPERATURE, dim=1)  # [B, 6]
    # 13 continuations: six plans strongly, six plans weakly, one gliding
    goals = torch.cat([places, places, places[:, :1]], dim=1)
    likely = torch.cat([
        STRONG * prob, WEAK * prob, GLIDE * torch.ones_like(prob[:, :1])], dim=1)

    # constants: five actions, identity, properties of the continuations
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
    shape = (1, 13, 1, 1, 1, 1)
    limit = torch.cat([half] * 6 + [0.15 * one] * 7).reshape(shape)
    active = torch.cat([one] * 12 + [zero]).reshape(shape)
    grow = torch.cat([C_STRONG * one] * 6 + [C_WEAK * one] * 6 + [C_GLIDE * one])
    grow = (grow * grow).reshape(shape)

    # dimensions: batch, continuation, varied agent, its action, agent, xy
    p = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    g = goals.unsqueeze(2).unsqueeze(2)

    # this step: one agent's action is varied, the others follow the continuation
    first = steer(p, v, g, limit, active) * (1.0 - same) + acts * same
    p, v = advance(p, v, first)

    # the following steps: add up the reward, read the shares on the way
    total = pos.new_zeros(1)
    part = torch.zeros_like(pos[:, :, 0])  # [B, 3]
    t = 0
    for steps, weight in STRETCHES:
        for k in range(steps):
            p, v = advance(p, v, steer(p, v, g, limit, active))
            total = total + (DISCOUNT ** t) * reward(p, m, SOFT + grow * t)
            t = t + 1
        part = part + weight * (likely.unsqueeze(2) * shares(total)).sum(1)
    weights = FLOOR + 3.0 * part

    # loss still to come until the landmarks are covered, bounded
    cost = (torch.softmax(-costs / 0.08, dim=1) * costs).sum(1)
    bias = -12.0 * torch.tanh(2.5 * cost / 12.0)
    return weights, bias.unsqueeze(1)
