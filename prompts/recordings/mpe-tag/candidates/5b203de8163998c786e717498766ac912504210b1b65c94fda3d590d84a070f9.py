import torch
import torch.nn.functional as F
import math

STEPS = 12
DT = 0.1
KEEP = 0.75
DISCOUNT = 0.93
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


def prey_action(p, u, preds, dirs, temperature):
    # the prey's fixed rule: (softly) the best of five imagined places after three steps
    place = p + 0.23125 * u + 0.11 * dirs
    gap = length(place.unsqueeze(-2) - preds.unsqueeze(-3))
    nearest = torch.amin(gap, dim=-1)
    x = torch.abs(place)
    beyond = torch.exp(2.0 * torch.clamp(x, max=3.0) - 2.0)
    edge = torch.where(x < 1.0, 10.0 * F.relu(x - 0.9), beyond)
    score = nearest - edge.sum(-1)
    win = torch.softmax(score / temperature, dim=-1)
    return 0.4 * (win.unsqueeze(-1) * dirs).sum(-2, keepdim=True)


def chase_action(p, u, preds, vel, lead, vigour):
    # push (softly) along the axis on which the led prey is farther away
    e = p + lead * u - preds - 0.2 * vel
    size = torch.abs(e)
    axis = torch.softmax(size / 0.03, dim=-1)
    return 0.3 * vigour * axis * e / (size + 0.02)


def contact(d, width):
    # soft count of touches, plus a wide and faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / width) + 0.12 * torch.exp(-d / 0.3)


def credit(state):
    """An agent earns credit for how much its choice among the five actions of this
    very step changes the coming contacts with the prey, in short imagined futures
    with the known physics, the prey's flight rule and several styles of chasing.
    Only while nobody can change a contact yet does closeness to the prey count."""
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

    # four styles of chasing; in the last one the mates coast
    lead = torch.cat([z, z + 0.25, z + 0.4, z + 0.2]).reshape(4, 1, 1, 1, 1)
    force = torch.cat([o, o, z + 0.7, z + 0.9]).reshape(4, 1, 1, 1, 1)
    mates = torch.cat([o, o, o, z]).reshape(4, 1, 1, 1, 1)
    vigour = force * (sel + (1.0 - sel) * mates)            # [4, 3, 1, 3, 1]

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
        # sharp now, softer later: the imagined future grows uncertain
        flee = prey_action(p, u, a, dirs, 0.004 + 0.0015 * t)
        hit_a = push(a, a, 0.15) + push(a, p, 0.125) + push(a, r, 0.275)
        hit_p = push(p, a, 0.125) + push(p, r, 0.25)
        a = a + DT * v
        p = p + DT * u
        v = cap_speed(KEEP * v + act + hit_a, 1.0)
        u = cap_speed(KEEP * u + flee + hit_p, 1.3)
        total = total + scale * contact(length(p - a), 0.012 + 0.003 * t).sum(-1)
        scale = scale * DISCOUNT

    # spread of the imagined return over the agent's own five actions
    dev = total - total.mean(-1, keepdim=True)
    spread = torch.sqrt((dev * dev).mean(-1) + 1e-6)        # [B, 4, 3]
    impact = spread.mean(1)                                 # [B, 3]
    sharp = impact ** 1.3
    share = sharp / torch.clamp(sharp.sum(-1, keepdim=True), min=1e-6)

    # closeness to where the prey is about to be, for the approach only
    ahead = length(offset + 0.2 * (state["prey_velocity"] - vel))
    near = torch.exp(-ahead / 0.5) + 1e-3
    near_share = near / near.sum(-1, keepdim=True)

    top = torch.amax(impact, dim=-1, keepdim=True)
    begun = top / (top + 0.05)
    weights = 0.3 + 1.2 * (begun * share + (1.0 - begun) * near_share)

    # bounded potential: contacts expected in the imagined futures
    hope = total.mean(-1).mean(-1).mean(-1, keepdim=True)   # [B, 1]
    bias = 15.0 * hope / (hope + 2.0)
    return weights, bias
