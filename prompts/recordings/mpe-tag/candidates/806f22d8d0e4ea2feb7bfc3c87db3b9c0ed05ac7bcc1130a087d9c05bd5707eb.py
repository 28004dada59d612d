import torch
import torch.nn.functional as F
import math

STEPS = 12
DT = 0.1
KEEP = 0.75
DISCOUNT = 0.93
TOUCH = 0.125
PREY_TEMP = 0.012
AXIS_TEMP = 0.03
POWER = 1.3
FLOOR = 0.4


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
    # the prey's fixed rule, slightly softened: imagined places after three steps
    place = p + 0.23125 * u + 0.11 * dirs
    gap = length(place.unsqueeze(-2) - preds.unsqueeze(-3))
    nearest = torch.amin(gap, dim=-1)
    x = torch.abs(place)
    beyond = torch.exp(2.0 * torch.clamp(x, max=3.0) - 2.0)
    edge = torch.where(x < 1.0, 10.0 * F.relu(x - 0.9), beyond)
    score = nearest - edge.sum(-1)
    choice = torch.softmax(score / PREY_TEMP, dim=-1)
    return 0.4 * (choice.unsqueeze(-1) * dirs).sum(-2, keepdim=True)


def chase_action(p, u, preds, vel, lead, vigour):
    # push along the axis on which the (led) prey is farther away
    e = p + lead * u - preds - 0.2 * vel
    size = torch.abs(e)
    axis = torch.softmax(size / AXIS_TEMP, dim=-1)
    return 0.3 * vigour * axis * e / (size + 0.02)


def contact(d, width):
    # soft count of touches, plus a wide and faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / width) + 0.15 * torch.exp(-d / 0.3)


def credit(state):
    """An agent earns credit for how much its choice among the five actions of this
    step changes the contacts of the next steps, measured by short imagined futures
    with the known physics and flight rule, averaged over several styles of chasing.
    While no contact is in reach, credit is nearly even and leans to those who approach."""
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

    # styles: how far the prey is led, how eagerly the varied agent and its mates push
    lead = torch.cat([z, z + 0.2, z + 0.4, z + 0.2]).reshape(4, 1, 1, 1, 1)
    own = torch.cat([o, z + 0.6, o, o]).reshape(4, 1, 1, 1, 1)
    mates = torch.cat([o, z + 0.6, o, z + 0.2]).reshape(4, 1, 1, 1, 1)
    vigour = sel * own + (1.0 - sel) * mates                # [4, 3, 1, 3, 1]

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
        # the farther ahead, the less sure is the edge of contact
        width = 0.015 + 0.002 * t
        total = total + scale * contact(length(p - a), width).sum(-1)
        scale = scale * DISCOUNT

    # spread of the imagined return over the agent's own five actions
    dev = total - total.mean(-1, keepdim=True)              # [B, 4, 3, 5]
    spread = torch.sqrt((dev * dev).mean(-1) + 1e-6)        # [B, 4, 3]
    impact = spread.mean(1)                                 # [B, 3]
    top = torch.amax(impact, dim=-1, keepdim=True)
    sharp = torch.pow(impact, POWER)
    share = 3.0 * sharp / torch.clamp(sharp.sum(-1, keepdim=True), min=1e-5)

    # approach: closeness to where the prey is about to be, used before the strike only
    ahead = length(offset + 0.2 * (state["prey_velocity"] - vel))
    near = torch.exp(-ahead / 0.4) + 0.02
    near_share = 3.0 * near / torch.clamp(near.sum(-1, keepdim=True), min=1e-5)
    early = 0.5 + 0.3 * share + 0.2 * near_share

    begun = top / (top + 0.1)
    weights = FLOOR + begun * share + (1.0 - begun) * early

    # small potential: contacts to be expected over all imagined futures, capped
    expected = total.mean(-1).mean(-1).mean(-1, keepdim=True)
    bias = 15.0 * torch.tanh(0.2 * expected)
    return weights, bias
