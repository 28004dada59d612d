import torch
import torch.nn.functional as F
import math

STEPS = 13
HORIZONS = (4, 8, 13)
DT = 0.1
KEEP = 0.75
DISCOUNT = 0.97
TOUCH = 0.125
STAKE = 0.02


def length(x):
    return torch.sqrt((x * x).sum(-1) + 1e-5)


def cap_speed(v, top):
    # top [4, 1]: the speed limit of each body
    speed = torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6)
    return v * (top / torch.maximum(speed, top))


def push(x, everything, reach):
    # velocity change of the discs x [..., 4, 2] from all overlapping discs [..., 6, 2]
    diff = x.unsqueeze(-2) - everything.unsqueeze(-3)
    d = torch.sqrt((diff * diff).sum(-1) + 1e-4)
    strength = 10.0 * F.relu(reach - d) / d
    return (diff * strength.unsqueeze(-1)).sum(-2)


def prey_action(p, u, preds, dirs, reached):
    # the prey's fixed rule: best of five imagined places after three steps
    place = p + 0.23125 * u + reached
    gap = length(place.unsqueeze(-2) - preds.unsqueeze(-3))
    nearest = torch.amin(gap, dim=-1)
    x = torch.abs(place)
    beyond = torch.exp(2.0 * torch.clamp(x, max=3.0) - 2.0)
    edge = torch.where(x < 1.0, 10.0 * F.relu(x - 0.9), beyond)
    score = nearest - edge.sum(-1)
    best = torch.amax(score, dim=-1, keepdim=True)
    win = torch.where(score >= best, torch.ones_like(score), torch.zeros_like(score))
    win = win / torch.clamp(win.sum(-1, keepdim=True), min=1.0)
    return 0.4 * (win.unsqueeze(-1) * dirs).sum(-2, keepdim=True)


def chase_action(p, u, preds, vel, lead, brake, thrust):
    # push along the axis on which the led prey, kept inside the border, is farther
    goal = torch.clamp(p + lead * u, min=-1.0, max=1.0)
    e = goal - preds - brake * vel
    size = torch.abs(e)
    big = torch.amax(size, dim=-1, keepdim=True)
    axis = torch.where(size >= big, torch.ones_like(size), torch.zeros_like(size))
    return thrust * axis * e / (size + 0.02)


def contact(d):
    # soft count of touches, plus a faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / 0.018) + 0.08 * torch.exp(-d / 0.25)


def credit(state):
    """An agent earns credit for its expected share of the variance of the coming
    contacts when its action of this step is varied, over imagined futures with the
    known physics, the prey's flight rule, several chasing styles and horizons.
    Only while no contact is in reach does closeness to the prey's coming place count."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    offset = state["prey_offset"]
    prey = (pos + offset).mean(1, keepdim=True)
    prey_vel = state["prey_velocity"].mean(1, keepdim=True)
    rocks = (pos.unsqueeze(2) + state["obstacle_offset"]).mean(1)

    z = pos.new_zeros(1)
    o = z + 1.0
    dirs = torch.stack([torch.cat([z, -o, o, z, z]),
                        torch.cat([z, z, z, -o, o])], dim=-1)
    reached = 0.11 * dirs
    sel = torch.stack([torch.cat([o, z, z]),
                       torch.cat([z, o, z]),
                       torch.cat([z, z, o])], dim=0)
    sel = sel.unsqueeze(1).unsqueeze(-1)                    # [3, 1, 3, 1]
    # distances at which two bodies overlap: rows agents and prey, columns also rocks
    q = z + 0.15
    s = z + 0.125
    k = z + 0.275
    m = z + 0.25
    reach = torch.stack([torch.cat([z, q, q, s, k, k]),
                         torch.cat([q, z, q, s, k, k]),
                         torch.cat([q, q, z, s, k, k]),
                         torch.cat([s, s, s, z, m, m])], dim=0)
    top = torch.cat([o, o, o, z + 1.3]).unsqueeze(-1)       # [4, 1]
    # four styles of chasing: direct, moderate lead, far lead, half-hearted
    lead = torch.cat([z, z + 0.15, z + 0.35, z + 0.2]).reshape(4, 1, 1, 1, 1)
    brake = torch.cat([z + 0.1, z + 0.2, z + 0.25, z + 0.3]).reshape(4, 1, 1, 1, 1)
    thrust = 0.3 * torch.cat([o, o, o, z + 0.5]).reshape(4, 1, 1, 1, 1)

    # dimensions: batch, style of chasing, varied agent, its action, body, xy
    blank = pos.new_zeros(4, 3, 5, 1, 1)
    x = torch.cat([pos, prey], dim=1).unsqueeze(1).unsqueeze(1).unsqueeze(1) + blank
    w = torch.cat([vel, prey_vel], dim=1).unsqueeze(1).unsqueeze(1).unsqueeze(1) + blank
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1) + blank
    a = x[..., :3, :]
    p = x[..., 3:, :]

    total = 0.0
    share = 0.0
    scale = 1.0
    for t in range(STEPS):
        v = w[..., :3, :]
        u = w[..., 3:, :]
        act = chase_action(p, u, a, v, lead, brake, thrust)
        if t == 0:
            act = sel * (0.3 * dirs.unsqueeze(1)) + (1.0 - sel) * act
        flee = prey_action(p, u, a, dirs, reached)
        hit = push(x, torch.cat([x, r], dim=-2), reach)
        x = x + DT * w
        w = cap_speed(KEEP * w + torch.cat([act, flee], dim=-2) + hit, top)
        a = x[..., :3, :]
        p = x[..., 3:, :]
        total = total + scale * contact(length(p - a)).sum(-1)
        scale = scale * DISCOUNT
        if t + 1 in HORIZONS:
            # the time left is unknown: the episode may end at any of the horizons
            dev = total - total.mean(-1, keepdim=True)
            var = (dev * dev).mean(-1)                      # [B, 4, 3]
            part = var / (var.sum(-1, keepdim=True) + STAKE)
            share = share + part.mean(1) / len(HORIZONS)    # [B, 3]

    rel = share / (torch.amax(share, dim=-1, keepdim=True) + 0.03)
    stake = torch.clamp(share.sum(-1, keepdim=True), min=0.0, max=1.0)

    # closeness to where the prey is about to be, for the phase of approach
    ahead = length(offset + 0.2 * (state["prey_velocity"] - vel))
    near = torch.exp(-ahead / 0.4)
    rel_near = near / (torch.amax(near, dim=-1, keepdim=True) + 0.02)

    weights = 0.3 + 0.95 * rel + (0.05 + 0.35 * (1.0 - stake)) * rel_near

    # small potential: predators close to the prey promise contacts
    now = length(offset)
    bias = 8.0 * torch.exp(-now / 0.4).sum(-1, keepdim=True)
    return weights, bias
