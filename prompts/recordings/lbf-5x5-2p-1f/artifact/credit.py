import torch
import torch.nn.functional as F
import math

LAST = 4.0          # last row and column
DETOUR = 2.0        # extra steps to get round the food to its far side
TAKEN = 1.5         # extra steps for a side on which the partner stands
SAME_SIDE = 6.0     # penalty for sending both agents to one side
UNABLE = 50.0       # more than any time on the board
SHARPNESS = 2.0     # of the soft minimum over the able agents
POLICY = 3.0        # how well the partner is taken to act
EVEN = 0.25         # pulls the shares together where little can be changed
FLOOR = 0.35
DECAY = -math.log(0.95)
BIAS_SCALE = 0.5


def side_distances(rel):
    # rel: [..., 2], agent minus food. Steps to the cells north, south,
    # west and east of the food, [..., 4].
    x = rel[..., 0]
    y = rel[..., 1]
    in_col = torch.abs(y) < 0.5
    in_row = torch.abs(x) < 0.5
    north = torch.abs(x + 1.0) + torch.abs(y) + DETOUR * ((x > 0.5) & in_col).to(x.dtype)
    south = torch.abs(x - 1.0) + torch.abs(y) + DETOUR * ((x < -0.5) & in_col).to(x.dtype)
    west = torch.abs(x) + torch.abs(y + 1.0) + DETOUR * ((y > 0.5) & in_row).to(x.dtype)
    east = torch.abs(x) + torch.abs(y - 1.0) + DETOUR * ((y < -0.5) & in_row).to(x.dtype)
    return torch.stack([north, south, west, east], dim=-1)


def missing_steps(pos0, pos1, food, able, solo):
    # pos0, pos1: [B, m, n, 2]. Moves still needed before the deciding LOAD,
    # [B, m, n].
    centre = food.unsqueeze(1).unsqueeze(1)
    d0 = side_distances(pos0 - centre)
    d1 = side_distances(pos1 - centre)
    on0 = (d0 < 0.5).to(d0.dtype)
    on1 = (d1 < 0.5).to(d1.dtype)

    # One agent is enough: the able agent that arrives first.
    unable = UNABLE * (1.0 - able)
    t0 = torch.amin(d0 + TAKEN * on1, dim=-1) + unable[:, 0].unsqueeze(1).unsqueeze(1)
    t1 = torch.amin(d1 + TAKEN * on0, dim=-1) + unable[:, 1].unsqueeze(1).unsqueeze(1)
    both = torch.stack([t0, t1], dim=-1)
    alone = -torch.logsumexp(-SHARPNESS * both, dim=-1) / SHARPNESS

    # Both are needed: the best pair of different sides, set by the later one.
    a = d0.unsqueeze(-1)
    b = d1.unsqueeze(-2)
    same = torch.eye(4, dtype=d0.dtype, device=d0.device)
    cost = torch.maximum(a, b) + 0.15 * torch.minimum(a, b) + SAME_SIDE * same
    together = torch.amin(cost.flatten(-2), dim=-1)
    return torch.where(solo.unsqueeze(1).unsqueeze(1), alone, together)


def credit(state):
    """An agent earns credit for the steps that its best next action saves over
    its average action, while its partner acts well. This is large for the agent
    that sets the time of the meal, that can LOAD now, or that has to make room;
    it is small for one that is too weak or has time to spare."""
    agent = state["agent_position"]
    level = state["agent_level"]
    food = state["food_position"][:, 0, :]
    food_level = state["food_level"][:, 0]

    present = (food_level > 0.5) & (food[:, 0] > -0.5) & (food[:, 1] > -0.5)
    present_f = present.to(agent.dtype)
    # A food that is gone has no position: use the centre, masked out below.
    food = torch.where(present.unsqueeze(1), food, torch.full_like(food, 2.0))

    able = (level >= food_level.unsqueeze(1) - 0.5).to(agent.dtype)   # [B, 2]
    solo = torch.amax(able, dim=1) > 0.5                              # [B]

    # Cells that the six actions aim at, [B, 2, 6, 2].
    row = agent[..., 0]
    col = agent[..., 1]
    rows = torch.stack([row, row - 1.0, row + 1.0, row, row, row], dim=-1)
    cols = torch.stack([col, col, col, col - 1.0, col + 1.0, col], dim=-1)
    target = torch.clamp(torch.stack([rows, cols], dim=-1), 0.0, LAST)
    to_food = torch.abs(target - food.unsqueeze(1).unsqueeze(1)).sum(dim=-1, keepdim=True)
    target = torch.where(to_food < 0.5, agent.unsqueeze(2), target)

    # Cells after every joint action; agents that clash stay, [B, 6, 6, 2].
    aim0 = target[:, 0].unsqueeze(2)
    aim1 = target[:, 1].unsqueeze(1)
    clash = torch.abs(aim0 - aim1).sum(dim=-1, keepdim=True) < 0.5
    here0 = agent[:, 0, :].unsqueeze(1).unsqueeze(1)
    here1 = agent[:, 1, :].unsqueeze(1).unsqueeze(1)
    pos0 = torch.where(clash, here0, aim0)
    pos1 = torch.where(clash, here1, aim1)
    time = missing_steps(pos0, pos1, food, able, solo)                # [B, 6, 6]

    # Joint actions that eat the food at once.
    reach = torch.abs(agent - food.unsqueeze(1)).sum(dim=-1)
    beside = ((reach > 0.5) & (reach < 1.5)).to(agent.dtype)
    force = beside * level                                            # [B, 2]
    none = torch.zeros_like(force)
    loads = torch.stack([none, none, none, none, none, force], dim=-1)
    total = loads[:, 0].unsqueeze(2) + loads[:, 1].unsqueeze(1)
    eaten = total >= torch.clamp(food_level, min=1.0).unsqueeze(1).unsqueeze(1) - 0.5
    time = torch.where(eaten, torch.full_like(time, -1.0), time)

    # Each agent's cost per action against a partner that acts well.
    policy0 = F.softmax(-POLICY * torch.amin(time, dim=2), dim=1)
    policy1 = F.softmax(-POLICY * torch.amin(time, dim=1), dim=1)
    cost0 = (time * policy1.unsqueeze(1)).sum(dim=2)
    cost1 = (time * policy0.unsqueeze(2)).sum(dim=1)
    cost = torch.stack([cost0, cost1], dim=1)                         # [B, 2, 6]
    saved = torch.clamp(cost.mean(dim=2) - torch.amin(cost, dim=2), 0.0, 3.0)

    share = (saved + EVEN) / (saved.sum(dim=1, keepdim=True) + 2.0 * EVEN)
    weights = FLOOR + 2.0 * (1.0 - FLOOR) * share
    weights = torch.where(present.unsqueeze(1), weights, torch.ones_like(weights))

    # Bias: the reward of 1, discounted by the moves that are still missing;
    # a common LOAD of both agents takes a little longer to come about.
    now = missing_steps(here0, here1, food, able, solo)[:, 0, 0]
    now = now + torch.where(solo, torch.zeros_like(now), torch.full_like(now, 0.5))
    now = torch.clamp(now, 0.0, 12.0)
    bias = BIAS_SCALE * present_f * torch.exp(-DECAY * now)
    return weights, bias.unsqueeze(1)
