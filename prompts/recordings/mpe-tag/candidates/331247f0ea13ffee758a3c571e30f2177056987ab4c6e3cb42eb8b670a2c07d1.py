import torch
import torch.nn.functional as F
import math

MOVES = 9          # scored moves; the first move depends on no action of this step
DT = 0.1
KEEP = 0.75
DISCOUNT = 0.94
TOUCH = 0.125
COAST = 0.23125    # way of three steps per unit of velocity


def length(x):
    return torch.sqrt((x * x).sum(-1) + 1e-4)


def cap_speed(v, top):
    speed = torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6)
    return v * (top / torch.clamp(speed, min=top))


def shove(diff, reach):
    # velocity change of a disc that lies at diff from another one
    d = length(diff)
    return diff * (10.0 * F.relu(reach - d) / d).unsqueeze(-1)


def shove_team(a):
    # each of the three pairs once: agent i against agent i + 1, and the reaction
    f = shove(a - torch.cat([a[..., 1:, :], a[..., :1, :]], dim=-2), 0.15)
    return f - torch.cat([f[..., 2:, :], f[..., :2, :]], dim=-2)


def prey_turn(p, u, preds, dirs):
    # the prey's fixed rule: direction to the best of five places after three steps
    place = p + COAST * u + 0.11 * dirs
    gap = place.unsqueeze(-2) - preds.unsqueeze(-3)
    nearest = torch.sqrt(torch.amin((gap * gap).sum(-1), dim=-1) + 1e-4)
    x = torch.clamp(torch.abs(place) - 0.9, min=0.0, max=2.1)
    edge = torch.minimum(10.0 * x, torch.exp(2.0 * x - 0.2))
    score = nearest - edge.sum(-1)
    best = torch.amax(score, dim=-1, keepdim=True)
    win = torch.where(score >= best, torch.ones_like(score), torch.zeros_like(score))
    win = win / torch.clamp(win.sum(-1, keepdim=True), min=1.0)
    return (win.unsqueeze(-1) * dirs).sum(-2, keepdim=True)


def chase(gap, power):
    # push along the axis on which more way to the goal is left
    size = torch.abs(gap)
    big = torch.amax(size, dim=-1, keepdim=True)
    main = torch.where(size >= big, gap, torch.zeros_like(gap))
    return power * main / (size + 0.02)


def contact(d):
    # soft count of touches, plus a wide and faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / 0.02) + 0.1 * torch.exp(-d / 0.3)


def credit(state):
    """An agent earns credit for how much its choice among the five actions of this
    very step changes the contacts with the prey in the next steps, by reaching the prey
    or by turning its flight. This is the spread over short imagined futures with the
    known physics and prey rule, for three styles of chasing; closeness to the prey's
    coming place adds a little, and more where no agent has visible influence."""
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
    # styles: straight at the prey, led and gentler, at the place the prey plans to reach
    lead = torch.cat([z, z + 0.3, z + COAST]).reshape(3, 1, 1, 1, 1)
    plan = torch.cat([z, z, z + 0.11]).reshape(3, 1, 1, 1, 1)
    brake = torch.cat([z + 0.2, z + 0.2, z + 0.28]).reshape(3, 1, 1, 1, 1)
    power = torch.cat([z + 0.3, z + 0.18, z + 0.3]).reshape(3, 1, 1, 1, 1)

    # dimensions: batch, style of chasing, varied agent, its action, entity, xy
    a = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    p = prey.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    u = prey_vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    a_next = a + DT * v
    p_next = p + DT * u

    total = 0.0
    scale = 1.0
    for t in range(MOVES):
        turn = prey_turn(p, u, a, dirs)
        act = chase(p + lead * u + plan * turn - a - brake * v, power)
        if t == 0:
            act = sel * (0.3 * dirs.unsqueeze(1)) + (1.0 - sel) * act
        bump = shove(a - p, TOUCH)
        hit_a = shove_team(a) + bump + shove(a.unsqueeze(-2) - r.unsqueeze(-3), 0.275).sum(-2)
        hit_p = shove(p - r, 0.25).sum(-2, keepdim=True) - bump.sum(-2, keepdim=True)
        v = cap_speed(KEEP * v + act + hit_a, 1.0)
        u = cap_speed(KEEP * u + 0.4 * turn + hit_p, 1.3)
        a = a_next
        p = p_next
        # contacts after the move that follows from the new velocities
        a_next = a + DT * v
        p_next = p + DT * u
        total = total + scale * contact(length(p_next - a_next)).sum(-1)
        scale = scale * DISCOUNT

    # variance over the agent's own five actions, joined over the styles
    dev = total - total.mean(-1, keepdim=True)              # [B, 3 styles, 3, 5]
    impact = torch.sqrt((dev * dev).mean(-1).mean(1) + 1e-6)
    peak = torch.amax(impact, dim=-1, keepdim=True)
    rel = impact / (peak + 0.015)

    # closeness to where the prey is about to be
    ahead = length(offset + COAST * (state["prey_velocity"] - vel))
    near = torch.exp(-ahead / 0.4)
    rel_near = near / (torch.amax(near, dim=-1, keepdim=True) + 0.02)
    quiet = 0.04 / (peak + 0.04)

    weights = 0.24 + 0.8 * rel + (0.12 + 0.2 * quiet) * rel_near

    # small potential: predators close to the prey promise contacts
    bias = 8.0 * torch.exp(-length(offset) / 0.4).sum(-1, keepdim=True)
    return weights, bias
