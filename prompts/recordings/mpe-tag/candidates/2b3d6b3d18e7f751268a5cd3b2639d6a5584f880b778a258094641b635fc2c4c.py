import torch
import torch.nn.functional as F
import math

STEPS = 10
DT = 0.1
KEEP = 0.75
DISCOUNT = 0.94
TOUCH = 0.125
COAST = 0.23125      # way covered in three steps per unit of present velocity
# Directions are ordered NONE, -x, -y, +x, +y (the spread does not depend on order).


def span(diff):
    return torch.sqrt((diff * diff).sum(-1, keepdim=True) + 1e-4)


def cap_speed(v, top):
    speed = torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6)
    return v * (top / torch.clamp(speed, min=top))


def repel(diff, d, reach):
    # velocity change 10 * overlap along diff, for centres at distance d
    return diff * F.relu(10.0 * reach / d - 10.0)


def prey_action(p, u, preds, moves):
    # the prey's fixed rule: best of five imagined places after three steps
    c = p + COAST * u
    w = c - preds
    s = (w * w).sum(-1, keepdim=True)
    g = 0.22 * w
    s1 = s + 0.0121
    gap = torch.cat([s, s1 - g, s1 + g], dim=-1)            # squared, [..., 3, 5]
    nearest = torch.sqrt(torch.clamp(torch.amin(gap, dim=-2), min=1e-4))
    x = torch.abs(c + moves)                                # [..., 3, 2]
    beyond = torch.exp(2.0 * torch.clamp(x, max=3.0) - 2.0)
    edge = torch.minimum(10.0 * F.relu(x - 0.9), beyond)
    more = (edge[..., 1:, :] - edge[..., :1, :]).flatten(-2)
    more = torch.cat([torch.zeros_like(more[..., :1]), more], dim=-1)
    score = nearest - more
    best = torch.amax(score, dim=-1, keepdim=True)
    win = torch.where(score >= best, torch.ones_like(score), torch.zeros_like(score))
    count = torch.clamp(win.sum(-1, keepdim=True), min=1.0)
    flee = 0.4 * (win[..., 3:5] - win[..., 1:3]) / count
    return flee.unsqueeze(-2)


def contact(d):
    # soft count of touches, plus a wide and faint part for almost reaching
    touch = torch.sigmoid((TOUCH - d) / 0.02) + 0.10 * torch.exp(d / -0.3)
    return touch.sum((-2, -1))


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
    dirs = torch.stack([torch.cat([z, -o, z, o, z]),
                        torch.cat([z, z, -o, z, o])], dim=-1)
    sel = torch.stack([torch.cat([o, z, z]), torch.cat([z, o, z]),
                       torch.cat([z, z, o])], dim=0)
    sel = sel.unsqueeze(1).unsqueeze(-1)                    # [3, 1, 3, 1]
    moves = torch.cat([z, z - 0.11, z + 0.11]).unsqueeze(-1)

    # three styles of chasing: plain, led and weaker, looking three steps ahead;
    # the last takes the action whose place then is closest to the prey's place
    # then: the longer axis of the gap, or NONE within half an action's way
    lead = torch.cat([z, z + 0.3, z + COAST]).reshape(3, 1, 1, 1, 1)
    follow = torch.cat([z, z, z + 0.275]).reshape(3, 1, 1, 1, 1)
    brake = torch.cat([z + 0.2, z + 0.2, z + COAST]).reshape(3, 1, 1, 1, 1)
    power = torch.cat([z + 0.3, z + 0.18, z + 0.3]).reshape(3, 1, 1, 1, 1)
    least = torch.cat([z, z, z + 0.04125]).reshape(3, 1, 1, 1, 1)
    soft = torch.cat([z + 0.02, z + 0.02, z + 0.001]).reshape(3, 1, 1, 1, 1)
    shift = torch.stack([torch.cat([z + 0.012, z - 0.012, z]),
                         torch.cat([z + 0.009, z - 0.009, z])], dim=-1)
    shift = shift.reshape(3, 1, 1, 1, 2)

    # dimensions: batch, future, varied agent, its action, entity, xy
    a = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    p = prey.unsqueeze(1).unsqueeze(1).unsqueeze(1) + shift
    u = prey_vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1)

    total = 0.0
    for t in range(STEPS - 1):
        gap = a - p
        d = span(gap)
        if t > 0:
            total = total + DISCOUNT ** (t - 1) * contact(d)
        flee = prey_action(p, u, a, moves)
        # chasers push along the axis on which the coming prey is farther away
        e = (p + lead * u + follow * flee) - a - brake * v
        size = torch.abs(e)
        big = torch.maximum(torch.amax(size, dim=-1, keepdim=True), least)
        act = torch.where(size >= big, power * e / (size + soft), torch.zeros_like(e))
        if t == 0:
            act = sel * (0.3 * dirs.unsqueeze(1)) + (1.0 - sel) * act
        bump = repel(gap, d, 0.125)
        side = a - torch.cat([a[..., 1:, :], a[..., :1, :]], dim=-2)
        jam = repel(side, span(side), 0.15)
        jam = jam - torch.cat([jam[..., 2:, :], jam[..., :2, :]], dim=-2)
        rock_a = a.unsqueeze(-2) - r.unsqueeze(-3)
        rock_p = p - r
        hit_a = bump + jam + repel(rock_a, span(rock_a), 0.275).sum(-2)
        hit_p = repel(rock_p, span(rock_p), 0.25).sum(-2, keepdim=True)
        hit_p = hit_p - bump.sum(-2, keepdim=True)
        a = a + DT * v
        p = p + DT * u
        v = cap_speed(KEEP * v + act + hit_a, 1.0)
        u = cap_speed(KEEP * u + flee + hit_p, 1.3)

    gap = a - p
    total = total + DISCOUNT ** (STEPS - 2) * contact(span(gap))
    gap = gap + DT * (v - u)
    total = total + DISCOUNT ** (STEPS - 1) * contact(span(gap))

    # variance of the imagined return over the agent's own five actions
    dev = total - total.mean(-1, keepdim=True)
    var = (dev * dev).mean(-1)                              # [B, 3, 3]
    impact = torch.sqrt(var.mean(1) + 1e-6)                 # [B, 3]
    top = torch.amax(impact, dim=-1, keepdim=True)
    rel = impact / (top + 0.02)
    # closeness to where the prey is about to be
    coming = offset + 0.2 * (state["prey_velocity"] - vel)
    near = torch.exp(span(coming).squeeze(-1) / -0.4)
    rel_near = near / (torch.amax(near, dim=-1, keepdim=True) + 0.02)
    part = 0.13 + 0.15 * torch.exp(top / -0.03)
    weights = 0.25 + 0.8 * rel + part * rel_near

    # small potential: predators close to the prey promise contacts
    now = span(offset).squeeze(-1)
    bias = 8.0 * torch.exp(now / -0.4).sum(-1, keepdim=True)
    return weights, bias
