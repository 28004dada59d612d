import torch
import torch.nn.functional as F
import math

DECAY = 0.92       # value kept per step of delay
STEP_OK = 0.95     # chance that a step brings an agent closer as intended
DELAYS = 4         # lost steps that are modelled one by one
HORIZON = 16       # steps looked ahead
SHARP = 45.0       # how surely an agent picks its good actions
NOISE = 0.65       # part of an agent's behaviour that is random
EPS = 4e-6         # variance that counts as nothing
POWER = 1.5        # sharpens the ratio of the variances
MEAN_PART = 0.1    # part of the ratio of mean variances in the share
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


def in_the_way(row, col, o_row, o_col):
    # 1 where the other agent stands strictly between an agent and a side of the
    # food that lies straight ahead (last dim: north, south, west, east)
    zero = torch.zeros_like(row)
    t_row = torch.stack([zero - 1.0, zero + 1.0, zero, zero], dim=-1)
    t_col = torch.stack([zero, zero, zero - 1.0, zero + 1.0], dim=-1)
    r, c = row.unsqueeze(-1), col.unsqueeze(-1)
    p, q = o_row.unsqueeze(-1), o_col.unsqueeze(-1)
    down = ((c - t_col).abs() < 0.5) & ((q - t_col).abs() < 0.5) & ((p - r) * (p - t_row) < -0.5)
    across = ((r - t_row).abs() < 0.5) & ((p - t_row).abs() < 0.5) & ((q - c) * (q - t_col) < -0.5)
    return (down | across).to(row.dtype)


def arrived(dist):
    # probability of having arrived by step 0, 1, .., HORIZON - 1 (new last dim),
    # when each step succeeds with probability STEP_OK (negative binomial)
    steps = torch.cumsum(dist.new_ones(HORIZON), dim=0) - 1.0
    mass = torch.exp(math.log(STEP_OK) * dist)
    left = torch.ones_like(dist)
    total = torch.zeros_like(dist).unsqueeze(-1) * steps
    for k in range(DELAYS):
        there = ((dist + k).unsqueeze(-1) <= steps + 0.25).to(dist.dtype)
        total = total + mass.unsqueeze(-1) * there
        left = left - mass
        mass = mass * (dist + k) * ((1.0 - STEP_OK) / (k + 1.0))
    there = ((dist + DELAYS).unsqueeze(-1) <= steps + 0.25).to(dist.dtype)
    return total + torch.clamp(left, min=0.0).unsqueeze(-1) * there


def discounted(done):
    # expected DECAY ** time, from the probability of being done by each step
    steps = torch.cumsum(done.new_ones(HORIZON), dim=0) - 1.0
    coef = (1.0 - DECAY) * torch.exp(math.log(DECAY) * steps)
    return (done * coef).sum(dim=-1) + (DECAY ** HORIZON) * done[..., -1]


def outlook(row0, col0, row1, col1, able0, able1):
    # discounted chance that a sufficient coalition stands beside the food
    d0 = side_distances(row0, col0)
    d1 = side_distances(row1, col1)
    a0, a1 = able0.unsqueeze(-1), able1.unsqueeze(-1)
    # alone: the other agent may occupy a side or stand in a straight path; one
    # that cannot eat alone has no reason to make room, so it costs more
    block0 = (2.0 - a1) * (d1 < 0.5).to(d0.dtype) + (1.0 - a1) * in_the_way(row0, col0, row1, col1)
    block1 = (2.0 - a0) * (d0 < 0.5).to(d0.dtype) + (1.0 - a0) * in_the_way(row1, col1, row0, col0)
    miss0 = 1.0 - a0 * arrived((d0 + block0).amin(dim=-1))
    miss1 = 1.0 - a1 * arrived((d1 + block1).amin(dim=-1))
    single = discounted(1.0 - miss0 * miss1)           # the earlier of the able
    # together: two different sides, the later agent counts
    f0 = arrived(d0)
    f1 = arrived(d1)
    pairs = []
    for k in range(1, 4):
        other = torch.cat([f1[..., k:, :], f1[..., :k, :]], dim=-2)
        pairs.append(discounted(f0 * other))
    joint = torch.cat(pairs, dim=-1).amax(dim=-1)
    return torch.where(torch.maximum(able0, able1) > 0.5, single, joint)


def likely(score):
    return (1.0 - NOISE) * torch.softmax(SHARP * score, dim=1) + NOISE / score.shape[1]


def credit(state):
    """An agent earns credit for its expected share of the variance of the outcome in
    this very step: it is the nearest who can eat alone, or the one whose arrival or
    LOAD a joint job waits for. Partners act noisily, so an agent that waits with slack
    for a late partner, or is too weak and in nobody's way, gets little but the floor."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food_level = state["food_level"]                                   # [B, 1]
    present = food_level > 0.5
    food_raw = state["food_position"][:, 0, :]
    food = torch.where(present, food_raw, torch.zeros_like(food_raw) + 2.0)
    able = (level >= food_level - 0.5).to(pos.dtype)                   # [B, 2]
    able0, able1 = able[:, 0].reshape(-1, 1, 1), able[:, 1].reshape(-1, 1, 1)
    # where each of the six actions would lead, relative to the food: [B, 2, 6]
    row, col = pos[:, :, 0], pos[:, :, 1]
    to_row = torch.clamp(torch.stack([row, row - 1, row + 1, row, row, row], dim=2), 0.0, 4.0)
    to_col = torch.clamp(torch.stack([col, col, col, col - 1, col + 1, col], dim=2), 0.0, 4.0)
    to_row = to_row - food[:, 0].reshape(-1, 1, 1)
    to_col = to_col - food[:, 1].reshape(-1, 1, 1)
    row, col = row - food[:, 0:1], col - food[:, 1:2]
    on_food = (to_row.abs() + to_col.abs()) < 0.5
    to_row = torch.where(on_food, row.unsqueeze(2), to_row)
    to_col = torch.where(on_food, col.unsqueeze(2), to_col)
    # joint actions: agent 0 along dim 1, agent 1 along dim 2
    r0, c0 = to_row[:, 0, :].unsqueeze(2), to_col[:, 0, :].unsqueeze(2)
    r1, c1 = to_row[:, 1, :].unsqueeze(1), to_col[:, 1, :].unsqueeze(1)
    clash = ((r0 - r1).abs() + (c0 - c1).abs()) < 0.5                  # [B, 6, 6]
    old_r0, old_c0 = row[:, 0].reshape(-1, 1, 1), col[:, 0].reshape(-1, 1, 1)
    old_r1, old_c1 = row[:, 1].reshape(-1, 1, 1), col[:, 1].reshape(-1, 1, 1)
    later = outlook(torch.where(clash, old_r0, r0), torch.where(clash, old_c0, c0),
                    torch.where(clash, old_r1, r1), torch.where(clash, old_c1, c1),
                    able0, able1)
    # is the food eaten in this very step?
    push = ((row.abs() + col.abs() - 1.0).abs() < 0.5).to(pos.dtype) * level
    zero = torch.zeros_like(push)
    lift = torch.stack([zero, zero, zero, zero, zero, push], dim=2)    # [B, 2, 6]
    eaten = lift[:, 0, :].unsqueeze(2) + lift[:, 1, :].unsqueeze(1) >= food_level.unsqueeze(2) - 0.5
    value = torch.where(eaten, torch.ones_like(later), DECAY * later)  # [B, 6, 6]
    # plausible behaviour, then once more as an answer to the other's behaviour
    mean0 = value.mean(dim=1)                                          # [B, 6] by a1
    mean1 = value.mean(dim=2)                                          # [B, 6] by a0
    first0 = likely(0.5 * value.amax(dim=2) + 0.5 * mean1)
    first1 = likely(0.5 * value.amax(dim=1) + 0.5 * mean0)
    pi0 = likely((value * first1.unsqueeze(1)).sum(dim=2))
    pi1 = likely((value * first0.unsqueeze(2)).sum(dim=1))
    # spread of the outcome over the own action, the partner's action held
    var0 = ((value - mean0.unsqueeze(1)) ** 2).mean(dim=1) + EPS       # [B, 6] by a1
    var1 = ((value - mean1.unsqueeze(2)) ** 2).mean(dim=2) + EPS       # [B, 6] by a0
    ratio = var0.unsqueeze(1) / (var0.unsqueeze(1) + var1.unsqueeze(2))
    ratio = torch.clamp(ratio, 1e-5, 1.0 - 1e-5)
    sharp0, sharp1 = ratio ** POWER, (1.0 - ratio) ** POWER
    chance = pi0.unsqueeze(2) * pi1.unsqueeze(1)                       # [B, 6, 6]
    expected = (chance * sharp0 / (sharp0 + sharp1)).sum(dim=2).sum(dim=1)
    total0 = (pi1 * var0).sum(dim=1)
    total1 = (pi0 * var1).sum(dim=1)
    share0 = (1.0 - MEAN_PART) * expected + MEAN_PART * total0 / (total0 + total1)
    share = torch.stack([share0, 1.0 - share0], dim=1)                 # [B, 2]
    weights = torch.where(present, FLOOR + share, torch.ones_like(share))
    # what is still to be had: more the sooner an able coalition is in place
    hope = 0.3 * outlook(old_r0, old_c0, old_r1, old_c1, able0, able1).reshape(-1, 1)
    return weights, torch.where(present, hope, torch.zeros_like(hope))
