import torch
import torch.nn.functional as F
import math

CENTRE = 2.0        # harmless stand-in position for a food that is gone
FAR = 50.0          # added to distances that must not be chosen
BIAS_SCALE = 0.6    # the full return is 1, stay well inside it
BIAS_DECAY = 0.9    # per step still needed by the required agents


def side_cells(food):
    # food [B, 2] -> the four cells beside it, [B, 4, 2]
    r = food[:, 0]
    c = food[:, 1]
    north = torch.stack([r - 1.0, c], dim=-1)
    south = torch.stack([r + 1.0, c], dim=-1)
    west = torch.stack([r, c - 1.0], dim=-1)
    east = torch.stack([r, c + 1.0], dim=-1)
    return torch.stack([north, south, west, east], dim=1)


def pair_time(pos, food):
    # fewest steps until both agents stand on different cells beside the food
    cells = side_cells(food)                                          # [B, 4, 2]
    dist = (pos.unsqueeze(2) - cells.unsqueeze(1)).abs().sum(-1)      # [B, 2, 4]
    both = torch.maximum(dist[:, 0].unsqueeze(2), dist[:, 1].unsqueeze(1))
    gap = (cells.unsqueeze(2) - cells.unsqueeze(1)).abs().sum(-1)     # [B, 4, 4]
    same = (gap < 0.5).to(pos.dtype)
    return (both + FAR * same).flatten(1).amin(dim=1, keepdim=True)   # [B, 1]


def credit(state):
    """Credit goes to the agents whose level the food really requires.
    If one agent alone is able, it gets most and the other only a little, for keeping out of its way;
    if both are able alone, the nearer one gets more; if only both together are able,
    both get credit and the one that still has further to go, which sets the time, gets more."""
    pos = state["agent_position"]                    # [B, 2, 2]
    level = state["agent_level"]                     # [B, 2]
    food_level = state["food_level"]                 # [B, 1]
    raw_food = state["food_position"][:, 0]          # [B, 2]

    alive = (food_level > 0.5) & (raw_food[:, 0:1] > -0.5)            # [B, 1]
    food = torch.where(alive, raw_food, torch.full_like(raw_food, CENTRE))

    # steps that each agent needs to stand beside the food
    manhattan = (pos - food.unsqueeze(1)).abs().sum(-1)               # [B, 2]
    steps = torch.clamp(manhattan - 1.0, min=0.0)
    other_steps = steps.flip(1)

    # ability: who can eat it alone
    able = (level > food_level - 0.5).to(pos.dtype)                   # [B, 2]
    other_able = able.flip(1)
    either = able * other_able                       # both can do it alone
    only_me = able * (1.0 - other_able)              # I alone am able
    only_other = (1.0 - able) * other_able           # the other alone is able
    together = (1.0 - able) * (1.0 - other_able)     # neither can do it alone

    # either can do it: the nearer one decides, 1 .. 4
    w_either = 1.0 + 3.0 * torch.sigmoid(1.0 * (other_steps - steps))

    # one can do it: the able one decides, the other can only be in the way
    between = (pos[:, 0] - pos[:, 1]).abs().sum(-1, keepdim=True)     # [B, 1]
    near_able = torch.clamp((4.0 - between) / 3.0, min=0.0, max=1.0)
    near_food = torch.clamp(1.0 - steps / 3.0, min=0.0, max=1.0)
    able_waits = torch.clamp(other_steps, min=0.0, max=1.0)           # still on its way
    w_helper = 0.7 + 0.6 * near_able * near_food * able_waits
    w_solo = torch.full_like(steps, 3.0)

    # only together: the later one sets the time, the other must wait and load
    w_together = 1.5 + 1.5 * torch.sigmoid(0.8 * (steps - other_steps))

    weights = (either * w_either + only_me * w_solo
               + only_other * w_helper + together * w_together)
    weights = torch.where(alive, weights, torch.ones_like(weights))

    # what is still to be had: falls with the time that the required agents need
    solo_time = (steps + FAR * (1.0 - able)).amin(dim=1, keepdim=True)
    joint_time = pair_time(pos, food) + 0.5          # loading in the same step is harder
    need_both = together[:, 0:1]
    time_left = need_both * joint_time + (1.0 - need_both) * solo_time
    time_left = torch.clamp(time_left, min=0.0, max=20.0)
    bias = BIAS_SCALE * torch.exp(math.log(BIAS_DECAY) * time_left)
    bias = torch.where(alive, bias, torch.zeros_like(bias))
    return weights, bias
