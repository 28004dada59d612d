import torch
import torch.nn.functional as F
import math

STEPS = 10
DT = 0.1
KEEP = 0.75
DISCOUNT = 0.94
TOUCH = 0.125
COAST = 0.23125      # way covered in three steps per unit of present velocity
SIMPLE = 4           # the first four futures use the simple chasers


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
    place = p + COAST * u + 0.11 * dirs
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


def ahead_action(p, u, preds, vel, flee, dirs):
    # the action whose place after three steps is closest to the prey's place then
    target = p + COAST * u + 0.275 * flee
    place = (preds + COAST * vel).unsqueeze(-2) + 0.0825 * dirs
    gap = length(place - target.unsqueeze(-2))
    best = torch.amin(gap, dim=-1, keepdim=True)
    win = torch.where(gap <= best, torch.ones_like(gap), torch.zeros_like(gap))
    win = win / torch.clamp(win.sum(-1, keepdim=True), min=1.0)
    return 0.3 * (win.unsqueeze(-1) * dirs).sum(-2)


def contact(d):
    # soft count of touches, plus a wide and faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / 0.02) + 0.10 * torch.exp(-d / 0.3)


def credit(state):
    """An agent earns credit for its opportunity: how much its choice among the
    five actions of this step changes the contacts with the prey in the next steps.
    This is measured by imagined futures with the known physics, the known flight
    rule of the prey and three styles of chasing; closeness to the prey's coming
    place adds a little, and more only where nobody has an impact."""
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

    # six futures: each style once as it is and once with the prey's start shifted
    lead = torch.cat([z, z, z + 0.3, z + 0.3]).reshape(4, 1, 1, 1, 1)
    vigour = torch.cat([o, o, z + 0.6, z + 0.6]).reshape(4, 1, 1, 1, 1)
    shift = torch.stack([torch.cat([z, z + 0.02, z, z - 0.01, z, z - 0.01]),
                         torch.cat([z, z, z, z + 0.017, z, z - 0.017])], dim=-1)
    shift = shift.reshape(6, 1, 1, 1, 2)
    none = torch.zeros_like(shift)

    # dimensions: batch, future, varied agent, its action, entity, xy
    a = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1) + none
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1) + none
    p = prey.unsqueeze(1).unsqueeze(1).unsqueeze(1) + shift
    u = prey_vel.unsqueeze(1).unsqueeze(1).unsqueeze(1) + none
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1)

    total = 0.0
    scale = 1.0
    for t in range(STEPS - 1):
        flee = prey_action(p, u, a, dirs)
        plain = chase_action(p[:, :SIMPLE], u[:, :SIMPLE], a[:, :SIMPLE],
                             v[:, :SIMPLE], lead, vigour)
        smart = ahead_action(p[:, SIMPLE:], u[:, SIMPLE:], a[:, SIMPLE:],
                             v[:, SIMPLE:], flee[:, SIMPLE:], dirs)
        act = torch.cat([plain, smart], dim=1)
        if t == 0:
            act = sel * (0.3 * dirs.unsqueeze(1)) + (1.0 - sel) * act
        hit_a = push(a, a, 0.15) + push(a, p, 0.125) + push(a, r, 0.275)
        hit_p = push(p, a, 0.125) + push(p, r, 0.25)
        a = a + DT * v
        p = p + DT * u
        v = cap_speed(KEEP * v + act + hit_a, 1.0)
        u = cap_speed(KEEP * u + flee + hit_p, 1.3)
        total = total + scale * contact(length(p - a)).sum(-1)
        scale = scale * DISCOUNT
    total = total + scale * contact(length(p + DT * u - a - DT * v)).sum(-1)

    # variance of the imagined return over the agent's own five actions
    dev = total - total.mean(-1, keepdim=True)
    var = (dev * dev).mean(-1)                              # [B, 6, 3]
    impact = torch.sqrt(var.mean(1) + 1e-6)                 # [B, 3]
    top = torch.amax(impact, dim=-1, keepdim=True)
    rel = impact / (top + 0.02)

    # closeness to where the prey is about to be
    ahead = length(offset + 0.2 * (state["prey_velocity"] - vel))
    near = torch.exp(-ahead / 0.4)
    rel_near = near / (torch.amax(near, dim=-1, keepdim=True) + 0.02)
    part = 0.13 + 0.15 * torch.exp(-top / 0.03)

    weights = 0.25 + 0.8 * rel + part * rel_near

    # small potential: predators close to the prey promise contacts
    now = length(offset)
    bias = 8.0 * torch.exp(-now / 0.4).sum(-1, keepdim=True)
    return weights, bias
