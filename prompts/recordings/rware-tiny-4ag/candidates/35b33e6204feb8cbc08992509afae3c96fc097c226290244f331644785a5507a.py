import torch
import torch.nn.functional as F
import math

BASE = 0.35
FAR = 100.0
SEEK_SCALE = 4.0
GOAL_SCALE = 5.5
HAUL_SCALE = 40.0
SEARCH = 5.0


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


def rack_flag(p):
    # cells where shelves stood at the start
    r = p[..., 0]
    c = p[..., 1]
    cols = ((c > 0.5) & (c < 2.5)) | ((c > 6.5) & (c < 8.5))
    return ((r > 0.5) & (r < 8.5) & cols).to(p.dtype)


def detour(p):
    # extra steps of a loaded agent that leaves an outer rack column
    r = p[..., 0]
    c = p[..., 1]
    outer = ((c > 0.5) & (c < 1.5)) | ((c > 7.5) & (c < 8.5))
    return 2.0 * ((r > 0.5) & (r < 7.5) & outer).to(p.dtype)


def route_over(p, dirn, req, first, last):
    # steps of a spent carrier over the block of columns first to last to each
    # request: turn and go to the block, search a free place, toggle, go on
    r = torch.clamp(p[..., 0], 1.0, 8.0)
    c = torch.clamp(p[..., 1], first, last)
    cell = torch.stack([r, c], dim=-1)
    here = same_cell(p, cell).unsqueeze(2)
    dist = manhattan(p, cell)
    search = SEARCH * (1.0 - torch.exp(-dist))
    first_leg = dist + search + turns_needed(dirn, cell - p) + 1.0
    second_leg = manhattan(cell.unsqueeze(2), req.unsqueeze(1))
    turn_here = turns_needed(dirn.unsqueeze(2), req.unsqueeze(1) - p.unsqueeze(2))
    return first_leg.unsqueeze(2) + second_leg + here * turn_here


def credit(state):
    """A carrier of a requested shelf earns credit by being close to a goal, most
    when it faces one; a free agent by standing on or right in front of a standing
    request that no team mate reaches sooner; a carrier of a useless shelf by
    being able to put it down now, close to such a request. An agent that blocks
    a near carrier, or stands on its goal, gets a small share of its stake."""
    pos = state["agent_position"]
    dirn = state["agent_direction"]
    req = state["request_position"]
    goal = state["goal_position"]
    carrying = torch.clamp(state["carrying"], 0.0, 1.0)
    req_load = torch.clamp(state["carrying_requested"], 0.0, 1.0) * carrying
    spent = carrying * (1.0 - req_load)
    unloaded = 1.0 - carrying
    in_rack = rack_flag(pos)

    n = pos.shape[1]
    eye = torch.eye(n, dtype=pos.dtype, device=pos.device).unsqueeze(0)

    # carriers of requested shelves: steps to the nearest goal
    to_goal = goal.unsqueeze(1) - pos.unsqueeze(2)                  # [B,N,G,2]
    steps = to_goal.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_goal)
    steps = steps.amin(-1) + detour(pos)                            # [B,N]
    near_goal = torch.exp(-steps / GOAL_SCALE)

    # requests that still stand in the racks, and the haul that they need
    at_request = same_cell(pos.unsqueeze(2), req.unsqueeze(1))      # [B,N,K]
    taken = (at_request * req_load.unsqueeze(2)).amax(1)            # [B,K]
    haul = manhattan(goal.unsqueeze(1), req.unsqueeze(2)).amin(-1) + detour(req)
    worth = ((1.0 - taken) * torch.exp(-haul / HAUL_SCALE)).unsqueeze(1)

    # seek distance: direct for free agents, over a put-down cell for spent ones
    to_req = req.unsqueeze(1) - pos.unsqueeze(2)                    # [B,N,K,2]
    direct = to_req.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_req)
    route = torch.minimum(route_over(pos, dirn, req, 1.0, 2.0),
                          route_over(pos, dirn, req, 7.0, 8.0))
    seek = (unloaded.unsqueeze(2) * direct + spent.unsqueeze(2) * route
            + FAR * req_load.unsqueeze(2))                          # [B,N,K]

    # competition: does a team mate reach the same request sooner?
    rival = (seek.unsqueeze(1) + FAR * eye.unsqueeze(3)).amin(2)    # [B,N,K]
    win = 0.6 + 0.4 * torch.sigmoid((rival - seek + 1.0) / 2.5)
    win = torch.maximum(win, at_request * unloaded.unsqueeze(2))
    pick = (worth * win * torch.exp(-seek / SEEK_SCALE)).amax(-1)   # [B,N]
    standing = (1.0 - taken).unsqueeze(1)
    on_request = (standing * at_request).amax(-1) * unloaded

    # decisions of this very step: the front cell is a request or a goal
    front = pos + dirn
    ahead = same_cell(front.unsqueeze(2), pos.unsqueeze(1)) * (1.0 - eye)
    open_front = 1.0 - 0.5 * ahead.amax(2)
    faces_request = (standing * same_cell(front.unsqueeze(2), req.unsqueeze(1))).amax(-1)
    faces_request = faces_request * open_front * (1.0 - on_request)
    faces_goal = same_cell(front.unsqueeze(2), goal.unsqueeze(1)).amax(-1) * open_front

    # agents that stand where a carrier's next useful move would lead
    now = manhattan(pos.unsqueeze(2), goal.unsqueeze(1)).amin(-1)
    then = manhattan(front.unsqueeze(2), goal.unsqueeze(1)).amin(-1)
    useful = (then < now - 0.5).to(pos.dtype)
    in_way = (ahead * (req_load * useful * near_goal).unsqueeze(2)).amax(1)

    # agents that stand on a goal which a carrier within three steps may want
    on_goal = same_cell(pos.unsqueeze(2), goal.unsqueeze(1)).amax(-1)
    gap = manhattan(pos.unsqueeze(2), pos.unsqueeze(1))             # [B,N,N]
    close = torch.clamp((4.0 - gap) / 3.0, 0.0, 1.0) * (1.0 - eye)
    jam = (close * (req_load * near_goal).unsqueeze(1)).amax(2)
    jam = jam * on_goal * (1.0 - req_load)
    block = torch.maximum(in_way, jam)

    score_carry = 0.2 + 1.9 * near_goal + 0.1 * in_rack + 0.35 * faces_goal
    score_free = (1.7 * pick + 0.3 * on_request + 0.25 * faces_request
                  + 0.12 * in_rack * (1.0 - on_request))
    score_spent = 1.4 * pick + in_rack * (0.06 + 0.4 * pick)
    weights = (BASE + req_load * score_carry + unloaded * score_free
               + spent * score_spent + 0.25 * block)

    # reward in progress: rises from putting down over seeking to hauling
    value = (req_load * (0.2 + 0.3 * torch.exp(-steps / 10.0))
             + unloaded * (0.04 + 0.12 * pick)
             + spent * (0.015 + 0.09 * pick))
    bias = value.sum(1, keepdim=True)
    return weights, bias
