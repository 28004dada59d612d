import torch
import torch.nn.functional as F
import math

TAU_HAUL = 6.0
TAU_SEEK = 5.0
FAR = 60.0
BIAS_SCALE = 0.6


def steps_to(pos, direction, target):
    # pos, direction [B,N,2], target [B,M,2] -> moves and turns, each [B,N,M]
    delta = target.unsqueeze(1) - pos.unsqueeze(2)
    dist = delta.abs().sum(-1)
    along = (delta * direction.unsqueeze(2)).sum(-1)
    behind = (along < -0.5).to(pos.dtype)
    lateral = ((dist - along.abs()) > 0.5).to(pos.dtype)
    turns = 2.0 * behind + (1.0 - behind) * lateral
    return dist, turns


def in_storage(pos):
    # storage cells: rows 1 to 8 of columns 1, 2, 7 and 8
    row = pos[..., 0]
    col = pos[..., 1]
    rows = (row > 0.5) & (row < 8.5)
    left = (col > 0.5) & (col < 2.5)
    right = (col > 6.5) & (col < 8.5)
    return (rows & (left | right)).to(pos.dtype)


def detour(pos):
    # a loaded robot in an outer storage column has to leave away from the goals
    col = pos[..., 1]
    outer = ((col - 1.0).abs() < 0.5) | ((col - 8.0).abs() < 0.5)
    return 2.0 * in_storage(pos) * outer.to(pos.dtype)


def credit(state):
    """Credit follows each robot's phase in the cycle seek, pick up, haul, deliver, put down.
    It peaks where this very step decides: entering the goal with a requested shelf, TOGGLE on a
    standing requested shelf, or TOGGLE with a spent shelf in a free storage cell; hauling close to
    a goal, leading the race to a request and blocking a hauler earn more than roaming far away.
    Last actions refine this: lining up raises credit, idling or aimless turning lowers it."""
    pos = state["agent_position"]
    direction = state["agent_direction"]
    carrying = state["carrying"]
    request = state["request_position"]
    goal = state["goal_position"]
    last = state["last_action"]
    dt = pos.dtype

    # phases of the agents
    haul = carrying * state["carrying_requested"]
    spent = carrying * (1.0 - state["carrying_requested"])
    empty = 1.0 - carrying
    slot = in_storage(pos)
    ahead = pos + direction

    # hauling: steps to the nearer goal
    goal_dist, goal_turns = steps_to(pos, direction, goal)
    goal_steps = (goal_dist + goal_turns).amin(-1) + detour(pos)
    haul_near = torch.exp(-goal_steps / TAU_HAUL)
    deliver_now = haul * (goal_steps < 1.5).to(dt)
    goal_here = goal_dist.amin(-1) + detour(pos)
    goal_dist_ahead, unused_turns = steps_to(ahead, direction, goal)
    goal_ahead = goal_dist_ahead.amin(-1) + detour(ahead)
    haul_ready = (goal_ahead < goal_here - 0.5).to(dt)

    # what is left to fetch: requests that no agent carries
    req_dist, req_turns = steps_to(pos, direction, request)
    same_cell = (req_dist < 0.5).to(dt)
    carried = (same_cell * haul.unsqueeze(2)).amax(1)
    standing = 1.0 - carried
    req_steps = req_dist + req_turns
    open_steps = req_steps + FAR * (1.0 - empty).unsqueeze(2) + FAR * carried.unsqueeze(1)
    first = open_steps.amin(1, keepdim=True)
    lead = torch.exp(-(open_steps - first) / 4.0)
    available = empty.unsqueeze(2) * standing.unsqueeze(1)
    seek_near = (available * lead * torch.exp(-req_steps / TAU_SEEK)).amax(-1)
    seek_wide = (available * lead * torch.exp(-req_steps / 10.0)).amax(-1)
    on_request = (available * same_cell).amax(-1)
    req_here = (req_dist + FAR * carried.unsqueeze(1)).amin(-1)
    req_dist_ahead, unused_turns2 = steps_to(ahead, direction, request)
    req_ahead = (req_dist_ahead + FAR * carried.unsqueeze(1)).amin(-1)
    seek_ready = (req_ahead < req_here - 0.5).to(dt)

    # last actions
    toggled = ((last - 4.0).abs() < 0.5).to(dt)
    turned = ((last > 1.5) & (last < 3.5)).to(dt)
    idle = (last.abs() < 0.5).to(dt)

    # own influence in each phase
    haul_score = 1.6 + 2.4 * haul_near + 1.0 * deliver_now + 0.3 * slot + 0.3 * slot * toggled
    seek_score = 0.8 + 1.7 * seek_near + 1.6 * on_request + 0.3 * slot * (1.0 - on_request)
    enter_slot = in_storage(ahead) * (1.0 - slot)
    spent_score = 0.85 + 1.5 * slot + 0.3 * enter_slot
    score = haul * haul_score + empty * seek_score + spent * spent_score

    # last actions: lined up, dithering or idle
    critical = torch.maximum(torch.maximum(deliver_now, on_request), spent * slot)
    ready = haul * haul_ready + empty * seek_ready + spent * enter_slot
    calm = 1.0 - critical
    factor = 1.0 + turned * calm * (0.12 * ready - 0.10 * (1.0 - ready)) - 0.12 * idle * calm
    score = score * factor

    # interaction: index 1 is the other agent k, index 2 is agent i
    gap = (pos.unsqueeze(2) - pos.unsqueeze(1)).abs().sum(-1)
    other = (gap > 0.5).to(dt)
    hit = ((ahead.unsqueeze(2) - pos.unsqueeze(1)).abs().sum(-1) < 0.5).to(dt) * other
    contest = ((ahead.unsqueeze(2) - ahead.unsqueeze(1)).abs().sum(-1) < 0.5).to(dt) * other
    urgency = haul * haul_ready * (0.35 + 0.65 * torch.exp(-goal_steps / 8.0))
    blocks = (hit * urgency.unsqueeze(2)).amax(1)
    contests = (contest * urgency.unsqueeze(2)).amax(1)
    on_goal = (goal_dist.amin(-1) < 0.5).to(dt)
    waiting = (other * (haul * torch.exp(-goal_steps / 3.0)).unsqueeze(2)).amax(1)
    blocked = hit.amax(2)
    score = score * (1.0 - 0.2 * blocked * ready)
    score = score + 1.3 * blocks + 0.5 * contests + 0.5 * on_goal * waiting
    weights = torch.clamp(score, min=0.6, max=5.0)

    # potential: progress of every agent through its cycle
    haul_value = 0.45 + 0.45 * torch.exp(-goal_steps / 12.0)
    seek_value = 0.10 + 0.25 * seek_wide
    spent_value = 0.05 * slot
    value = haul * haul_value + empty * seek_value + spent * spent_value
    bias = BIAS_SCALE * value.sum(-1, keepdim=True)
    return weights, bias
