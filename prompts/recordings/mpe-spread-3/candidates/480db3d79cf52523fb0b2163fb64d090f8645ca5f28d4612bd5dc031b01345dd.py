import torch
import torch.nn.functional as F
import math

STAGES = (2, 4, 6)  # shares are read off after 2, 6 and 12 affected steps
TOUCH = 0.3
SOFTNESS = 0.05
SOFT = 4e-4
FLOOR = 0.45
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))

# continuations: best assignment (strong, weak), second best (strong, weak), glide
LIMITS = (0.5, 0.15, 0.5, 0.15, 0.5)
STRENGTHS = (0.5, 0.15, 0.5, 0.15, 0.0)
STRONG = 0.3
WEAK = 0.3
GLIDE = 0.4

ACTIONS = (0.0, 0.0, -0.5, 0.0, 0.5, 0.0, 0.0, -0.5, 0.0, 0.5)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def constant(like, values):
    one = like.new_ones(1)
    return torch.cat([one * value for value in values])


def length(d):
    return torch.sqrt((d * d).sum(-1) + SOFT)


def assignments(pos, vel, marks):
    # cost [B, 6] and goals [B, 6, agent, 2] of all one-to-one assignments
    ahead = pos + 0.25 * vel
    cost = length(marks.unsqueeze(1) - ahead.unsqueeze(2))  # [B, agent, landmark]
    sums = []
    places = []
    for a, b, c in PERMS:
        sums.append(cost[:, 0, a] + cost[:, 1, b] + cost[:, 2, c])
        places.append(torch.stack([marks[:, a], marks[:, b], marks[:, c]], dim=1))
    return torch.stack(sums, dim=1), torch.stack(places, dim=1)


def cheapest(total, places):
    # cheapest assignment: its cost [B, 1], its goals, and the costs without it
    best = total.amin(dim=1, keepdim=True)
    mask = (total <= best).to(total.dtype)
    part = mask / torch.clamp(mask.sum(1, keepdim=True), min=1.0)
    goal = (part.unsqueeze(-1).unsqueeze(-1) * places).sum(1)
    return best, goal, total + 100.0 * mask


def steer(p, v, goal, limit, strength):
    # push towards the goal, braking in time; both axes share one push
    u = 2.5 * (goal - p - 0.25 * v)
    size = u.abs().sum(-1, keepdim=True)
    return u * (strength / torch.maximum(size, limit))


def pairs(p):
    # the three pairs: each agent minus the one before it, and the distance
    d = p - torch.cat([p[..., 2:, :], p[..., :2, :]], dim=-2)
    return d, length(d)


def advance(p, v, u, d, dist):
    # one step of the world: move, damp, contact push, action
    force = 10.0 * F.relu(TOUCH - dist) / dist
    pull = force.unsqueeze(-1) * d
    push = pull - torch.cat([pull[..., 1:, :], pull[..., :1, :]], dim=-2)
    return p + 0.1 * v, 0.75 * v + push + u


def reward(p, marks, dist):
    # p [..., agent, 2], marks [..., landmark, 2], dist [..., pair]
    gap = p.unsqueeze(-2) - marks.unsqueeze(-3)
    square = (gap * gap).sum(-1).amin(dim=-2)  # of the agent nearest to a landmark
    near = torch.sqrt(square + SOFT).sum(-1)
    touch = torch.sigmoid((TOUCH - dist) / SOFTNESS).sum(-1)
    return -1.5 * near - touch


def credit(state):
    """An agent earns credit for how much its action in this very step changes
    the team's reward afterwards, by moving the nearest (or soon nearest) agent
    of a landmark or by causing or avoiding a contact. The effect is averaged, as
    a share of the team's, over gliding on and steering to the two cheapest
    assignments, and over short and long times left."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(1)  # [B, 3, 2]

    costs, places = assignments(pos, vel, marks)
    cost1, goal1, rest = cheapest(costs, places)
    cost2, goal2, rest = cheapest(rest, places)
    prob = torch.softmax(-torch.cat([cost1, cost2], dim=1) / 0.08, dim=1)
    p1 = prob[:, :1]
    p2 = prob[:, 1:]
    mix = torch.cat([STRONG * p1, WEAK * p1, STRONG * p2, WEAK * p2,
                     GLIDE * torch.ones_like(p1)], dim=1)  # [B, 5], sum 1

    # dimensions: batch, continuation, varied agent, its action, agent, xy
    goals = torch.stack([goal1, goal1, goal2, goal2, goal1], dim=1)
    g = goals.unsqueeze(2).unsqueeze(2)
    p = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    limit = constant(pos, LIMITS).reshape(1, 5, 1, 1, 1, 1)
    strength = constant(pos, STRENGTHS).reshape(1, 5, 1, 1, 1, 1)
    acts = constant(pos, ACTIONS).reshape(1, 1, 1, 5, 1, 2)
    same = constant(pos, IDENTITY).reshape(1, 1, 3, 1, 3, 1)

    # this step: one agent's action is varied, the others follow the continuation
    first = steer(p, v, g, limit, strength) * (1.0 - same) + acts * same
    d, dist = pairs(p)
    p, v = advance(p, v, first, d, dist)
    d, dist = pairs(p)

    # the following steps; after each stage every agent's share of the effect
    total = pos.new_zeros(1)
    share = pos.new_zeros(1)
    for steps in STAGES:
        for t in range(steps):
            u = steer(p, v, g, limit, strength)
            p, v = advance(p, v, u, d, dist)
            d, dist = pairs(p)  # for this reward and for the next push
            total = total + reward(p, m, dist)  # [B, 5, 3, 5]
        spread = total - total.mean(dim=3, keepdim=True)
        effect = torch.sqrt((spread * spread).mean(dim=3) + 1e-5)  # [B, 5, 3]
        share = share + effect / effect.sum(dim=2, keepdim=True)
    share = share / len(STAGES)

    weights = FLOOR + 3.0 * (mix.unsqueeze(-1) * share).sum(1)  # [B, 3]

    # loss still to come until the landmarks are covered, bounded
    bias = -12.0 * torch.tanh(2.5 * cost1 / 12.0)
    return weights, bias
