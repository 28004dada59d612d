import torch
import torch.nn.functional as F
import math

BASE = 0.35
FAR = 100.0
TOGGLE = 1.0
SEARCH = 3.0


def turns_needed(direction, delta):
    # quarter turns on a shortest way along delta, given the present direction
    s = torch.sign(delta)
    align = (direction * s).sum(-1)
    n = s.abs().sum(-1)
    single = ((n > 0.5) & (n < 1.5)).to(delta.dtype)
    double = (n > 1.5).to(delta.dtype)
    return single * (1.0 - align) + double * (1.5 - 0.5 * align)


def rack_flags(p):
    # cells where shelves stood at the start; from the outer columns a loaded
    # agent has to go around the block, except from row 8, where it leaves down
    r = p[..., 0]
    c = p[..., 1]
    rows = (r > 0.5) & (r < 8.5)
    left = (c > 0.5) & (c < 2.5)
    right = (c > 6.5) & (c < 8.5)
    rack = rows & (left | right)
    outer = rack & ((c < 1.5) | (c > 7.5)) & (r < 7.5)
    return rack.to(p.dtype), outer.to(p.dtype)


def same_cell(a, b):
    return ((a - b).abs().sum(-1) < 0.5).to(a.dtype)


def goal_distance(p, goal):
    return (goal.unsqueeze(1) - p.unsqueeze(2)).abs().sum(-1).amin(-1)


def credit(state):
    """An agent earns credit for what it can do for a delivery in this step:
    most when it carries a requested shelf close to a goal, or stands on or
    right beside a requested shelf that no teammate reaches sooner. A spent
    carrier earns it by the shortness of its route over a put-down cell to the
    next request; far carriers, far seekers and mere bystanders get little."""
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

    # carriers: steps to the nearest goal, turns and detour included
    to_goal = goal.unsqueeze(1) - pos.unsqueeze(2)                  # [B,N,G,2]
    steps = to_goal.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_goal)
    deliver_steps = steps.amin(-1) + 2.0 * in_outer                 # [B,N]
    near_goal = torch.exp(-deliver_steps / 7.0)
    front = pos + dirn
    faces_goal = same_cell(front.unsqueeze(2), goal.unsqueeze(1)).amax(-1)

    # requests that no agent carries yet
    at_request = same_cell(pos.unsqueeze(2), req.unsqueeze(1))      # [B,N,K]
    taken = (at_request * req_load.unsqueeze(2)).amax(1)            # [B,K]
    is_free = (1.0 - taken).unsqueeze(1)                            # [B,1,K]
    to_req = req.unsqueeze(1) - pos.unsqueeze(2)                    # [B,N,K,2]
    d = to_req.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_req)
    seen = (to_req.abs().amax(-1) < 1.5).to(pos.dtype)              # 3 x 3 view

    # a weak preference for requests with a short haul to a goal
    haul = goal_distance(req, goal) + 2.0 * rack_flags(req)[1]      # [B,K]
    haul_factor = torch.exp(-haul / 80.0).unsqueeze(1)

    # cost of reaching each request; spent carriers put their shelf down first
    put_down = dump * (TOGGLE + SEARCH * (1.0 - in_rack))           # [B,N]
    route = d + put_down.unsqueeze(2)                               # [B,N,K]
    avail = route + FAR * req_load.unsqueeze(2)
    rival = (avail.unsqueeze(1) + FAR * eye.unsqueeze(3)).amin(2)   # [B,N,K]
    win = torch.sigmoid((rival - route + 1.0) / 2.5)
    closeness = is_free * torch.exp(-route / 4.0) * haul_factor

    # who stands on a request cannot be overtaken there
    own = torch.maximum(win, at_request)
    pick = (closeness * own * (0.85 + 0.15 * seen)).amax(-1)        # [B,N]
    on_request = (is_free * at_request).amax(-1) * unloaded
    again = (closeness * (0.8 + 0.2 * win)).amax(-1)                # [B,N]

    # agents in the way of a carrier, if its move leads towards a goal
    ahead = same_cell(front.unsqueeze(2), pos.unsqueeze(1)) * other_agent
    towards = (goal_distance(front, goal)
               < goal_distance(pos, goal) - 0.5).to(pos.dtype)      # [B,N]
    stake = req_load * near_goal * towards * (0.2 + 0.3 * faces_goal)
    in_way = (ahead * stake.unsqueeze(2)).amax(1)                   # [B,N]
    blocked = ahead.amax(2)

    score_carry = (0.35 + 1.8 * near_goal
                   + 0.6 * faces_goal * (1.0 - 0.5 * blocked)
                   + 0.1 * in_rack)
    score_free = 0.05 + 1.7 * pick + 0.4 * on_request + 0.05 * in_rack
    score_dump = 0.1 + 1.6 * again + 0.15 * in_rack

    weights = (BASE + req_load * score_carry + unloaded * score_free
               + dump * score_dump + in_way)

    # delivery in progress, rising from seeking over picking up to hauling
    progress = torch.exp(-deliver_steps / 12.0)
    value = (req_load * (0.22 + 0.33 * progress)
             + unloaded * (0.05 + 0.2 * pick)
             + dump * (0.02 + 0.07 * again))
    bias = value.sum(1, keepdim=True)
    return weights, bias
