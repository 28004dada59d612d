import torch
import torch.nn.functional as F
import math

DECAY = 0.92       # value kept per step of delay
STEP_OK = 0.9      # chance that a step brings an agent closer as intended
DELAYS = 5         # lost steps that are modelled one by one
HORIZON = 14       # steps looked ahead
SOFT = 100.0       # sharpness of the soft choice among pairs of sides
SHARP = 30.0       # how surely an agent picks its good actions
NOISE = 0.6        # part of an agent's behaviour that is random
EPS = 1e-5         # variance that counts as nothing
POWER = 1.5        # above 1: closer to a vote on who matters more
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
    # alone: a side on which the other agent stands costs one step more
    alone0 = (d0 + (d1 < 0.5).to(d0.dtype)).amin(dim=-1)
    alone1 = (d1 + (d0 < 0.5).to(d0.dtype)).amin(dim=-1)
    miss0 = 1.0 - able0.unsqueeze(-1) * arrived(alone0)
    miss1 = 1.0 - able1.unsqueeze(-1) * arrived(alone1)
    single = discounted(1.0 - miss0 * miss1)           # the earlier of the able
    # together: two different sides, the later agent counts; a soft best pair
    f0 = arrived(d0)
    f1 = arrived(d1)
    pairs = []
    for k in range(1, 4):
        other = torch.cat([f1[..., k:, :], f1[..., :k, :]], dim=-2)
        pairs.append(discounted(f0 * other))
    joint = torch.logsumexp(SOFT * torch.cat(pairs, dim=-1), dim=-1) / SOFT
    return torch.where(torch.maximum(able0, able1) > 0.5, single, joint)


def likely(score):
    # noisy behaviour: partly random, partly the better actions
    return (1.0 - NOISE) * torch.softmax(SHARP * score, dim=1) + NOISE / score.shape[1]


def credit(state):
    """An agent earns credit where varying its own action in this very step changes the
    time of the meal more than varying the partner's does: the nearest who can eat alone,
    or the one whose arrival or LOAD a joint meal waits for. This is averaged over noisy
    behaviour of the partner, so one that waits with slack or is too weak gets little."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food_level = state["food_level"]                                   # [B, 1]
    present = food_level > 0.5
    food_raw = state["food_position"][:, 0, :]
    food = torch.where(present, food_raw, torch.zeros_like(food_raw) + 2.0)
    f_row = food[:, 0:1]                                               # [B, 1]
    f_col = food[:, 1:2]
    able = (level >= food_level - 0.5).to(pos.dtype)                   # [B, 2]
    able0 = able[:, 0].unsqueeze(1).unsqueeze(2)                       # [B, 1, 1]
    able1 = able[:, 1].unsqueeze(1).unsqueeze(2)

    # relative to the food; where each of the six actions would lead: [B, 2, 6]
    row = pos[:, :, 0]
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

    # joint actions: agent 0 along dim 1, agent 1 along dim 2; a clash moves nobody
    r0 = to_row[:, 0, :].unsqueeze(2)
    c0 = to_col[:, 0, :].unsqueeze(2)
    r1 = to_row[:, 1, :].unsqueeze(1)
    c1 = to_col[:, 1, :].unsqueeze(1)
    clash = ((r0 - r1).abs() + (c0 - c1).abs()) < 0.5                  # [B, 6, 6]
    old_r0 = row[:, 0].unsqueeze(1).unsqueeze(2)
    old_c0 = col[:, 0].unsqueeze(1).unsqueeze(2)
    old_r1 = row[:, 1].unsqueeze(1).unsqueeze(2)
    old_c1 = col[:, 1].unsqueeze(1).unsqueeze(2)
    later = outlook(torch.where(clash, old_r0, r0), torch.where(clash, old_c0, c0),
                    torch.where(clash, old_r1, r1), torch.where(clash, old_c1, c1),
                    able0, able1)

    # is the food eaten in this very step?
    near = ((row.abs() + col.abs() - 1.0).abs() < 0.5).to(pos.dtype)
    push = near * level
    zero = torch.zeros_like(push)
    lift = torch.stack([zero, zero, zero, zero, zero, push], dim=2)    # [B, 2, 6]
    power = lift[:, 0, :].unsqueeze(2) + lift[:, 1, :].unsqueeze(1)
    eaten = power >= (food_level.unsqueeze(2) - 0.5)
    value = torch.where(eaten, torch.ones_like(later), DECAY * later)  # [B, 6, 6]

    # plausible behaviour, then once more as an answer to the other's behaviour
    mean0 = value.mean(dim=1)                                          # [B, 6] by a1
    mean1 = value.mean(dim=2)                                          # [B, 6] by a0
    first0 = likely(0.5 * value.amax(dim=2) + 0.5 * mean1)
    first1 = likely(0.5 * value.amax(dim=1) + 0.5 * mean0)
    pi0 = likely((value * first1.unsqueeze(1)).sum(dim=2))
    pi1 = likely((value * first0.unsqueeze(2)).sum(dim=1))

    # spread of the outcome over the own action, the partner's action held
    log0 = torch.log(((value - mean0.unsqueeze(1)) ** 2).mean(dim=1) + EPS)
    log1 = torch.log(((value - mean1.unsqueeze(2)) ** 2).mean(dim=2) + EPS)
    # who matters more, for each joint action that may be held: a soft vote
    vote0 = torch.sigmoid(POWER * (log0.unsqueeze(1) - log1.unsqueeze(2)))
    chance = pi0.unsqueeze(2) * pi1.unsqueeze(1)                       # [B, 6, 6]
    share0 = (chance * vote0).sum(dim=2).sum(dim=1)                    # [B]
    share = torch.stack([share0, 1.0 - share0], dim=1)                 # [B, 2]
    weights = torch.where(present, FLOOR + share, torch.ones_like(share))

    # what is still to be had: more the sooner an able coalition is in place
    hope = HOPE * outlook(old_r0, old_c0, old_r1, old_c1, able0, able1)[:, :, 0]
    bias = torch.where(present, hope, torch.zeros_like(hope))          # [B, 1]
    return weights, bias
