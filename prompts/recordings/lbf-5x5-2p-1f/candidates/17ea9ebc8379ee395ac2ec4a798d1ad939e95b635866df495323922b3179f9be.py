import torch
import torch.nn.functional as F
import math

DECAY = 0.9        # value kept per step of delay (includes imperfect play)
TAU = 0.4          # softness of the choice between those who can eat
SLACK = 0.15       # small cost of the earlier agent being late in a joint job
FAR = 50.0         # time of a coalition that cannot, or need not, eat
SHARP = 60.0       # how surely the partner picks its good actions
NOISE = 0.2        # part of the partner's behaviour that is random
FLOOR = 0.25       # credit that everybody gets


def side_distances(row, col):
    # steps to the north, south, west and east side of the food, from a position
    # relative to the food; the food itself must be walked around (+2)
    in_col = (col.abs() < 0.5)
    in_row = (row.abs() < 0.5)
    north = (row + 1).abs() + col.abs() + 2.0 * (in_col & (row > 0.5)).to(row.dtype)
    south = (row - 1).abs() + col.abs() + 2.0 * (in_col & (row < -0.5)).to(row.dtype)
    west = row.abs() + (col + 1).abs() + 2.0 * (in_row & (col > 0.5)).to(row.dtype)
    east = row.abs() + (col - 1).abs() + 2.0 * (in_row & (col < -0.5)).to(row.dtype)
    return torch.stack([north, south, west, east], dim=-1)


def eat_time(row0, col0, row1, col1, able0, able1):
    # soft number of steps until a sufficient coalition stands beside the food
    d0 = side_distances(row0, col0)
    d1 = side_distances(row1, col1)
    # alone: a side on which the other agent stands costs one step more
    alone0 = (d0 + (d1 < 0.5).to(d0.dtype)).amin(dim=-1)
    alone1 = (d1 + (d0 < 0.5).to(d0.dtype)).amin(dim=-1)
    # together: two different sides, the later agent counts
    pairs = []
    for k in range(1, 4):
        other = torch.cat([d1[..., k:], d1[..., :k]], dim=-1)
        pairs.append(torch.maximum(d0, other) + SLACK * torch.minimum(d0, other))
    together = torch.cat(pairs, dim=-1).amin(dim=-1)
    someone = torch.maximum(able0, able1)
    times = torch.stack([
        alone0 + FAR * (1.0 - able0),
        alone1 + FAR * (1.0 - able1),
        together + FAR * someone,
    ], dim=-1)
    return -TAU * torch.logsumexp(-times / TAU, dim=-1)


def likely(score):
    return (1.0 - NOISE) * torch.softmax(SHARP * score, dim=1) + NOISE / score.shape[1]


def credit(state):
    """An agent earns credit for being needed: it can eat the food alone and is the
    nearest who can, or the food needs both and it is the one the other waits for.
    Measured as the spread of the one-step outcome over its own actions, with the
    partner acting plausibly; agents too weak or too late to matter get the floor."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food_level = state["food_level"]                                   # [B, 1]
    present = food_level > 0.5                                         # [B, 1]
    food_raw = state["food_position"][:, 0, :]
    food = torch.where(present, food_raw, torch.zeros_like(food_raw) + 2.0)
    f_row = food[:, 0:1]                                               # [B, 1]
    f_col = food[:, 1:2]

    able = (level >= food_level - 0.5).to(pos.dtype)                   # [B, 2]
    able0 = able[:, 0].unsqueeze(1).unsqueeze(2)                       # [B, 1, 1]
    able1 = able[:, 1].unsqueeze(1).unsqueeze(2)

    row = pos[:, :, 0]                                                 # [B, 2]
    col = pos[:, :, 1]

    # where each of the six actions would lead: [B, 2, 6]
    to_row = torch.stack([row, row - 1, row + 1, row, row, row], dim=2)
    to_col = torch.stack([col, col, col, col - 1, col + 1, col], dim=2)
    to_row = torch.clamp(to_row, 0.0, 4.0)
    to_col = torch.clamp(to_col, 0.0, 4.0)
    on_food = ((to_row - f_row.unsqueeze(2)).abs()
               + (to_col - f_col.unsqueeze(2)).abs()) < 0.5
    to_row = torch.where(on_food, row.unsqueeze(2), to_row)
    to_col = torch.where(on_food, col.unsqueeze(2), to_col)

    # joint actions: agent 0 along dim 1, agent 1 along dim 2
    r0 = to_row[:, 0, :].unsqueeze(2)
    c0 = to_col[:, 0, :].unsqueeze(2)
    r1 = to_row[:, 1, :].unsqueeze(1)
    c1 = to_col[:, 1, :].unsqueeze(1)
    clash = ((r0 - r1).abs() + (c0 - c1).abs()) < 0.5                  # [B, 6, 6]
    old_r0 = row[:, 0].unsqueeze(1).unsqueeze(2)
    old_c0 = col[:, 0].unsqueeze(1).unsqueeze(2)
    old_r1 = row[:, 1].unsqueeze(1).unsqueeze(2)
    old_c1 = col[:, 1].unsqueeze(1).unsqueeze(2)
    new_r0 = torch.where(clash, old_r0, r0)
    new_c0 = torch.where(clash, old_c0, c0)
    new_r1 = torch.where(clash, old_r1, r1)
    new_c1 = torch.where(clash, old_c1, c1)

    # is the food eaten in this very step?
    reach = (row - f_row).abs() + (col - f_col).abs()                  # [B, 2]
    near = ((reach - 1.0).abs() < 0.5).to(pos.dtype)
    push = near * level
    zero = torch.zeros_like(push)
    lift = torch.stack([zero, zero, zero, zero, zero, push], dim=2)    # [B, 2, 6]
    power = lift[:, 0, :].unsqueeze(2) + lift[:, 1, :].unsqueeze(1)    # [B, 6, 6]
    eaten = power >= (food_level.unsqueeze(2) - 0.5)

    fr = f_row.unsqueeze(2)
    fc = f_col.unsqueeze(2)
    later = eat_time(new_r0 - fr, new_c0 - fc, new_r1 - fr, new_c1 - fc, able0, able1)
    value = torch.exp(math.log(DECAY) * (1.0 + later))
    value = torch.where(eaten, torch.ones_like(value), value)          # [B, 6, 6]

    # plausible behaviour of each agent
    mean_over0 = value.mean(dim=1)                                     # [B, 6] by a1
    mean_over1 = value.mean(dim=2)                                     # [B, 6] by a0
    pi1 = likely(0.5 * value.amax(dim=1) + 0.5 * mean_over0)
    pi0 = likely(0.5 * value.amax(dim=2) + 0.5 * mean_over1)

    # spread of the outcome over the own action, the partner's action held
    var0 = ((value - mean_over0.unsqueeze(1)) ** 2).mean(dim=1)        # [B, 6] by a1
    var1 = ((value - mean_over1.unsqueeze(2)) ** 2).mean(dim=2)        # [B, 6] by a0
    inf0 = (pi1 * var0).sum(dim=1)
    inf1 = (pi0 * var1).sum(dim=1)
    spread = torch.sqrt(torch.stack([inf0, inf1], dim=1) + 1e-8)       # [B, 2]
    share = spread / (spread.sum(dim=1, keepdim=True) + 1e-3)
    weights = torch.where(present, FLOOR + share, torch.ones_like(share))

    # what is still to be had: more the sooner an able coalition is in place
    now = eat_time(old_r0 - fr, old_c0 - fc, old_r1 - fr, old_c1 - fc, able0, able1)
    hope = 0.5 * torch.exp(math.log(0.92) * torch.clamp(now, min=0.0))
    hope = hope.reshape(-1, 1)
    bias = torch.where(present, hope, torch.zeros_like(hope))
    return weights, bias
