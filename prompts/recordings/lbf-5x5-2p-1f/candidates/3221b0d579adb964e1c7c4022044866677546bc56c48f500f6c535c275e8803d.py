import torch
import torch.nn.functional as F
import math

DETOUR = 2.0        # extra steps to get round the food to its far side
BLOCKED = 3.0       # extra steps for a side cell on which the partner stands
SAME_SIDE = 6.0     # penalty for sending both agents to one side cell
SYNC = 0.5          # expected extra steps until both load together
DECAY = -math.log(0.95)
BIAS_SCALE = 0.5


def side_distances(rel):
    # rel: [B, 2, 2], agent minus food. Result: steps to the four cells
    # beside the food (north, south, west, east), [B, 2, 4].
    x = rel[..., 0]
    y = rel[..., 1]
    in_col = DETOUR * (torch.abs(y) < 0.5).to(x.dtype)
    in_row = DETOUR * (torch.abs(x) < 0.5).to(x.dtype)
    north = torch.abs(x + 1.0) + torch.abs(y) + in_col * (x > 0.5).to(x.dtype)
    south = torch.abs(x - 1.0) + torch.abs(y) + in_col * (x < -0.5).to(x.dtype)
    west = torch.abs(x) + torch.abs(y + 1.0) + in_row * (y > 0.5).to(x.dtype)
    east = torch.abs(x) + torch.abs(y - 1.0) + in_row * (y < -0.5).to(x.dtype)
    return torch.stack([north, south, west, east], dim=-1)


def joint_plan(dist):
    # Soft best assignment of both agents to two different sides.
    # Result: planned steps of each agent [B, 2], expected late arrival [B].
    d0 = dist[:, 0, :].unsqueeze(2)
    d1 = dist[:, 1, :].unsqueeze(1)
    late = torch.maximum(d0, d1)
    early = torch.minimum(d0, d1)
    same = torch.eye(4, dtype=dist.dtype, device=dist.device).unsqueeze(0)
    cost = 0.8 * late + 0.2 * early + SAME_SIDE * same
    p = F.softmax(-4.0 * cost.flatten(1), dim=1).reshape(cost.shape)
    steps0 = (p * d0).sum(dim=2).sum(dim=1)
    steps1 = (p * d1).sum(dim=2).sum(dim=1)
    time = (p * late).sum(dim=2).sum(dim=1)
    return torch.stack([steps0, steps1], dim=1), time


def credit(state):
    """If one agent is enough, credit goes to the capable agent with the
    shortest free way to the food; an incapable partner earns more only where
    it blocks that way. If both are needed, the later one, which sets the time
    of the reward, gets more, and so does one that should yield its side;
    both in place share equally."""
    agent = state["agent_position"]
    level = state["agent_level"]
    food = state["food_position"][:, 0, :]
    food_level = state["food_level"][:, 0]

    present = (food_level > 0.5) & (food[:, 0] > -0.5) & (food[:, 1] > -0.5)
    # A food that is gone has no position: use the centre, masked out below.
    food = torch.where(present.unsqueeze(1), food, torch.full_like(food, 2.0))

    dist = side_distances(agent - food.unsqueeze(1))            # [B, 2, 4]
    taken = torch.flip((dist < 0.5).to(dist.dtype), dims=[1])   # by the partner
    free_steps = torch.amin(dist, dim=2)                        # [B, 2]
    steps = torch.amin(dist + BLOCKED * taken, dim=2)           # [B, 2]

    able = (level >= food_level.unsqueeze(1) - 0.5).to(dist.dtype)
    solo = torch.amax(able, dim=1, keepdim=True) > 0.5          # [B, 1]

    # One agent is enough: share by arrival time among the capable agents.
    share = F.softmax(-0.6 * steps - 50.0 * (1.0 - able), dim=1)
    # An incapable agent matters where it lengthens the partner's way, or where
    # it is close to and ahead of a partner that still has to walk.
    delay = torch.flip(torch.clamp(steps - free_steps, 0.0, 2.0), dims=[1])
    gap = torch.abs(agent[:, 0, :] - agent[:, 1, :]).sum(dim=1, keepdim=True)
    near = torch.clamp((4.0 - gap) / 3.0, 0.0, 1.0)
    partner_steps = torch.flip(free_steps, dims=[1])
    walking = torch.clamp(0.5 * partner_steps, 0.0, 1.0)
    ahead = torch.sigmoid(partner_steps - free_steps)
    in_way = (1.0 - able) * (0.15 * delay + 0.25 * near * walking * ahead)
    w_solo = 0.5 + share + in_way

    # Both are needed: the later one sets the time of the reward.
    planned, joint_time = joint_plan(dist)
    lag = planned - torch.flip(planned, dims=[1])
    give_way = torch.clamp(planned - free_steps, 0.0, 2.0)
    w_joint = 0.6 + 0.8 * torch.sigmoid(0.7 * lag) + 0.1 * give_way

    weights = torch.where(solo, w_solo, w_joint)
    weights = torch.where(present.unsqueeze(1), weights, torch.ones_like(weights))

    # Bias: the reward of 1, discounted by the steps that are still missing.
    solo_time = torch.amin(steps + 50.0 * (1.0 - able), dim=1)
    time = torch.where(solo[:, 0], solo_time, joint_time + SYNC)
    time = torch.clamp(time, 0.0, 12.0)
    bias = BIAS_SCALE * present.to(dist.dtype) * torch.exp(-DECAY * time)
    return weights, bias.unsqueeze(1)
