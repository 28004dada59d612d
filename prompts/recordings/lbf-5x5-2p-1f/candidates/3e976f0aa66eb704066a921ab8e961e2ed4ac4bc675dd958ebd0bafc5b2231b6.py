import torch
import torch.nn.functional as F
import math

GAMMA = 0.95          # discount used to compare eating times
FLOOR = 0.25          # weight of an agent that can change nothing
FAR = 10.0            # penalty for a loading cell that is occupied
DELAYS = ((0.0, 0.6), (1.0, 0.25), (2.0, 0.15))   # delay of the teammate, probability
MOVES = ((0.0, 0.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
SIDES = ((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0))
BIAS_SCALE = 0.5
BIAS_DECAY = 0.9


def same_cell(r1, c1, r2, c2):
    return ((r1 - r2).abs() + (c1 - c2).abs()) < 0.5


def steps_to_food(row, col, food_row, food_col, other_row, other_col):
    # steps to the nearest cell beside the food that the teammate does not occupy
    options = []
    for dr, dc in SIDES:
        cell_row = food_row + dr
        cell_col = food_col + dc
        taken = same_cell(cell_row, cell_col, other_row, other_col).to(row.dtype)
        options.append((row - cell_row).abs() + (col - cell_col).abs() + FAR * taken)
    return torch.stack(options, dim=-1).amin(dim=-1)


def eating_time(mine, theirs, can_me, can_other):
    # step in which the food is eaten, from the loading times of both agents
    first = torch.minimum(mine, theirs)
    last = torch.maximum(mine, theirs)
    one = torch.where(can_me, mine, torch.where(can_other, theirs, last))
    return torch.where(can_me & can_other, first, one)


def credit(state):
    """An agent earns credit by how much its action in this very step can shift the step
    in which the food is eaten: the only strong enough agent, the nearer of two that are
    strong enough alone, or the later of two that need each other. An agent with slack,
    or one that is too weak while the teammate is not, gets only a small floor."""
    pos = state["agent_position"]
    level = state["agent_level"]
    food = state["food_position"]
    food_level = state["food_level"]

    row = pos[:, :, 0]
    col = pos[:, :, 1]
    other_row = torch.flip(row, dims=[1])
    other_col = torch.flip(col, dims=[1])
    ones = torch.ones_like(level)

    alive = (food_level > 0.5) & (food[:, :, 0] > -0.5)          # [B, 1]
    # a harmless place for food that is gone, masked at the end
    food_row = torch.where(alive, food[:, :, 0], torch.full_like(food_level, 2.0)) * ones
    food_col = torch.where(alive, food[:, :, 1], torch.full_like(food_level, 2.0)) * ones

    can_me = level > food_level - 0.5                             # strong enough alone
    can_other = torch.flip(level, dims=[1]) > food_level - 0.5

    dist = steps_to_food(row, col, food_row, food_col, other_row, other_col)
    beside = dist < 0.5
    other_dist = torch.flip(dist, dims=[1])
    other_stays = other_dist < 0.5                                # a teammate beside the food waits

    # earliest loading time of each agent after each of its six actions
    times = []
    for dr, dc in MOVES:
        new_row = torch.clamp(row + dr, 0.0, 4.0)
        new_col = torch.clamp(col + dc, 0.0, 4.0)
        on_food = same_cell(new_row, new_col, food_row, food_col)
        on_other = same_cell(new_row, new_col, other_row, other_col) & other_stays
        blocked = on_food | on_other
        new_row = torch.where(blocked, row, new_row)
        new_col = torch.where(blocked, col, new_col)
        times.append(1.0 + steps_to_food(new_row, new_col, food_row, food_col,
                                         other_row, other_col))
    times.append(torch.where(beside, torch.zeros_like(dist), 1.0 + dist))   # LOAD
    mine = torch.stack(times, dim=-1)                             # [B, 2, 6]

    # spread of the return over the own actions, averaged over the teammate's delay
    me3 = can_me.unsqueeze(-1).expand_as(mine)
    other3 = can_other.unsqueeze(-1).expand_as(mine)
    spread = torch.zeros_like(dist)
    for delay, prob in DELAYS:
        theirs = (other_dist + delay).unsqueeze(-1).expand_as(mine)
        when = eating_time(mine, theirs, me3, other3)
        value = torch.exp(when * math.log(GAMMA))
        centred = value - value.mean(dim=-1, keepdim=True)
        spread = spread + prob * (centred * centred).mean(dim=-1)
    impact = torch.sqrt(spread + 1e-8)                            # [B, 2]

    best = torch.clamp(impact.amax(dim=1, keepdim=True), min=1e-6)
    weights = FLOOR + impact / best
    weights = torch.where(alive.expand_as(weights), weights, ones)

    # part of the return still in reach, discounted by the earliest eating time
    soonest = eating_time(dist, other_dist, can_me, can_other).mean(dim=1, keepdim=True)
    bias = BIAS_SCALE * torch.exp(soonest * math.log(BIAS_DECAY))
    bias = torch.where(alive, bias, torch.zeros_like(bias))
    return weights, bias
