import torch
import torch.nn.functional as F
import math

DISCOUNT = 0.95
TOUCH = 0.3
SOFT = 4e-4
FLOOR = 0.35
PLAN_TEMPERATURE = 0.12
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
# stretches of the simulation, read after 3, 7, 11 steps of the world:
# simulated steps, gliding steps after each of them, weight of the reading
STRETCHES = ((3, 0, 0.3), (2, 1, 0.4), (2, 1, 0.3))
# weights of the six plans together and of gliding
PLANNED = 0.7
GLIDE = 0.3
# strength of the steering
PUSH = 0.27
NO_PUSH = 1e-4
# growth of the position's uncertainty per square root of a step
C_PLAN = 0.055
C_GLIDE = 0.12


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


def steer(p, v, aim, limit):
    # push towards the goal (aim is 2.5 * goal), braking in time
    u = aim - 2.5 * p - 0.625 * v
    size = u.abs().sum(-1, keepdim=True)
    return u * (limit / torch.maximum(size, limit))


def pairs(p):
    # the three pairs, agent k minus agent k + 1 (cyclic), and their distances
    d = p - torch.cat([p[..., 1:, :], p[..., :1, :]], dim=-2)
    return d, length(d, SOFT)


def contact(d, gap):
    # change of the velocities by contact: 10 times the overlap, away
    force = F.relu(10.0 * TOUCH - 10.0 * gap) / gap
    f = force.unsqueeze(-1) * d
    return f - torch.cat([f[..., 2:, :], f[..., :2, :]], dim=-2)


def reward(p, gap, marks, var):
    # p [B, plan, variation, agent, 2], gap [B, plan, variation, pair],
    # marks [B, 1, 1, 1, landmark, 2], var [1, plan, 1, 1, 1]: uncertainty per axis
    width = 0.01 + 0.7 * torch.sqrt(var)
    dist = length(p.unsqueeze(-2) - marks, var)
    low = dist.amin(dim=-2, keepdim=True)
    mass = torch.exp((low - dist) / width).sum(-2, keepdim=True)  # at least 1
    near = (low - width * torch.log(mass)).sum(-1).sum(-1)
    touch = torch.sigmoid((TOUCH - gap) / (0.01 + width.squeeze(-1))).sum(-1)
    return -1.5 * near - touch


def shares(total):
    # total [B, 7, 13]: variation 0 is NONE for all, then 4 pushes of each agent;
    # each agent's share of the effect within every continuation, [B, 7, 3]
    gain = (total[:, :, 1:] - total[:, :, :1]).reshape(-1, 7, 3, 4)
    mean = gain.sum(3) / 5.0
    variance = (gain * gain).sum(3) / 5.0 - mean * mean
    effect = torch.sqrt(F.relu(variance) + 1e-6)
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
    # 7 continuations: six plans and gliding
    goals = torch.cat([places, places.mean(dim=1, keepdim=True)], dim=1)
    likely = torch.cat([PLANNED * prob, GLIDE * torch.ones_like(prob[:, :1])], dim=1)

    # constants: 13 variations of the action, properties of the continuations
    zero = pos.new_zeros(1)
    one = pos.new_ones(1)
    six = pos.new_ones(6)
    half = 0.5 * one
    moves = torch.stack([
        torch.cat([-half, zero]),
        torch.cat([half, zero]),
        torch.cat([zero, -half]),
        torch.cat([zero, half]),
    ]).reshape(1, 4, 1, 2)
    same = torch.stack([
        torch.cat([one, zero, zero]),
        torch.cat([zero, one, zero]),
        torch.cat([zero, zero, one]),
    ]).reshape(3, 1, 3, 1)
    varied = (same * moves).reshape(12, 3, 2)
    acts = torch.cat([pos.new_zeros(1, 3, 2), varied], dim=0).reshape(1, 1, 13, 3, 2)
    limit = torch.cat([PUSH * six, NO_PUSH * one]).reshape(1, 7, 1, 1, 1)
    grow = torch.cat([C_PLAN * six, C_GLIDE * one]).reshape(1, 7, 1, 1, 1)
    grow = grow * grow

    # dimensions: batch, continuation, variation, agent, xy
    p = pos.unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    aim = 2.5 * goals.unsqueeze(2)

    # this step: one agent's action is varied, the others do nothing
    d, gap = pairs(p)
    p, v = p + 0.1 * v, 0.75 * v + contact(d, gap) + acts
    d, gap = pairs(p)

    # the following steps: add up the reward, read the shares on the way
    total = pos.new_zeros(1)
    part = torch.zeros_like(pos[:, :, 0])  # [B, 3]
    t = -1
    for steps, extra, weight in STRETCHES:
        span = 1.0 + extra
        for k in range(steps):
            u = steer(p, v, aim, span * limit)
            p, v = p + 0.1 * v, 0.75 * v + contact(d, gap) + u
            for j in range(extra):
                p, v = p + 0.1 * v, 0.75 * v
            t = t + 1 + extra
            d, gap = pairs(p)
            total = total + (span * DISCOUNT ** t) * reward(p, gap, m, SOFT + grow * t)
        part = part + weight * (likely.unsqueeze(2) * shares(total)).sum(1)
    weights = FLOOR + 3.0 * part

    # loss still to come until the landmarks are covered, bounded
    cost = (torch.softmax(-costs / 0.08, dim=1) * costs).sum(1)
    bias = -12.0 * torch.tanh(2.5 * cost / 12.0)
    return weights, bias.unsqueeze(1)
