import torch
import torch.nn.functional as F
import math

DETOUR = 2.0        # extra steps to get round the food to its far side
SAME_SIDE = 6.0     # penalty for sending both agents to one side cell
FAR = 20.0          # more than any way on the board
DECAY = -math.log(0.95)
BIAS_SCALE = 0.45


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
    # Result: planned steps of each agent [B, 2], time of the later one [B, 1].
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
    return torch.stack([steps0, steps1], dim=1), time.unsqueeze(1)


def partner_of(x):
    # The other agent's values, agents in dimension 1.
    return torch.flip(x, dims=[1])


def credit(state):
    """Credit goes to the agent whose next moves set the time of the reward.
    If one agent is enough, that is the able agent that arrives first, above
    all once it stands beside the food; the other one counts more only where it
    is in the way. If both are needed, the later one gets more, the closer the
    food the more so, or the one that has to make room or has yet to LOAD."""
    agent = state["agent_position"]
    level = state["agent_level"]
    food = state["food_position"][:, 0, :]
    food_level = state["food_level"][:, 0]

    present = (food_level > 0.5) & (food[:, 0] > -0.5) & (food[:, 1] > -0.5)
    present = present.unsqueeze(1)                              # [B, 1]
    # A food that is gone has no position: use the centre, masked out below.
    food = torch.where(present, food, torch.full_like(food, 2.0))

    dist = side_distances(agent - food.unsqueeze(1))            # [B, 2, 4]
    standing = (dist < 0.5).to(dist.dtype)
    in_place = torch.amax(standing, dim=2)                      # [B, 2]
    free_steps = torch.amin(dist, dim=2)
    # Steps while the partner keeps the side on which it stands.
    steps = torch.amin(dist + FAR * partner_of(standing), dim=2)
    blocked = torch.clamp(steps - free_steps, 0.0, 2.0)

    able = (level >= food_level.unsqueeze(1) - 0.5).to(dist.dtype)
    solo = torch.amax(able, dim=1, keepdim=True) > 0.5          # [B, 1]

    # One agent is enough: share by arrival; an able one in place decides.
    logits = -0.6 * steps + 0.8 * in_place - 50.0 * (1.0 - able)
    share = F.softmax(logits, dim=1)

    # Does agent i lie on a shortest way of its partner to the partner's sides?
    gap = torch.abs(agent[:, 0, :] - agent[:, 1, :]).sum(dim=1, keepdim=True)
    partner_dist = partner_of(dist)
    partner_side = F.softmax(-3.0 * partner_dist, dim=2)
    extra = gap.unsqueeze(2) + dist - partner_dist              # 0: on the way
    on_way = (partner_side * torch.clamp(1.0 - 0.5 * extra, 0.0, 1.0)).sum(dim=2)
    near = torch.clamp((4.0 - gap) / 3.0, 0.0, 1.0)
    walking = partner_of(torch.clamp(free_steps / 2.0, 0.0, 1.0))
    in_way = 0.2 * on_way * near * walking + 0.15 * partner_of(blocked)
    w_solo = 0.5 + share + partner_of(share) * in_way

    # Both are needed: the later one sets the time of the reward. A lag counts
    # relative to the time left; an agent that waits in place still learns.
    planned, joint_time = joint_plan(dist)
    lag = (planned - partner_of(planned)) / (1.0 + 0.4 * joint_time)
    waiting = torch.amax(in_place, dim=1, keepdim=True)
    contrast = 0.8 - 0.2 * waiting
    # An agent that is in place, but whose moving on would save time.
    saved = in_place * torch.clamp(partner_of(steps) - joint_time, 0.0, 2.0)
    # Both in place: the one that did not LOAD while its partner did.
    ready = in_place * partner_of(in_place)
    loaded = (state["last_action"] > 4.5).to(dist.dtype)
    hesitant = ready * partner_of(loaded) * (1.0 - loaded)
    w_joint = 0.65 + contrast * torch.sigmoid(1.3 * lag) + 0.2 * saved + 0.15 * hesitant

    weights = torch.where(solo, w_solo, w_joint)
    weights = torch.where(present, weights, torch.ones_like(weights))

    # Bias: the reward of 1, discounted by the steps that are still missing;
    # a common LOAD of both agents takes a little longer to come about.
    solo_time = torch.amin(steps + 50.0 * (1.0 - able), dim=1, keepdim=True)
    time = torch.clamp(torch.where(solo, solo_time, joint_time + 0.5), 0.0, 12.0)
    bias = BIAS_SCALE * present.to(dist.dtype) * torch.exp(-DECAY * time)
    return weights, bias
