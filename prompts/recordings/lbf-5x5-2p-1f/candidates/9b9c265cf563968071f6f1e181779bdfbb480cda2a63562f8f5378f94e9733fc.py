import torch
import torch.nn.functional as F
import math

DETOUR = 2.0        # extra steps to get round the food to its far side
SAME_SIDE = 6.0     # penalty for sending both agents to one side cell
FAR = 20.0          # more than any way on the board
DECAY = -math.log(0.95)
BIAS_SCALE = 0.5
LOAD = 5.0


def side_distances(rel):
    # rel: [B, 2, 2], agent minus food. Steps to the cells north, south,
    # west and east of the food, [B, 2, 4].
    x = rel[..., 0]
    y = rel[..., 1]
    in_col = torch.abs(y) < 0.5
    in_row = torch.abs(x) < 0.5
    north = torch.abs(x + 1.0) + torch.abs(y) + DETOUR * ((x > 0.5) & in_col).to(x.dtype)
    south = torch.abs(x - 1.0) + torch.abs(y) + DETOUR * ((x < -0.5) & in_col).to(x.dtype)
    west = torch.abs(x) + torch.abs(y + 1.0) + DETOUR * ((y > 0.5) & in_row).to(x.dtype)
    east = torch.abs(x) + torch.abs(y - 1.0) + DETOUR * ((y < -0.5) & in_row).to(x.dtype)
    return torch.stack([north, south, west, east], dim=-1)


def joint_plan(dist):
    # Soft best assignment of both agents to two different sides.
    # Result: planned steps of each agent [B, 2], time of the later one [B].
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
    """Credit goes to the agent whose next moves set the time of the reward.
    If one agent is enough, that is the able agent that arrives first, most of
    all once it stands beside the food; the other one counts more only while it
    is in the way. If both are needed, the later one gets more, relative to the
    time left, or the one that has to make room or has not yet tried LOAD."""
    agent = state["agent_position"]
    level = state["agent_level"]
    food = state["food_position"][:, 0, :]
    food_level = state["food_level"][:, 0]

    present = (food_level > 0.5) & (food[:, 0] > -0.5) & (food[:, 1] > -0.5)
    present_f = present.to(agent.dtype)
    # A food that is gone has no position: use the centre, masked out below.
    food = torch.where(present.unsqueeze(1), food, torch.full_like(food, 2.0))

    dist = side_distances(agent - food.unsqueeze(1))            # [B, 2, 4]
    standing = (dist < 0.5).to(dist.dtype)
    in_place = torch.amax(standing, dim=2)                      # [B, 2]
    taken = torch.flip(standing, dims=[1])                      # by the partner
    free_steps = torch.amin(dist, dim=2)                        # [B, 2]
    steps = torch.amin(dist + FAR * taken, dim=2)               # best free side
    gap = torch.abs(agent[:, 0, :] - agent[:, 1, :]).sum(dim=1, keepdim=True)

    able = (level >= food_level.unsqueeze(1) - 0.5).to(dist.dtype)
    solo = torch.amax(able, dim=1, keepdim=True) > 0.5          # [B, 1]

    # One agent is enough: share by arrival time among the able agents; one
    # that stands beside the food only has to LOAD and counts clearly more.
    share = F.softmax(-0.6 * steps + 0.7 * in_place - 50.0 * (1.0 - able), dim=1)

    # Does agent i lie on a shortest way of its partner to the partner's sides?
    partner_dist = torch.flip(dist, dims=[1])
    partner_side = F.softmax(-3.0 * partner_dist, dim=2)
    extra = gap.unsqueeze(2) + dist - partner_dist              # 0: on the way
    on_way = (partner_side * torch.clamp(1.0 - 0.5 * extra, 0.0, 1.0)).sum(dim=2)
    near = torch.clamp((4.0 - gap) / 3.0, 0.0, 1.0)
    walking = torch.flip(torch.clamp(free_steps / 2.0, 0.0, 1.0), dims=[1])
    # Does agent i stand on the partner's best side and cost it steps?
    delay = torch.flip(torch.clamp(steps - free_steps, 0.0, 2.0), dims=[1])
    partner_share = torch.flip(share, dims=[1])
    in_way = partner_share * (0.2 * on_way * near * walking + 0.15 * delay)
    w_solo = 0.5 + share + in_way

    # Both are needed: the later one sets the time of the reward. The lag counts
    # relative to the time left, and less once the early agent is in place.
    planned, joint_time = joint_plan(dist)
    left = joint_time.unsqueeze(1)
    lag = planned - torch.flip(planned, dims=[1])
    rel_lag = 1.2 * lag / (1.0 + 0.25 * torch.clamp(left, min=0.0))
    contrast = 0.8 - 0.2 * torch.amax(in_place, dim=1, keepdim=True)
    late_part = 1.0 - 0.5 * contrast + contrast * torch.sigmoid(rel_lag)
    # An agent that is in place, but whose moving on would save time.
    if_stay = torch.flip(torch.amin(dist + FAR * taken, dim=2), dims=[1])
    saved = in_place * torch.clamp(if_stay - left, 0.0, 2.0)
    # Both in place, the partner chose LOAD and this agent did not.
    loaded = (torch.abs(state["last_action"] - LOAD) < 0.5).to(dist.dtype)
    both = torch.amin(in_place, dim=1, keepdim=True)
    missing = both * torch.flip(loaded, dims=[1]) * (1.0 - loaded)
    w_joint = late_part + 0.2 * saved + 0.2 * missing

    weights = torch.where(solo, w_solo, w_joint)
    weights = torch.where(present.unsqueeze(1), weights, torch.ones_like(weights))

    # Bias: the reward of 1, discounted by the steps that are still missing; a
    # LOAD pays at once, a common LOAD takes a little longer to come about.
    solo_time = torch.amin(steps + 50.0 * (1.0 - able), dim=1)
    time = torch.where(solo[:, 0], solo_time, joint_time + 0.5)
    time = torch.clamp(time, 0.0, 12.0)
    bias = BIAS_SCALE * present_f * torch.exp(-DECAY * time)
    return weights, bias.unsqueeze(1)
