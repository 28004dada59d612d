import torch
import torch.nn.functional as F
import math

BASE = 0.33
FAR = 100.0
SEEK_SCALE = 4.0
GOAL_SCALE = 6.0
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
    # spent agent outside the racks: turn and go to the block of columns first
    # to last, search for an empty cell there, then go to the request: [B,N,K]
    r = torch.clamp(p[..., 0], 1.0, 8.0)
    c = torch.clamp(p[..., 1], first, last)
    cell = torch.stack([r, c], dim=-1)
    d = manhattan(p, cell)
    search = 1.5 + 1.5 * torch.clamp(d, max=3.0)
    there = d + search + turns_needed(dirn, cell - p)
    return there.unsqueeze(2) + manhattan(cell.unsqueeze(2), req.unsqueeze(1))


def credit(state):
    """A carrier of a requested shelf earns credit by being close to a goal,
    most when its next move can deliver; a free agent by standing on or right
    before a standing request. A carrier of a useless shelf earns it where it
    can put the shelf down now (inside a rack) with a request near, and little
    in the aisles; who stands in a carrier's way or on its goal gets a share."""
    pos = state["agent_position"]
    dirn = state["agent_direction"]
    req = state["request_position"]
    goal = state["goal_position"]
    carrying = torch.clamp(state["carrying"], 0.0, 1.0)
    req_load = torch.clamp(state["carrying_requested"], 0.0, 1.0) * carrying
    spent = carrying * (1.0 - req_load)
    unloaded = 1.0 - carrying
    in_rack = rack_flag(pos)
    front = pos + dirn

    n = pos.shape[1]
    eye = torch.eye(n, dtype=pos.dtype, device=pos.device).unsqueeze(0)

    # who stands in front of whom, and who stands on which goal
    ahead = same_cell(front.unsqueeze(2), pos.unsqueeze(1)) * (1.0 - eye)
    front_taken = ahead.amax(2)                                     # [B,N]
    on_goal = same_cell(pos.unsqueeze(2), goal.unsqueeze(1))        # [B,N,G]
    other_on_goal = (on_goal.unsqueeze(1) * (1.0 - eye).unsqueeze(3)).amax(2)

    # carriers of requested shelves: steps to the nearest goal
    to_goal = goal.unsqueeze(1) - pos.unsqueeze(2)                  # [B,N,G,2]
    reach = to_goal.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_goal)
    steps = (reach + 1.5 * other_on_goal).amin(-1) + detour(pos)    # [B,N]
    near_goal = torch.exp(-steps / GOAL_SCALE)
    front_goal = same_cell(front.unsqueeze(2), goal.unsqueeze(1)).amax(-1)
    deliver_now = front_goal * (1.0 - 0.5 * front_taken)

    # requests that still stand in the racks, and the haul that they need
    at_request = same_cell(pos.unsqueeze(2), req.unsqueeze(1))      # [B,N,K]
    taken = (at_request * req_load.unsqueeze(2)).amax(1)            # [B,K]
    standing = (1.0 - taken).unsqueeze(1)
    haul = manhattan(goal.unsqueeze(1), req.unsqueeze(2)).amin(-1) + detour(req)
    worth = standing * torch.exp(-haul / HAUL_SCALE).unsqueeze(1)   # [B,1,K]

    # seek distance: direct for free agents; spent ones put down first
    to_req = req.unsqueeze(1) - pos.unsqueeze(2)                    # [B,N,K,2]
    direct = to_req.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_req)
    outside = torch.minimum(route_over(pos, dirn, req, 1.0, 2.0),
                            route_over(pos, dirn, req, 7.0, 8.0))
    inside = in_rack.unsqueeze(2)
    route = inside * (direct + 1.0) + (1.0 - inside) * outside
    seek = (unloaded.unsqueeze(2) * direct + spent.unsqueeze(2) * route
            + FAR * req_load.unsqueeze(2))                          # [B,N,K]

    # competition: does a team mate reach the same request sooner?
    rival = (seek.unsqueeze(1) + FAR * eye.unsqueeze(3)).amin(2)    # [B,N,K]
    win = 0.6 + 0.4 * torch.sigmoid((rival - seek + 1.0) / 2.5)
    win = torch.maximum(win, at_request * unloaded.unsqueeze(2))
    gain = worth * win * torch.exp(-seek / SEEK_SCALE)              # [B,N,K]
    best = gain.amax(-1)
    pick = best + 0.12 * (gain.sum(-1) - best)                      # [B,N]
    on_request = (standing * at_request).amax(-1) * unloaded
    front_req = (standing * same_cell(front.unsqueeze(2), req.unsqueeze(1))).amax(-1)
    step_on = front_req * (1.0 - 0.5 * front_taken) * (1.0 - on_request)

    # agents that stand where a carrier's next useful move would lead
    now = manhattan(pos.unsqueeze(2), goal.unsqueeze(1)).amin(-1)
    then = manhattan(front.unsqueeze(2), goal.unsqueeze(1)).amin(-1)
    useful = (then < now - 0.5).to(pos.dtype)
    in_way = (ahead * (req_load * useful * near_goal).unsqueeze(2)).amax(1)

    # agents that stand on a goal while a carrier is within a few steps of it
    press = torch.clamp(1.0 - (reach - 1.0) / 3.0, 0.0, 1.0) * req_load.unsqueeze(2)
    press = (press.unsqueeze(1) * (1.0 - eye).unsqueeze(3)).amax(2)  # [B,N,G]
    jam = (on_goal * press).amax(-1) * (1.0 - req_load)
    block = torch.maximum(in_way, 0.8 * jam)

    score_carry = 0.2 + 1.9 * near_goal + 0.3 * deliver_now + 0.08 * in_rack
    score_free = (1.7 * pick + 0.3 * on_request + 0.25 * step_on
                  + in_rack * (1.0 - on_request) * (0.06 + 0.2 * pick))
    score_spent = 1.5 * pick + in_rack * (0.08 + 0.35 * pick)
    weights = (BASE + req_load * score_carry + unloaded * score_free
               + spent * score_spent + 0.22 * block)

    # reward in progress: rises from putting down over seeking to hauling
    value = (req_load * (0.2 + 0.3 * torch.exp(-steps / 10.0))
             + unloaded * (0.05 + 0.12 * pick)
             + spent * (0.02 + 0.08 * pick))
    bias = value.sum(1, keepdim=True)
    return weights, bias
