import torch
import torch.nn.functional as F
import math

HORIZON = 8
DISCOUNT = 0.93
TOUCH = 0.3
SOFT = 4e-4
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def length(d):
    return torch.sqrt((d * d).sum(-1) + SOFT)


def assignment(pos, vel, marks):
    # soft choice of the cheapest one-to-one assignment of agents to landmarks
    ahead = pos + 0.25 * vel
    cost = length(marks.unsqueeze(1) - ahead.unsqueeze(2))  # [B, agent, landmark]
    sums = []
    places = []
    for a, b, c in PERMS:
        sums.append(cost[:, 0, a] + cost[:, 1, b] + cost[:, 2, c])
        places.append(torch.stack([marks[:, a], marks[:, b], marks[:, c]], dim=1))
    total = torch.stack(sums, dim=1)  # [B, 6]
    prob = torch.softmax(-total / 0.08, dim=1)
    goal = (prob.unsqueeze(-1).unsqueeze(-1) * torch.stack(places, dim=1)).sum(1)
    return goal, (prob * total).sum(1)


def steer(p, v, goal, limit):
    # push towards the goal, braking in time; both axes share one push
    u = 2.5 * (goal - p - 0.25 * v)
    size = u.abs().sum(-1, keepdim=True)
    return u * (limit / torch.maximum(size, limit))


def advance(p, v, u):
    # one step of the world: move, damp, contact push, action
    d = p.unsqueeze(-2) - p.unsqueeze(-3)
    dist = length(d)
    force = 10.0 * F.relu(TOUCH - dist) / dist
    push = (force.unsqueeze(-1) * d).sum(-2)
    return p + 0.1 * v, 0.75 * v + push + u


def reward(p, marks):
    # p [..., agent, 2], marks [..., landmark, 2]
    near = length(p.unsqueeze(-2) - marks.unsqueeze(-3)).amin(dim=-2).sum(-1)
    gap = length(p.unsqueeze(-2) - p.unsqueeze(-3))
    # every pair is counted twice; the diagonal is a constant and cancels later
    touch = 0.5 * torch.sigmoid((TOUCH - gap) / 0.03).sum(-1).sum(-1)
    return -1.5 * near - touch


def credit(state):
    """An agent earns credit for its opportunity: how much the choice of its
    action in this very step changes the team's reward over the next steps, by
    bringing a landmark's nearest (or soon nearest) agent closer or by causing
    or avoiding a contact. Idle, redundant or safely settled agents get little."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(1)  # [B, 3, 2]

    goal, cost = assignment(pos, vel, marks)

    # constants: five actions, identity, two strengths of the later steering
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
    limit = torch.cat([0.5 * one, 0.15 * one]).reshape(1, 2, 1, 1, 1, 1)

    # dimensions: batch, steering model, varied agent, its action, agent, xy
    p = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    g = goal.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)

    # this step: one agent's action is varied, the others steer to their goals
    first = steer(p, v, g, limit) * (1.0 - same) + acts * same
    p, v = advance(p, v, first)

    # the following steps: everybody steers, the team's reward is added up
    total = pos.new_zeros(1)
    for t in range(HORIZON):
        u = steer(p, v, g, limit)
        p, v = advance(p, v, u)
        total = total + (DISCOUNT ** t) * reward(p, m)  # [B, 2, 3, 5]

    spread = total - total.mean(dim=3, keepdim=True)
    variance = (spread * spread).mean(dim=3).mean(dim=1)  # [B, 3]
    effect = torch.sqrt(variance + 1e-5)
    relative = effect / torch.clamp(effect.mean(dim=1, keepdim=True), min=1e-4)
    weights = 0.5 + relative

    # loss still to come until the landmarks are covered, bounded
    bias = -12.0 * torch.tanh(2.5 * cost / 12.0)
    return weights, bias.unsqueeze(1)
