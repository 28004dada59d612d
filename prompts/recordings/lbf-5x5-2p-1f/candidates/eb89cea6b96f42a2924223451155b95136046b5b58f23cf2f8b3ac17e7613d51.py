import torch
import torch.nn.functional as F
import math

P = 0.7            # probability that a step of an agent succeeds
DISCOUNT = 0.93    # value kept per step of delay
SHARP = 2.5        # how strongly the partner avoids one step of delay
NOISE = 0.35       # part of the partner's behaviour that is random
FLOOR = 0.25       # credit that everybody gets
HOPE = 0.35        # scale of the bias


def side_distances(row, col):
    # steps to the north, south, west and east side of the food, from a position
    # relative to the food; the food itself must be walked around (+2)
    in_col = col.abs() < 0.5
    in_row = row.abs() < 0.5
    north = (row + 1).abs() + col.abs() + 2.0 * (in_col & (row > 0.5)).to(row.dtype)
    south = (row - 1).abs() + col.abs() + 2.0 * (in_col & (row < -0.5)).to(row.dtype)
    west = row.abs() + (col + 1).abs() + 2.0 * (in_row & (col > 0.5)).to(row.dtype)
    east = row.abs() + (col - 1).abs() + 2.0 * (in_row & (col < -0.5)).to(row.dtype)
    return torch.stack([north, south, west, east], dim=-1)


def expected(n0, n1, sign):
    # expected maximum (sign 1) or minimum (sign -1) of two random times, in which
    # n0 and n1 successes are reached, each step succeeding with probability P
    middle = 0.5 * (n0 + n1) / P
    gap = (n0 - n1) / P
    variance = (n0 + n1) * (1.0 - P) / (P * P)
    return middle + sign * 0.5 * torch.sqrt(gap * gap + 0.64 * variance + 1e-6)


def eat_time(row0, col0, row1, col1, able0, able1):
    # expected number of steps until the food is eaten; the LOAD is one step more
    n0 = side_distances(row0, col0) + 1.0
    n1 = side_distances(row1, col1) + 1.0
    # alone: a side on which the other agent stands costs one step more
    alone0 = (n0 + (n1 < 1.5).to(n0.dtype)).amin(dim=-1)
    alone1 = (n1 + (n0 < 1.5).to(n0.dtype)).amin(dim=-1)
    first = expected(alone0, alone1, -1.0)
    # together: on two different sides, the later agent counts
    pairs = []
    for k in range(1, 4):
        other = torch.cat([n1[..., k:], n1[..., :k]], dim=-1)
        pairs.append(expected(n0, other, 1.0))
    joint = torch.cat(pairs, dim=-1).amin(dim=-1)
    return (able0 * able1 * first
            + able0 * (1.0 - able1) * alone0 / P
            + (1.0 - able0) * able1 * alone1 / P
            + (1.0 - able0) * (1.0 - able1) * joint)


def likely(cost):
    # plausible, imperfect behaviour of an agent whose actions cost so many steps
    good = torch.softmax(-SHARP * cost, dim=1)
    return (1.0 - NOISE) * good + NOISE / cost.shape[1]


def credit(state):
    """An agent earns credit for what its action in this step changes in the expected
    time to eat: as the nearest who can eat alone, or as the one the other waits for
    when both are needed. The partner acts plausibly but imperfectly, so an early agent
    with time to spare and an agent too weak to matter get little more than the floor."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food_level = state["food_level"]                                   # [B, 1]
    present = food_level > 0.5                                         # [B, 1]
    food_raw = state["food_position"][:, 0, :]
    food = torch.where(present, food_raw, torch.zeros_like(food_raw) + 2.0)
    f_row = food[:, 0:1]                                               # [B, 1]
    f_col = food[:, 1:2]

    able = (level >= food_level - 0.5).to(pos.dtype)                   # [B, 2]
    able0 = able[:, 0].reshape(-1, 1, 1)
    able1 = able[:, 1].reshape(-1, 1, 1)

    # where each of the six actions would lead, relative to the food: [B, 2, 6]
    row = pos[:, :, 0]                                                 # [B, 2]
    col = pos[:, :, 1]
    to_row = torch.clamp(torch.stack([row, row - 1, row + 1, row, row, row], dim=2), 0.0, 4.0)
    to_col = torch.clamp(torch.stack([col, col, col, col - 1, col + 1, col], dim=2), 0.0, 4.0)
    to_row = to_row - f_row.unsqueeze(2)
    to_col = to_col - f_col.unsqueeze(2)
    row = row - f_row
    col = col - f_col
    on_food = (to_row.abs() + to_col.abs()) < 0.5
    to_row = torch.where(on_food, row.unsqueeze(2), to_row)
    to_col = torch.where(on_food, col.unsqueeze(2), to_col)

    # joint actions: agent 0 along dim 1, agent 1 along dim 2
    r0 = to_row[:, 0, :].unsqueeze(2)
    c0 = to_col[:, 0, :].unsqueeze(2)
    r1 = to_row[:, 1, :].unsqueeze(1)
    c1 = to_col[:, 1, :].unsqueeze(1)
    old_r0 = row[:, 0].reshape(-1, 1, 1)
    old_c0 = col[:, 0].reshape(-1, 1, 1)
    old_r1 = row[:, 1].reshape(-1, 1, 1)
    old_c1 = col[:, 1].reshape(-1, 1, 1)
    clash = ((r0 - r1).abs() + (c0 - c1).abs()) < 0.5                  # [B, 6, 6]
    new_r0 = torch.where(clash, old_r0, r0)
    new_c0 = torch.where(clash, old_c0, c0)
    new_r1 = torch.where(clash, old_r1, r1)
    new_c1 = torch.where(clash, old_c1, c1)

    # is the food eaten in this very step?
    near = ((row.abs() + col.abs() - 1.0).abs() < 0.5).to(pos.dtype)   # [B, 2]
    push = near * level
    zero = torch.zeros_like(push)
    lift = torch.stack([zero, zero, zero, zero, zero, push], dim=2)    # [B, 2, 6]
    power = lift[:, 0, :].unsqueeze(2) + lift[:, 1, :].unsqueeze(1)    # [B, 6, 6]
    eaten = power >= (food_level.unsqueeze(2) - 0.5)

    # delay and value of every joint action
    later = eat_time(new_r0, new_c0, new_r1, new_c1, able0, able1)
    cost = torch.where(eaten, torch.zeros_like(later), later)          # [B, 6, 6]
    value = torch.exp(math.log(DISCOUNT) * cost)

    # plausible behaviour: half hoping for the best partner, half for an average one
    pi0 = likely(0.5 * cost.amin(dim=2) + 0.5 * cost.mean(dim=2))      # [B, 6]
    pi1 = likely(0.5 * cost.amin(dim=1) + 0.5 * cost.mean(dim=1))      # [B, 6]

    # spread of the outcome over the own action, the partner's action held
    var0 = ((value - value.mean(dim=1, keepdim=True)) ** 2).mean(dim=1)
    var1 = ((value - value.mean(dim=2, keepdim=True)) ** 2).mean(dim=2)
    influence = torch.stack([(pi1 * var0).sum(dim=1), (pi0 * var1).sum(dim=1)], dim=1)
    spread = torch.sqrt(influence + 1e-8)                              # [B, 2]
    share = spread / (spread.sum(dim=1, keepdim=True) + 1e-3)
    weights = torch.where(present, FLOOR + share, torch.ones_like(share))

    # what is still to be had: more the sooner the food can be eaten
    now = eat_time(old_r0, old_c0, old_r1, old_c1, able0, able1).reshape(-1, 1)
    hope = HOPE * torch.exp(math.log(DISCOUNT) * now)
    bias = torch.where(present, hope, torch.zeros_like(hope))
    return weights, bias
