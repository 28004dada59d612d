import torch
import torch.nn.functional as F
import math

DECAY = 0.93       # per step, for the potential
SCALE = 0.6        # keeps the potential well inside the return's range of 0 to 1
PHASE_LENGTH = 3.0 # cells over which "early" turns into "late"
LOAD = 5.0


def action_is(last, number):
    return (torch.abs(last - number) < 0.5).to(last.dtype)


def credit(state):
    """Credit follows the phase of the task. If one agent suffices, the nearest capable
    agent earns credit, the more so the closer the finish is. If both are needed, the agent
    that lags behind or idles earns more on the way, and beside the food both earn the same
    except that one that did not LOAD in the step before earns more."""
    pos = state["agent_position"]            # [B, N, 2]
    level = state["agent_level"]             # [B, N]
    food_pos = state["food_position"]        # [B, 1, 2]
    food_level = state["food_level"][:, 0:1]  # [B, 1]
    last = state["last_action"]              # [B, N]

    present = (food_level > 0.5).to(level.dtype)  # [B, 1]

    # Moves that each agent needs to stand beside the food (0 = beside it).
    manhattan = torch.abs(pos - food_pos).sum(dim=2)          # [B, N]
    dist = torch.clamp(manhattan - 1.0, min=0.0) * present    # [B, N]
    other_dist = torch.flip(dist, dims=[1])
    beside = (dist < 0.5).to(dist.dtype)
    other_beside = torch.flip(beside, dims=[1])

    # Agents within two cells of each other can block or collide.
    gap = torch.abs(pos - torch.flip(pos, dims=[1])).sum(dim=2)
    crowded = (gap < 2.5).to(dist.dtype)

    # What the last actions reveal; nothing before the first step (-1).
    started = (last > -0.5).to(dist.dtype)
    loaded = action_is(last, LOAD)
    waited = action_is(last, 0.0)
    idled = torch.clamp(loaded + waited, max=1.0) * (1.0 - beside)
    hesitated = started * (1.0 - loaded) * beside

    # Who could eat the food alone, and is there anybody.
    capable = (level > food_level - 0.5).to(dist.dtype)       # [B, N]
    solo = torch.amax(capable, dim=1, keepdim=True)           # [B, 1]

    # Steps of walking left in each mode.
    solo_time = torch.amin(dist + 20.0 * (1.0 - capable), dim=1, keepdim=True)
    solo_time = torch.clamp(solo_time, max=10.0)
    joint_time = torch.amax(dist, dim=1, keepdim=True)
    time_left = solo * solo_time + (1.0 - solo) * joint_time  # [B, 1]
    late = torch.exp(-time_left / PHASE_LENGTH)               # 1 at the finish, near 0 far away

    # Mode 1: one agent suffices. Credit concentrates on the finisher as the end comes near.
    share = F.softmax(-dist - 20.0 * (1.0 - capable), dim=1)
    w_solo = 0.8 + 0.2 * capable + (1.0 + 1.5 * late) * share
    w_solo = w_solo + 0.4 * capable * hesitated
    w_solo = w_solo + 0.2 * crowded * (1.0 - capable) * (1.0 - other_beside)

    # Mode 2: both are needed. On the way the laggard decides, at the food both do.
    lag = torch.clamp(dist - other_dist, min=0.0, max=4.0)
    both_there = beside * other_beside
    waiting = beside * (1.0 - other_beside)
    w_joint = 1.0 + 0.5 * lag
    w_joint = w_joint + 0.4 * idled
    w_joint = w_joint + 0.3 * waiting * crowded
    w_joint = w_joint - 0.2 * waiting * loaded * (1.0 - crowded)
    w_joint = w_joint + 0.8 * both_there * hesitated

    weights = solo * w_solo + (1.0 - solo) * w_joint
    weights = present * weights + (1.0 - present) * torch.ones_like(weights)

    # Discounted estimate of the return that is still to be had.
    bias = present * SCALE * torch.exp(math.log(DECAY) * time_left)
    return weights, bias
