import torch
import torch.nn.functional as F
import math

PICK_RATE = 0.25
GOAL_RATE = 0.09


def same_cell(a, b):
    # 1 where two positions are the same cell, broadcasting over leading axes
    return ((a - b).abs().sum(dim=-1) < 0.5).to(a.dtype)


def steps_to(pos, direction, target):
    # moves plus the turns that are at least needed, facing included
    disp = target - pos
    moves = disp.abs().sum(dim=-1)
    ahead = (disp * direction).sum(dim=-1)
    side = (disp[..., 0] * direction[..., 1] - disp[..., 1] * direction[..., 0]).abs()
    sideways = (side > 0.5).to(pos.dtype)
    behind = (ahead < -0.5).to(pos.dtype)
    turns = 2.0 * behind + (1.0 - behind) * sideways
    return moves + turns


def on_column(col, number):
    return ((col - number).abs() < 0.5).to(col.dtype)


def shelf_place(pos):
    # 1 in cells where shelves stood at the start: rows 1-8, columns 1, 2, 7, 8
    row = pos[..., 0]
    col = pos[..., 1]
    rows = ((row > 0.5) & (row < 8.5)).to(pos.dtype)
    cols = on_column(col, 1.0) + on_column(col, 2.0) + on_column(col, 7.0) + on_column(col, 8.0)
    return rows * cols


def detour(pos):
    # a laden agent leaves an outer shelf column through the outer aisle
    row = pos[..., 0]
    col = pos[..., 1]
    rows = ((row > 0.5) & (row < 7.5)).to(pos.dtype)
    return 2.0 * rows * (on_column(col, 1.0) + on_column(col, 8.0))


def place_distance(pos):
    # cells to the nearest shelf place
    row = pos[..., 0]
    col = pos[..., 1]
    d_row = torch.clamp(1.0 - row, min=0.0) + torch.clamp(row - 8.0, min=0.0)
    left = torch.clamp(1.0 - col, min=0.0) + torch.clamp(col - 2.0, min=0.0)
    right = torch.clamp(7.0 - col, min=0.0) + torch.clamp(col - 8.0, min=0.0)
    return d_row + torch.minimum(left, right)


def credit(state):
    """An agent earns credit for what it alone is able to do now: deliver the
    requested shelf it carries (more so close to a goal), or pick up an open
    request that no other free agent reaches as soon. An agent with a shelf that
    is not requested earns little until it can put it down, and anyone who stands
    in the way of a requested carrier shares the credit for that delivery."""
    pos = state["agent_position"]
    direction = state["agent_direction"]
    request = state["request_position"]
    goal = state["goal_position"]
    carrying = torch.clamp(state["carrying"], 0.0, 1.0)
    ready = torch.clamp(state["carrying_requested"], 0.0, 1.0) * carrying
    free = 1.0 - carrying
    useless = carrying * (1.0 - ready)

    # ability to deliver: steps of each agent to its nearest goal
    d_goal = steps_to(pos.unsqueeze(2), direction.unsqueeze(2), goal.unsqueeze(1))
    d_goal = d_goal.min(dim=2)[0] + detour(pos)
    close = torch.exp(-GOAL_RATE * d_goal)
    at_once = (d_goal < 1.5).to(pos.dtype)
    on_place = shelf_place(pos)

    # ability to fetch: agent i, open request k
    here = same_cell(pos.unsqueeze(2), request.unsqueeze(1))
    carried = (here * ready.unsqueeze(2)).max(dim=1)[0]
    open_request = 1.0 - carried
    d_pick = steps_to(pos.unsqueeze(2), direction.unsqueeze(2), request.unsqueeze(1))
    near = torch.exp(-PICK_RATE * d_pick) * open_request.unsqueeze(1)
    haul = (request.unsqueeze(2) - goal.unsqueeze(1)).abs().sum(dim=-1)
    haul = haul.min(dim=2)[0] + detour(request)
    worth = 0.7 + 0.3 * torch.exp(-0.06 * haul)
    fetch = near * free.unsqueeze(2)
    share = fetch / torch.clamp(fetch.sum(dim=1, keepdim=True), min=1e-4)
    needed = fetch * worth.unsqueeze(1) * (0.4 + 0.6 * share)
    fit = needed.max(dim=2)[0]
    near_any = near.max(dim=2)[0]

    # what only works together: i in the way of a requested carrier j
    ahead = pos + direction
    others = 1.0 - same_cell(pos.unsqueeze(2), pos.unsqueeze(1))
    blocks = same_cell(pos.unsqueeze(2), ahead.unsqueeze(1)) * others
    contests = same_cell(ahead.unsqueeze(2), ahead.unsqueeze(1)) * others
    stake = (ready * (0.3 + 0.7 * close)).unsqueeze(1)
    in_way = ((blocks + 0.5 * contests) * stake).max(dim=2)[0]
    on_goal = same_cell(pos.unsqueeze(2), goal.unsqueeze(1)).max(dim=2)[0]
    arriving = (others * (ready * close).unsqueeze(1)).max(dim=2)[0]
    together = 1.0 * in_way + 0.5 * on_goal * arriving
    stuck = blocks.max(dim=1)[0]

    # credit of each kind of agent
    deliver = 1.9 + 2.6 * close * (1.0 - 0.15 * stuck) + 0.7 * at_once * (1.0 - stuck) + 0.3 * on_place
    fetcher = 0.7 + 2.6 * fit + 0.15 * on_place
    slot_near = torch.exp(-0.3 * place_distance(pos))
    unload = 0.65 + 0.35 * slot_near + on_place * (0.5 + 0.5 * near_any)
    weights = ready * deliver + free * fetcher + useless * unload + together
    weights = torch.clamp(weights, 0.4, 6.0)

    # progress towards the next deliveries, in units of deliveries
    progress = ready * (0.35 + 0.4 * torch.exp(-0.06 * d_goal))
    progress = progress + free * (0.1 + 0.15 * fit) + useless * 0.08 * slot_near
    bias = progress.sum(dim=1, keepdim=True)
    return weights, bias
