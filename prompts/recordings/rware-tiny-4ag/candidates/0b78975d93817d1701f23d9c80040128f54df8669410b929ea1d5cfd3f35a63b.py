import torch
import torch.nn.functional as F
import math

BASE = 0.5
FAR = 100.0


def turns_needed(direction, delta):
    # quarter turns on a shortest way along delta, given the present direction
    s = torch.sign(delta)
    align = (direction * s).sum(-1)
    n = s.abs().sum(-1)
    single = ((n > 0.5) & (n < 1.5)).to(delta.dtype)
    double = (n > 1.5).to(delta.dtype)
    return single * (1.0 - align) + double * (1.5 - 0.5 * align)


def rack_flags(p):
    # cells where shelves stood at the start; outer ones need a detour when loaded
    r = p[..., 0]
    c = p[..., 1]
    rows = (r > 0.5) & (r < 8.5)
    left = (c > 0.5) & (c < 2.5)
    right = (c > 6.5) & (c < 8.5)
    rack = rows & (left | right)
    outer = rack & ((c < 1.5) | (c > 7.5))
    return rack.to(p.dtype), outer.to(p.dtype)


def rack_distance(p):
    r = p[..., 0]
    c = p[..., 1]
    dl = torch.clamp(1.0 - c, min=0.0) + torch.clamp(c - 2.0, min=0.0)
    dr = torch.clamp(7.0 - c, min=0.0) + torch.clamp(c - 8.0, min=0.0)
    dv = torch.clamp(1.0 - r, min=0.0) + torch.clamp(r - 8.0, min=0.0)
    return torch.minimum(dl, dr) + dv


def same_cell(a, b):
    return ((a - b).abs().sum(-1) < 0.5).to(a.dtype)


def credit(state):
    """An agent earns credit for its opportunity to bring about a delivery soon:
    most when it carries a requested shelf close to a goal or stands on a
    requested shelf that it can pick up now, less when it is the nearest free
    agent to a request or can put a useless shelf down here. Agents in the way
    of a carrier share its stake; agents far from everything get little."""
    pos = state["agent_position"]
    dirn = state["agent_direction"]
    carrying = torch.clamp(state["carrying"], 0.0, 1.0)
    req_load = torch.clamp(state["carrying_requested"], 0.0, 1.0) * carrying
    req = state["request_position"]
    goal = state["goal_position"]
    n = pos.shape[1]
    eye = torch.eye(n, dtype=pos.dtype, device=pos.device).unsqueeze(0)
    other_agent = 1.0 - eye

    unloaded = 1.0 - carrying
    dump = carrying * (1.0 - req_load)
    in_rack, in_outer = rack_flags(pos)

    # carriers: steps to the nearest goal
    to_goal = goal.unsqueeze(1) - pos.unsqueeze(2)                  # [B,N,G,2]
    steps = to_goal.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_goal)
    deliver_steps = steps.amin(-1) + 2.0 * in_outer                 # [B,N]
    near_goal = torch.exp(-deliver_steps / 8.0)
    front = pos + dirn
    faces_goal = same_cell(front.unsqueeze(2), goal.unsqueeze(1)).amax(-1)

    # requests that no agent carries yet
    at_request = same_cell(pos.unsqueeze(2), req.unsqueeze(1))      # [B,N,K]
    taken = (at_request * req_load.unsqueeze(2)).amax(1)            # [B,K]
    is_free = (1.0 - taken).unsqueeze(1)                            # [B,1,K]
    to_req = req.unsqueeze(1) - pos.unsqueeze(2)                    # [B,N,K,2]
    d = to_req.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_req)

    # haul from the request to a goal
    haul = (goal.unsqueeze(1) - req.unsqueeze(2)).abs().sum(-1).amin(-1)
    haul = haul + 2.0 * rack_flags(req)[1]                          # [B,K]
    haul_factor = torch.exp(-haul / 30.0).unsqueeze(1)

    # competition: is another free agent nearer to the same request?
    avail = d + FAR * carrying.unsqueeze(2)
    rival = (avail.unsqueeze(1) + FAR * eye.unsqueeze(3)).amin(2)   # [B,N,K]
    win = torch.sigmoid((rival - d + 1.0) / 2.5)
    pick = (is_free * win * torch.exp(-d / 6.0) * haul_factor).amax(-1)
    on_request = (is_free * at_request).amax(-1) * unloaded
    near_any = (is_free * torch.exp(-d / 8.0)).amax(-1)

    # agents in the way of a carrier of a requested shelf
    ahead = same_cell(front.unsqueeze(2), pos.unsqueeze(1)) * other_agent
    contest = same_cell(front.unsqueeze(2), front.unsqueeze(1)) * other_agent
    stake = (req_load * near_goal).unsqueeze(2)                     # [B,N,1]
    in_way = (torch.maximum(ahead, 0.5 * contest) * stake).amax(1)  # [B,N]
    blocked = ahead.amax(2)

    score_carry = (0.7 + 1.2 * near_goal
                   + 0.8 * faces_goal * (1.0 - 0.5 * blocked)
                   + 0.3 * in_rack)
    score_free = (0.1 + 0.9 * pick + 1.2 * on_request
                  + 0.25 * in_rack * (1.0 - on_request))
    rack_near = torch.exp(-rack_distance(pos) / 4.0)
    score_dump = (0.1 + in_rack * (0.65 + 0.3 * near_any)
                  + 0.3 * rack_near * (1.0 - in_rack))

    weights = (BASE + req_load * score_carry + unloaded * score_free
               + dump * score_dump + 0.5 * in_way)

    # reward in progress, in units of deliveries
    value = (req_load * (0.3 + 0.4 * near_goal)
             + unloaded * (0.06 + 0.2 * pick)
             + dump * 0.05 * rack_near)
    bias = value.sum(1, keepdim=True)
    return weights, bias
