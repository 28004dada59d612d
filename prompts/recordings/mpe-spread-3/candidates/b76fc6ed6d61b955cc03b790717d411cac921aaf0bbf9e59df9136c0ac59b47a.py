import torch
import torch.nn.functional as F
import math

HORIZON = 10
DISCOUNT = 0.95
TERMINAL = 1.2
TOUCH = 0.3
TOUCH_SOFT = 0.05
NEAR_SOFT = 0.04
SOFT = 4e-4
GAIN = 2.5
PLANS = 2
PLAN_TEMPERATURE = 0.15
PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


def length(d):
    return torch.sqrt((d * d).sum(-1) + SOFT)


def assignments(pos, vel, marks):
    # the cheapest one-to-one assignments of agents to landmarks, kept apart
    ahead = pos + 0.25 * vel
    cost = length(marks.unsqueeze(1) - ahead.unsqueeze(2))  # [B, agent, landmark]
    sums = []
    places = []
    for a, b, c in PERMS:
        sums.append(cost[:, 0, a] + cost[:, 1, b] + cost[:, 2, c])
        places.append(torch.stack([marks[:, a], marks[:, b], marks[:, c]], dim=1))
    total = torch.stack(sums, dim=1)  # [B, 6]
    place = torch.stack(places, dim=1)  # [B, 6, 3, 2]

    rest = total
    goals = []
    costs = []
    for k in range(PLANS):
        lowest = rest.amin(dim=1, keepdim=True)
        pick = torch.where(rest <= lowest, torch.ones_like(rest), torch.zeros_like(rest))
        pick = pick / torch.clamp(pick.sum(dim=1, keepdim=True), min=1.0)
        goals.append((pick.unsqueeze(-1).unsqueeze(-1) * place).sum(1))
        costs.append((pick * total).sum(1))
        rest = rest + 10000.0 * pick
    chance = torch.softmax(-torch.stack(costs, dim=1) / PLAN_TEMPERATURE, dim=1)

    # expected cost over all assignments, for the bias
    prob = torch.softmax(-total / 0.08, dim=1)
    return torch.stack(goals, dim=1), chance, (prob * total).sum(1)


def steer(p, v, goal, push, floor):
    # push towards the goal, braking in time; both axes share one push
    u = goal - p - 0.25 * v
    size = u.abs().sum(-1, keepdim=True)
    return u * (push / torch.maximum(size, floor))


def pairs(p):
    # the three pairs in a circle: agent k minus agent k + 1, and their distance
    d = p - torch.cat([p[..., 1:, :], p[..., :1, :]], dim=-2)
    return d, length(d)


def advance(p, v, u, d, gap):
    # one step of the world: move, damp, contact push, action
    force = 10.0 * F.relu(TOUCH - gap) / gap
    f = force.unsqueeze(-1) * d
    f = f - torch.cat([f[..., 2:, :], f[..., :2, :]], dim=-2)
    return p + 0.1 * v, 0.75 * v + f + u


def reward(p, marks, gap):
    # p [..., agent, 2], marks [..., landmark, 2], gap [..., pair]
    dist = length(p.unsqueeze(-2) - marks.unsqueeze(-3))
    least = dist.amin(dim=-2, keepdim=True)
    # narrow soft minimum over the agents; the sum of exponentials is at least 1
    crowd = torch.exp((least - dist) / NEAR_SOFT).sum(-2)
    near = (least.squeeze(-2) - NEAR_SOFT * torch.log(crowd + 1e-6)).sum(-1)
    return -1.5 * near - torch.sigmoid((TOUCH - gap) / TOUCH_SOFT).sum(-1)


def share(variance):
    # effect of each agent relative to the team's mean, [B, 3]
    effect = torch.sqrt(variance + 1e-4)
    return effect / torch.clamp(effect.mean(dim=1, keepdim=True), min=1e-3)


def credit(state):
    """An agent earns credit for how much the choice of its action in this very
    step changes the team's reward afterwards, by moving a landmark's nearest (or
    nearly nearest) agent or by causing or avoiding a contact. This is measured
    where all glide on and where all steer to one of the likely assignments;
    redundant, far-off or safely settled agents get little."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    marks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(1)  # [B, 3, 2]

    plans, chance, cost = assignments(pos, vel, marks)

    # constants: five actions, identity, strength of the later steering
    zero = pos.new_zeros(1)
    one = pos.new_ones(1)
    half = 0.5 * one
    weak = 0.15 * one
    acts = torch.cat([
        zero, zero, -half, zero, half, zero, zero, -half, zero, half,
    ]).reshape(1, 1, 1, 5, 1, 2)
    same = torch.cat([
        one, zero, zero, zero, one, zero, zero, zero, one,
    ]).reshape(1, 1, 3, 1, 3, 1)
    # scenarios: two plans steered strongly, the same weakly, and pure gliding
    push = torch.cat([half, half, weak, weak, zero]).reshape(1, 5, 1, 1, 1, 1)
    floor = torch.cat([half, half, weak, weak, half]).reshape(1, 5, 1, 1, 1, 1) / GAIN
    goal = torch.cat([plans, plans, plans[:, 0:1]], dim=1)  # [B, 5, 3, 2]

    # dimensions: batch, scenario, varied agent, its action, agent, xy
    p = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    m = marks.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    g = goal.unsqueeze(2).unsqueeze(2)

    # this step: one agent's action is varied, the others follow the scenario
    first = steer(p, v, g, push, floor) * (1.0 - same) + acts * same
    d, gap = pairs(p)
    p, v = advance(p, v, first, d, gap)
    d, gap = pairs(p)

    # the following steps: everybody follows the scenario, rewards are added up
    total = pos.new_zeros(1)
    gain = pos.new_zeros(1)
    for t in range(HORIZON):
        p, v = advance(p, v, steer(p, v, g, push, floor), d, gap)
        d, gap = pairs(p)
        gain = reward(p, m, gap)
        total = total + (DISCOUNT ** t) * gain  # [B, 5, 3, 5]
    total = total + TERMINAL * gain  # a displacement persists

    spread = total - total.mean(dim=3, keepdim=True)
    variance = (spread * spread).mean(dim=3)  # [B, 5, 3]
    mix = chance.unsqueeze(-1)  # [B, 2, 1]
    strong_part = share((mix * variance[:, 0:2]).sum(1))
    weak_part = share((mix * variance[:, 2:4]).sum(1))
    glide_part = share(variance[:, 4])
    weights = 0.5 + 0.4 * glide_part + 0.3 * strong_part + 0.3 * weak_part

    # loss still to come until the landmarks are covered, bounded
    bias = -12.0 * torch.tanh(2.5 * cost / 12.0)
    return weights, bias.unsqueeze(1)
