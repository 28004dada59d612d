import torch
import torch.nn.functional as F
import math

STEPS = 10
DT = 0.1
KEEP = 0.75
DISCOUNT = 0.94
TOUCH = 0.125


def length(x):
    return torch.sqrt((x * x).sum(-1) + 1e-4)


def cap_speed(v, top):
    speed = torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6)
    return v * (top / torch.clamp(speed, min=top))


def push(a, b, reach):
    # velocity change of the discs a [..., n, 2] from overlapping discs b [..., m, 2]
    diff = a.unsqueeze(-2) - b.unsqueeze(-3)
    d = length(diff)
    strength = 10.0 * F.relu(reach - d) / d
    return (diff * strength.unsqueeze(-1)).sum(-2)


def prey_action(p, u, preds, dirs):
    # the prey's fixed rule: best of five imagined places after three steps
    place = p + 0.23125 * u + 0.11 * dirs
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


def chase_action(p, u, preds, vel, lead, vigour):
    # push along the axis on which the (led) prey is farther away
    e = p + lead * u - preds - 0.2 * vel
    size = torch.abs(e)
    big = torch.amax(size, dim=-1, keepdim=True)
    axis = torch.where(size >= big, torch.ones_like(size), torch.zeros_like(size))
    return 0.3 * vigour * axis * e / (size + 0.02)


def contact(d):
    # soft count of touches, plus a wide and faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / 0.02) + 0.15 * torch.exp(-d / 0.3)


def credit(state):
    """An agent earns credit for its opportunity: how much its choice among the
    five actions of this step changes the contacts with the prey in the next steps.
    This is measured by short imagined futures with the known physics and the known
    flight rule of the prey; closeness to the prey's coming place adds a little."""
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
    sel = torch.stack([torch.cat([o, z, z]),
                       torch.cat([z, o, z]),
                       torch.cat([z, z, o])], dim=0)
    sel = sel.unsqueeze(1).unsqueeze(-1)                    # [3, 1, 3, 1]
    lead = torch.cat([z, z + 0.3]).reshape(2, 1, 1, 1, 1)
    vigour = torch.cat([o, z + 0.6]).reshape(2, 1, 1, 1, 1)

    # dimensions: batch, style of chasing, varied agent, its action, entity, xy
    a = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    p = prey.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    u = prey_vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1)

    total = 0.0
    scale = 1.0
    for t in range(STEPS):
        act = chase_action(p, u, a, v, lead, vigour)
        if t == 0:
            act = sel * (0.3 * dirs.unsqueeze(1)) + (1.0 - sel) * act
        flee = prey_action(p, u, a, dirs)
        hit_a = push(a, a, 0.15) + push(a, p, 0.125) + push(a, r, 0.275)
        hit_p = push(p, a, 0.125) + push(p, r, 0.25)
        a = a + DT * v
        p = p + DT * u
        v = cap_speed(KEEP * v + act + hit_a, 1.0)
        u = cap_speed(KEEP * u + flee + hit_p, 1.3)
        total = total + scale * contact(length(p - a)).sum(-1)
        scale = scale * DISCOUNT

    # spread of the imagined return over the agent's own five actions
    dev = total - total.mean(-1, keepdim=True)
    spread = torch.sqrt((dev * dev).mean(-1) + 1e-6)        # [B, 2, 3]
    impact = spread.mean(1)                                 # [B, 3]
    rel = impact / (torch.amax(impact, dim=-1, keepdim=True) + 0.02)

    # closeness to where the prey is about to be
    ahead = length(offset + 0.2 * (state["prey_velocity"] - vel))
    near = torch.exp(-ahead / 0.4)
    rel_near = near / (torch.amax(near, dim=-1, keepdim=True) + 0.02)

    weights = 0.22 + 0.65 * rel + 0.25 * rel_near

    # small potential: predators close to the prey promise contacts
    now = length(offset)
    bias = 8.0 * torch.exp(-now / 0.4).sum(-1, keepdim=True)
    return weights, bias
