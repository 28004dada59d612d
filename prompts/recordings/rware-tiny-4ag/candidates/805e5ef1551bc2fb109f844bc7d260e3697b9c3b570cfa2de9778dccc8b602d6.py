import torch
import torch.nn.functional as F
import math

BASE = 0.45
FAR = 100.0
SEARCH = 3.0      # extra steps of a spent carrier that must find an empty place


def turns_needed(direction, delta):
    # quarter turns on a shortest way along delta, given the present direction
    s = torch.sign(delta)
    align = (direction * s).sum(-1)
    n = s.abs().sum(-1)
    single = ((n > 0.5) & (n < 1.5)).to(delta.dtype)
    double = (n > 1.5).to(delta.dtype)
    return single * (1.0 - align) + double * (1.5 - 0.5 * align)


def rack_flags(p):
    # cells where shelves stood at the start; from outer ones a loaded agent
    # needs a detour of two steps, except from row 8, which it leaves downwards
    r = p[..., 0]
    c = p[..., 1]
    rows = (r > 0.5) & (r < 8.5)
    cols = ((c > 0.5) & (c < 2.5)) | ((c > 6.5) & (c < 8.5))
    rack = rows & cols
    outer = rack & (r < 7.5) & ((c < 1.5) | (c > 7.5))
    return rack.to(p.dtype), outer.to(p.dtype)


def same_cell(a, b):
    return ((a - b).abs().sum(-1) < 0.5).to(a.dtype)


def credit(state):
    """Credit goes to agents whose present step decides a delivery: carriers of
    a requested shelf with few steps left to a goal, free agents on or beside a
    request that they can see in their 3 x 3 view, and spent carriers that stand
    in an empty shelf place with a request in reach. Agents that see no request,
    spent carriers far from any and carriers with a long way left get little."""
    pos = state["agent_position"]
    dirn = state["agent_direction"]
    carrying = torch.clamp(state["carrying"], 0.0, 1.0)
    loaded = torch.clamp(state["carrying_requested"], 0.0, 1.0) * carrying
    req = state["request_position"]
    goal = state["goal_position"]
    n = pos.shape[1]
    eye = torch.eye(n, dtype=pos.dtype, device=pos.device).unsqueeze(0)
    other = 1.0 - eye

    free = 1.0 - carrying
    spent = carrying * (1.0 - loaded)
    in_rack, in_outer = rack_flags(pos)
    front = pos + dirn

    # carriers of requested shelves: steps left to the nearest goal
    to_goal = goal.unsqueeze(1) - pos.unsqueeze(2)                  # [B,N,G,2]
    goal_dist = to_goal.abs().sum(-1)
    steps = goal_dist + turns_needed(dirn.unsqueeze(2), to_goal)
    left = steps.amin(-1) + 2.0 * in_outer                          # [B,N]
    near_goal = torch.exp(-left / 7.0)
    faces_goal = same_cell(front.unsqueeze(2), goal.unsqueeze(1)).amax(-1)

    # requests that no agent carries yet
    at_req = same_cell(pos.unsqueeze(2), req.unsqueeze(1))          # [B,N,K]
    taken = (at_req * loaded.unsqueeze(2)).amax(1)                  # [B,K]
    standing = (1.0 - taken).unsqueeze(1)                           # [B,1,K]
    to_req = req.unsqueeze(1) - pos.unsqueeze(2)                    # [B,N,K,2]
    d = to_req.abs().sum(-1) + turns_needed(dirn.unsqueeze(2), to_req)

    # in the 3 x 3 view of the agent
    cheb = to_req.abs().amax(-1)
    seen = standing * torch.clamp(2.0 - cheb, 0.0, 1.0)             # [B,N,K]

    # steps until the agent can pick the request up; a spent one puts down first
    extra = spent * (1.0 + SEARCH * (1.0 - in_rack)) + loaded * FAR
    arrive = d + extra.unsqueeze(2)                                 # [B,N,K]
    rival = (arrive.unsqueeze(1) + FAR * eye.unsqueeze(3)).amin(2)  # [B,N,K]
    win = torch.sigmoid((rival - arrive + 1.0) / 2.5)

    # from the request to a goal
    haul = (goal.unsqueeze(1) - req.unsqueeze(2)).abs().sum(-1).amin(-1)
    haul = haul + 2.0 * rack_flags(req)[1]
    short = torch.exp(-haul / 40.0).unsqueeze(1)                    # [B,1,K]

    free_win = 0.4 + 0.6 * win
    pick = (standing * free_win * short * torch.exp(-arrive / 4.0)).amax(-1)
    view = (seen * free_win).amax(-1)
    on_req = (standing * at_req).amax(-1)
    spent_win = 0.7 + 0.3 * win
    reach = (standing * spent_win * short * torch.exp(-arrive / 5.0)).amax(-1)

    # agents in the way of a carrier whose move ahead brings it nearer to a goal
    ahead = same_cell(front.unsqueeze(2), pos.unsqueeze(1)) * other
    contest = same_cell(front.unsqueeze(2), front.unsqueeze(1)) * other
    front_dist = (goal.unsqueeze(1) - front.unsqueeze(2)).abs().sum(-1).amin(-1)
    nearer = (front_dist < goal_dist.amin(-1) - 0.5).to(pos.dtype)
    stake = (loaded * near_goal * nearer).unsqueeze(2)
    in_way = (torch.maximum(ahead, 0.5 * contest) * stake).amax(1)
    blocked = ahead.amax(2)

    score_loaded = (0.3 + 2.0 * near_goal + 0.1 * in_rack
                    + 0.5 * faces_goal * (1.0 - 0.5 * blocked))
    score_free = (0.05 + 1.0 * pick + 0.7 * view + 0.3 * on_req
                  + 0.1 * in_rack * (1.0 - on_req))
    score_spent = (0.05 + 0.1 * in_rack + 0.8 * reach
                   + view * (0.2 + 0.4 * in_rack))

    weights = (BASE + loaded * score_loaded + free * score_free
               + spent * score_spent + 0.2 * in_way)

    # deliveries in progress: rises from seeking to picking up to hauling
    value = (loaded * (0.2 + 0.3 * torch.exp(-left / 12.0))
             + free * (0.04 + 0.14 * pick)
             + spent * (0.02 + 0.05 * reach))
    bias = value.sum(1, keepdim=True)
    return weights, bias
