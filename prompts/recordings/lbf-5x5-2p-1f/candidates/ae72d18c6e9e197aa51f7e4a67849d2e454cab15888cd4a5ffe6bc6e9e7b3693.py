import torch
import math

DECAY = 0.92       # value kept per step of delay
# continuations: chance that a step succeeds, part in the result, cost of a blocked side
MODELS = ((0.97, 0.65, 2.0), (0.80, 0.35, 1.0))
DELAYS = 5         # lost steps that are modelled one by one
HORIZON = 16       # steps looked ahead
SHARP = 30.0       # how surely an agent picks its good actions
NOISE = 0.55       # part of an agent's behaviour that is not aimed at the food
ASTRAY = 0.15      # more of it for an agent that has just headed away from the food
REPEAT = 0.3       # part of the noise that repeats the last action
EPS = 1e-5         # variance that counts as nothing
MEAN_PART = 0.15   # part of the ratio of mean variances in the share
FLOOR = 0.25       # credit that everybody gets
HOPE = 0.3         # scale of the bias

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

def arrived(dist, step_ok):
    # probability of having arrived by step 0, 1, .., HORIZON - 1 (new last dim)
    steps = torch.cumsum(dist.new_ones(HORIZON), dim=0) - 1.0
    mass = torch.exp(math.log(step_ok) * dist)
    left = torch.ones_like(dist)
    total = torch.zeros_like(dist).unsqueeze(-1) * steps
    for k in range(DELAYS):
        there = ((dist + k).unsqueeze(-1) <= steps + 0.25).to(dist.dtype)
        total = total + mass.unsqueeze(-1) * there
        left = left - mass
        mass = mass * (dist + k) * ((1.0 - step_ok) / (k + 1.0))
    there = ((dist + DELAYS).unsqueeze(-1) <= steps + 0.25).to(dist.dtype)
    return total + torch.clamp(left, min=0.0).unsqueeze(-1) * there

def discounted(done):
    # expected DECAY ** time, from the probability of being done by each step
    steps = torch.cumsum(done.new_ones(HORIZON), dim=0) - 1.0
    coef = (1.0 - DECAY) * torch.exp(math.log(DECAY) * steps)
    return (done * coef).sum(dim=-1) + (DECAY ** HORIZON) * done[..., -1]

def outlook(row0, col0, row1, col1, able0, able1, step_ok, block):
    # discounted chance that a sufficient coalition stands beside the food
    d0 = side_distances(row0, col0)
    d1 = side_distances(row1, col1)
    alone0 = (d0 + block * (d1 < 0.5).to(d0.dtype)).amin(dim=-1)
    alone1 = (d1 + block * (d0 < 0.5).to(d0.dtype)).amin(dim=-1)
    miss0 = 1.0 - able0.unsqueeze(-1) * arrived(alone0, step_ok)
    miss1 = 1.0 - able1.unsqueeze(-1) * arrived(alone1, step_ok)
    single = discounted(1.0 - miss0 * miss1)           # the earlier of the able
    f0 = arrived(d0, step_ok)                          # together: the later counts
    f1 = arrived(d1, step_ok)
    pairs = []
    for k in range(1, 4):                              # two different sides
        other = torch.cat([f1[..., k:, :], f1[..., :k, :]], dim=-2)
        pairs.append(discounted(f0 * other))
    joint = torch.cat(pairs, dim=-1).amax(dim=-1)
    return torch.where(torch.maximum(able0, able1) > 0.5, single, joint)

def likely(score, noise, habit):
    return (1.0 - noise) * torch.softmax(SHARP * score, dim=1) + noise * habit

def first_share(value, noise, habit):
    # agent 0's share of the variance; value is [B, 6, 6], agent 0 along dim 1
    n0, n1, h0, h1 = noise[:, 0:1], noise[:, 1:2], habit[:, 0, :], habit[:, 1, :]
    mean0 = value.mean(dim=1)                                          # [B, 6] by a1
    mean1 = value.mean(dim=2)                                          # [B, 6] by a0
    # plausible behaviour, then once more as an answer to the other's behaviour
    first0 = likely(0.5 * value.amax(dim=2) + 0.5 * mean1, n0, h0)
    first1 = likely(0.5 * value.amax(dim=1) + 0.5 * mean0, n1, h1)
    pi0 = likely((value * first1.unsqueeze(1)).sum(dim=2), n0, h0)
    pi1 = likely((value * first0.unsqueeze(2)).sum(dim=1), n1, h1)
    # spread of the outcome over the own action, the partner's action held
    var0 = ((value - mean0.unsqueeze(1)) ** 2).mean(dim=1) + EPS       # [B, 6] by a1
    var1 = ((value - mean1.unsqueeze(2)) ** 2).mean(dim=2) + EPS       # [B, 6] by a0
    sharp0 = (var0 * torch.sqrt(var0)).unsqueeze(1)
    sharp1 = (var1 * torch.sqrt(var1)).unsqueeze(2)
    ratio = sharp0 / (sharp0 + sharp1)                                 # [B, 6, 6]
    expected = (pi0.unsqueeze(2) * pi1.unsqueeze(1) * ratio).sum(dim=2).sum(dim=1)
    total0 = (pi1 * var0).sum(dim=1)
    total1 = (pi0 * var1).sum(dim=1)
    return (1.0 - MEAN_PART) * expected + MEAN_PART * total0 / (total0 + total1)

def credit(state):
    """An agent earns credit for its expected share of the variance of the outcome in
    this very step: it is the nearest who can eat alone, or the one whose arrival or
    LOAD a joint job waits for. The partner's present step is guessed from its situation
    and its last action; who can step away and be back in time gets the floor."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food_level = state["food_level"]                                   # [B, 1]
    present = food_level > 0.5
    food_raw = state["food_position"][:, 0, :]
    food = torch.where(present, food_raw, torch.zeros_like(food_raw) + 2.0)
    able = (level >= food_level - 0.5).to(pos.dtype).unsqueeze(2).unsqueeze(3)
    able0, able1 = able[:, 0], able[:, 1]                              # [B, 1, 1]
    # where each of the six actions would lead, relative to the food: [B, 2, 6]
    row, col = pos[:, :, 0], pos[:, :, 1]
    to_row = torch.clamp(torch.stack([row, row - 1, row + 1, row, row, row], dim=2), 0.0, 4.0)
    to_col = torch.clamp(torch.stack([col, col, col, col - 1, col + 1, col], dim=2), 0.0, 4.0)
    to_row = to_row - food[:, 0:1].unsqueeze(2)
    to_col = to_col - food[:, 1:2].unsqueeze(2)
    row, col = row - food[:, 0:1], col - food[:, 1:2]
    on_food = (to_row.abs() + to_col.abs()) < 0.5
    to_row = torch.where(on_food, row.unsqueeze(2), to_row)
    to_col = torch.where(on_food, col.unsqueeze(2), to_col)
    # joint actions: agent 0 along dim 1, agent 1 along dim 2
    r0, c0 = to_row[:, 0, :].unsqueeze(2), to_col[:, 0, :].unsqueeze(2)
    r1, c1 = to_row[:, 1, :].unsqueeze(1), to_col[:, 1, :].unsqueeze(1)
    clash = ((r0 - r1).abs() + (c0 - c1).abs()) < 0.5                  # [B, 6, 6]
    old_r, old_c = row.unsqueeze(2).unsqueeze(3), col.unsqueeze(2).unsqueeze(3)
    r0, c0 = torch.where(clash, old_r[:, 0], r0), torch.where(clash, old_c[:, 0], c0)
    r1, c1 = torch.where(clash, old_r[:, 1], r1), torch.where(clash, old_c[:, 1], c1)
    # is the food eaten in this very step?
    push = ((row.abs() + col.abs() - 1.0).abs() < 0.5).to(pos.dtype) * level
    zero = torch.zeros_like(push)
    lift = torch.stack([zero, zero, zero, zero, zero, push], dim=2)    # [B, 2, 6]
    power = lift[:, 0, :].unsqueeze(2) + lift[:, 1, :].unsqueeze(1)
    eaten = power >= (food_level.unsqueeze(2) - 0.5)                   # [B, 6, 6]
    # noise of each agent: uniform or the last action again, more if it went astray
    index = torch.cumsum(torch.ones_like(to_row), dim=2) - 1.0
    last = ((state["last_action"].unsqueeze(2) - index).abs() < 0.5).to(pos.dtype)
    known = last.sum(dim=2, keepdim=True)
    habit = (1.0 - REPEAT * known) / 6.0 + REPEAT * last
    heading = (last[:, :, 2] - last[:, :, 1]) * row + (last[:, :, 4] - last[:, :, 3]) * col
    noise = NOISE + ASTRAY * (heading > 0.5).to(pos.dtype)             # [B, 2]
    share0 = zero[:, 0]
    hope = zero[:, 0:1]
    for step_ok, part, block in MODELS:
        later = outlook(r0, c0, r1, c1, able0, able1, step_ok, block)
        value = torch.where(eaten, torch.ones_like(later), DECAY * later)
        share0 = share0 + part * first_share(value, noise, habit)
        now = outlook(old_r[:, 0], old_c[:, 0], old_r[:, 1], old_c[:, 1],
                      able0, able1, step_ok, block)
        hope = hope + (HOPE * part) * now.reshape(-1, 1)
    share = torch.stack([share0, 1.0 - share0], dim=1)                 # [B, 2]
    weights = torch.where(present, FLOOR + share, torch.ones_like(share))
    # what is still to be had: more the sooner an able coalition is in place
    bias = torch.where(present, hope, torch.zeros_like(hope))
    return weights, bias
