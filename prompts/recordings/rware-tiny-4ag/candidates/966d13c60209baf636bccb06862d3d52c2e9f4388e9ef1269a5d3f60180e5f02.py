import torch
import torch.nn.functional as F
import math

BASE = 0.32
FAR = 100.0
SEEK_SCALE = 4.0
GOAL_SCALE = 5.5
HAUL_SCALE = 40.0


def manhattan(a, b):
    return (a - b).abs().sum(-1)


def same_cell(a, b):
    return (manhattan(a, b) < 0.5).to(a.dtype)


def turns_needed(direction, delta):
    # quarter turns on a shortest way along delta, given the present direction
    s = torch.sign(delta)
    align = (direction * s).sum(-1)
    n = s.abs().sum(-1)
    single = ((n > 0.5) & (n < 1.5)).to(delta.dtype)
    double = (n > 1.5).to(delta.dtype)
    return single * (1.0 - align) + double * (1.5 - 0.5 * align)


def detour(p):
    # extra steps of a loaded agent that leaves an outer rack column
    r = p[..., 0]
    c = p[..., 1]
    outer = ((c > 0.5) & (c < 1.5)) | ((c > 7.5) & (c < 8.5))
    return 2.0 * ((r > 0.5) & (r < 7.5) & outer).to(p.dtype)


def put_down_cell(p, first, last):
    # nearest cell of the rack block of columns first to last
    r = torch.clamp(p[..., 0], 1.0, 8.0)
    c = torch.clamp(p[..., 1], first, last)
    return torch.stack([r, c], dim=-1)


def route_over(p, direction, cell, req):
    # steps over a put-down cell to each request: [B,N,K]. Most places are
    # full, so an agent outside the rack has to search for an empty one.
    away = manhattan(p, cell)
    outside = (away > 0.5).to(p.dtype)
    search = outside * (2.0 + 3.0 * (1.0 - torch.exp(-away / 3.0)))
    there = away + turns_needed(direction, cell - p) + search + 1.0
    return there.unsqueeze(2) + manhattan(cell.unsqueeze(2), req.unsqueeze(1))


def credit(state):
    """A carrier of a requested shelf earns credit by being close to a goal; a
    free agent by standing on or right before a standing request that no team
    mate reaches sooner; a carrier of a useless shelf by being able to put it
    down soon near such a request. An agent that blocks a carrier's way or a
    goal gets a small share of that carrier's stake."""
    pos = state["agent_position"]
    dirn = state["agent_direction"]
    req = state["request_position"]
    goal = state["goal_position"]
    carrying = torch.clamp(state["carrying"], 0.0, 1.0)
    req_load = torch.clamp(state["carrying_requested"], 0.0, 1.0) * carrying
    spent = carrying * (1.0 - req_load)
    unloaded = 1.0 - carrying

    n = pos.shape[1]
    eye = torch.eye(n, dtype=pos.dtype, device=pos.device).unsqueeze(0)
    left = put_down_cell(pos, 1.0, 2.0)
    right = put_down_cell(pos, 7.0, 8.0)
    in_rack = torch.maximum(same_cell(pos, left), same_cell(pos, right))

    # the cell in front, and who stands there
    front = pos + dirn
    ahead = same_cell(front.unsqueeze(2), pos.unsqueeze(1)) * (1.0 - eye)
    open_front = 1.0 - 0.5 * ahead.amax(2)                          # [B,N]

    # carriers of requested shelves: steps to the nearest goal
    to_goal = goal.unsqueeze(1) - pos.unsqueeze(2)                  # [B,N,G,2]
    steps = to_goal.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_goal)
    steps = steps.amin(-1) + detour(pos)                            # [B,N]
    near_goal = torch.exp(-steps / GOAL_SCALE)
    enters_goal = same_cell(front.unsqueeze(2), goal.unsqueeze(1)).amax(-1)

    # requests that still stand in the racks, and the haul that they need
    at_request = same_cell(pos.unsqueeze(2), req.unsqueeze(1))      # [B,N,K]
    taken = (at_request * req_load.unsqueeze(2)).amax(1)            # [B,K]
    standing = (1.0 - taken).unsqueeze(1)                           # [B,1,K]
    haul = manhattan(goal.unsqueeze(1), req.unsqueeze(2)).amin(-1) + detour(req)
    worth = standing * torch.exp(-haul / HAUL_SCALE).unsqueeze(1)

    # seek distance: direct for free agents, over a put-down cell for spent ones
    to_req = req.unsqueeze(1) - pos.unsqueeze(2)                    # [B,N,K,2]
    turns = turns_needed(dirn.unsqueeze(2), to_req)
    direct = to_req.abs().sum(-1) + turns
    route = torch.minimum(route_over(pos, dirn, left, req),
                          route_over(pos, dirn, right, req))
    route = route + in_rack.unsqueeze(2) * turns
    seek = (unloaded.unsqueeze(2) * direct + spent.unsqueeze(2) * route
            + FAR * req_load.unsqueeze(2))                          # [B,N,K]

    # competition: does a team mate reach the same request sooner?
    rival = (seek.unsqueeze(1) + FAR * eye.unsqueeze(3)).amin(2)    # [B,N,K]
    win = 0.6 + 0.4 * torch.sigmoid((rival - seek + 1.0) / 2.5)
    win = torch.maximum(win, at_request * unloaded.unsqueeze(2))
    pick = (worth * win * torch.exp(-seek / SEEK_SCALE)).amax(-1)   # [B,N]
    on_request = (standing * at_request).amax(-1) * unloaded
    enters_request = (standing * same_cell(front.unsqueeze(2), req.unsqueeze(1))).amax(-1)
    enters_request = enters_request * (1.0 - on_request)

    # agents in a carrier's way: right before it, or on a goal that it nears
    now = manhattan(pos.unsqueeze(2), goal.unsqueeze(1)).amin(-1)
    then = manhattan(front.unsqueeze(2), goal.unsqueeze(1)).amin(-1)
    useful = (then < now - 0.5).to(pos.dtype)
    on_goal = same_cell(pos.unsqueeze(2), goal.unsqueeze(1)).amax(-1)
    gap = manhattan(pos.unsqueeze(2), pos.unsqueeze(1))             # [B,N,N]
    close = torch.sigmoid(2.0 * (2.5 - gap)) * (1.0 - eye)
    blocks = torch.maximum(ahead * useful.unsqueeze(2), close * on_goal.unsqueeze(1))
    in_way = (blocks * (req_load * near_goal).unsqueeze(2)).amax(1)

    score_carry = 0.2 + 1.9 * near_goal + 0.3 * enters_goal * open_front
    score_free = (1.7 * pick + 0.35 * on_request + 0.3 * enters_request * open_front
                  + 0.12 * in_rack * (1.0 - on_request))
    score_spent = 1.4 * pick + in_rack * (0.05 + 0.5 * pick)
    weights = (BASE + req_load * score_carry + unloaded * score_free
               + spent * score_spent + 0.22 * in_way)

    # reward in progress: rises from putting down over seeking to hauling
    value = (req_load * (0.2 + 0.3 * torch.exp(-steps / 10.0))
             + unloaded * (0.04 + 0.12 * pick)
             + spent * (0.01 + 0.08 * pick))
    bias = value.sum(1, keepdim=True)
    return weights, bias
