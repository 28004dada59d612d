import torch
import torch.nn.functional as F
import math

STEPS = 11
HORIZONS = (4, 7, 11)
STYLES = 3
KEEP = 0.75
DISCOUNT = 0.97
TOUCH = 0.125
STAKE = 0.025


def length(x):
    return torch.sqrt((x * x).sum(-1) + 1e-5)


def cap_speed(w, top):
    # top [4, 1]: the largest displacement of each body in one step
    square = torch.maximum((w * w).sum(-1, keepdim=True), top * top)
    return w * (top * torch.rsqrt(square))


def push(x, everything, reach):
    # change of displacement of the discs x [..., 4, 2] from all discs [..., 6, 2]
    diff = x.unsqueeze(-2) - everything.unsqueeze(-3)
    inv = torch.rsqrt((diff * diff).sum(-1) + 1e-5)
    strength = F.relu(reach * inv - 1.0)
    return (diff * strength.unsqueeze(-1)).sum(-2)


def prey_action(p, u, preds, reached, kick):
    # the prey's fixed rule: best of five imagined places after three steps
    place = p + 2.3125 * u + reached
    gap = place.unsqueeze(-2) - preds.unsqueeze(-3)
    nearest = torch.sqrt(torch.amin((gap * gap).sum(-1), dim=-1) + 1e-5)
    x = torch.abs(place)
    edge = F.relu(torch.minimum(10.0 * x - 9.0, 2.0 * x - 1.0))
    score = nearest - edge.sum(-1)
    best = torch.amax(score, dim=-1, keepdim=True)
    win = (score >= best).to(score.dtype)
    win = win / torch.clamp(win.sum(-1, keepdim=True), min=1.0)
    return (win.unsqueeze(-1) * kick).sum(-2, keepdim=True)


def chase_action(p, u, preds, vel, lead, brake, thrust):
    # push along the axis on which the led prey, kept inside the border, is farther
    goal = torch.clamp(p + lead * u, min=-1.0, max=1.0)
    e = goal - preds - brake * vel
    size = torch.abs(e)
    big = torch.amax(size, dim=-1, keepdim=True)
    axis = (size >= big).to(size.dtype)
    return thrust * (axis * e / (size + 0.02))


def contact(d):
    # soft count of touches, plus a faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / 0.018) + 0.08 * torch.exp(d * (-4.0))


def credit(state):
    """An agent earns credit for its expected share of the variance of the coming
    contacts when its push of this step is varied, over imagined futures with the
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
    kick = 0.04 * dirs
    tried = 0.03 * dirs[1:].unsqueeze(1)                    # [4, 1, 2]
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
    top = torch.cat([z + 0.1, z + 0.1, z + 0.1, z + 0.13]).unsqueeze(-1)  # [4, 1]
    # styles of chasing: direct, with a lead, half-hearted (lead and brake in steps)
    lead = torch.cat([z, z + 3.0, z + 1.5]).reshape(STYLES, 1, 1, 1, 1)
    brake = torch.cat([z + 1.0, z + 2.0, z + 3.0]).reshape(STYLES, 1, 1, 1, 1)
    thrust = torch.cat([z + 0.03, z + 0.03, z + 0.015]).reshape(STYLES, 1, 1, 1, 1)

    # dimensions: batch, style of chasing, varied agent, its push, body, xy
    # x: positions, w: displacements per step (0.1 times the velocities)
    x = torch.cat([pos, prey], dim=1).unsqueeze(1).unsqueeze(1).unsqueeze(1)
    w = 0.1 * torch.cat([vel, prey_vel], dim=1).unsqueeze(1).unsqueeze(1).unsqueeze(1)
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1)

    total = 0.0
    share = 0.0
    scale = 1.0
    for t in range(STEPS):
        moved = x + w
        if t + 1 < STEPS:
            a = x[..., :3, :]
            p = x[..., 3:, :]
            v = w[..., :3, :]
            u = w[..., 3:, :]
            if t == 1:
                # the prey's velocity is still the same in all futures
                u = u[:, :1, :1, :1]
            act = chase_action(p, u, a, v, lead, brake, thrust)
            if t == 0:
                act = sel * tried + (1.0 - sel) * act
            flee = prey_action(p, u, a, reached, kick)
            flee = flee.expand(-1, STYLES, 3, 4, -1, -1)
            still = r.expand(-1, x.shape[1], x.shape[2], x.shape[3], -1, -1)
            hit = push(x, torch.cat([x, still], dim=-2), reach)
            w = cap_speed(KEEP * w + hit + torch.cat([act, flee], dim=-2), top)
        x = moved
        d = length(x[..., 3:, :] - x[..., :3, :])
        total = total + scale * contact(d).sum(-1)
        scale = scale * DISCOUNT
        if t + 1 in HORIZONS:
            # the time left is unknown: the episode may end at any of the horizons
            dev = total - total.mean(-1, keepdim=True)
            var = (dev * dev).mean(-1)                      # [B, 3 styles, 3 agents]
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
