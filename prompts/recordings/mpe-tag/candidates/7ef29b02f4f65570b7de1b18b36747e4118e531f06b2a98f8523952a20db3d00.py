import torch
import torch.nn.functional as F
import math

UPDATES = 10
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


def force(diff, d, reach):
    # velocity change away from an overlapping disc: 10 times the overlap
    return diff * F.relu(10.0 * reach / d - 10.0).unsqueeze(-1)


def push_mates(a):
    # each of the three pairs once: agent i against agent i - 1
    diff = a - torch.cat([a[..., 2:, :], a[..., :2, :]], dim=-2)
    f = force(diff, length(diff), 0.15)
    return f - torch.cat([f[..., 1:, :], f[..., :1, :]], dim=-2)


def push_rocks(a, r, reach):
    diff = a.unsqueeze(-2) - r.unsqueeze(-3)
    return force(diff, length(diff), reach).sum(-2)


def prey_action(p, u, preds, far, offs):
    # the prey's fixed rule, slightly softened; order: NONE, -x, -y, +x, +y
    c = p + 0.23125 * u
    g = c - preds
    n = (g * g).sum(-1, keepdim=True)
    h = 0.22 * g
    sq = n + torch.cat([0.0 * h[..., :1], -h, h], dim=-1)
    nearest = torch.sqrt(torch.clamp(torch.amin(sq, dim=-2) + far, min=1e-4))
    # border penalty per axis for the offsets -0.11, 0, 0.11
    x = torch.clamp(torch.abs(c + offs), max=3.0)
    edge = torch.minimum(10.0 * F.relu(x - 0.9), torch.exp(2.0 * x - 2.0))
    mid = edge[..., 1, :]
    both = mid.sum(-1, keepdim=True)
    rest = both - mid
    cost = torch.cat([both, rest + edge[..., 0, :], rest + edge[..., 2, :]], dim=-1)
    choice = torch.softmax((nearest - cost) / PREY_TEMP, dim=-1)
    return 0.4 * (choice[..., 3:5] - choice[..., 1:3]).unsqueeze(-2)


def chase_action(e, vigour):
    # push along the axis on which the (led) prey is farther away
    size = torch.abs(e)
    axis = torch.softmax(size / AXIS_TEMP, dim=-1)
    return vigour * (axis * e / (size + 0.02))


def contact(d, width):
    # soft count of touches, plus a wide and faint part for almost reaching
    soft = torch.sigmoid((TOUCH - d) / width) + 0.15 * torch.exp(d / -0.3)
    return soft.sum(-1)


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
    dirs = torch.stack([torch.cat([z, -o, z, o, z]),
                        torch.cat([z, z, -o, z, o])], dim=-1)
    far = 0.0121 * (dirs * dirs).sum(-1)                    # [5]
    offs = torch.cat([z - 0.11, z, z + 0.11]).unsqueeze(-1)  # [3, 1]
    sel = torch.stack([torch.cat([o, z, z]),
                       torch.cat([z, o, z]),
                       torch.cat([z, z, o])], dim=0)
    sel = sel.unsqueeze(1).unsqueeze(-1)                    # [3, 1, 3, 1]

    # styles: how far the prey is led, how eagerly the varied agent and its mates push
    lead = torch.cat([z, z + 0.2, z + 0.4]).reshape(3, 1, 1, 1, 1)
    own = torch.cat([o, o, z + 0.6]).reshape(3, 1, 1, 1, 1)
    mates = torch.cat([o, z + 0.3, z + 0.6]).reshape(3, 1, 1, 1, 1)
    vigour = 0.3 * (sel * own + (1.0 - sel) * mates)        # [3, 3, 1, 3, 1]

    # dimensions: batch, style of chasing, varied agent, its action, entity, xy
    a = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    p = prey.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    u = prey_vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    diff = a - p
    d = length(diff)

    total = 0.0
    scale = 1.0
    for t in range(UPDATES):
        act = chase_action(lead * u - diff - 0.2 * v, vigour)
        if t == 0:
            act = sel * (0.3 * dirs.unsqueeze(1)) + (1.0 - sel) * act
        flee = prey_action(p, u, a, far, offs)
        bump = force(diff, d, 0.125)
        hit_a = push_mates(a) + bump + push_rocks(a, r, 0.275)
        hit_p = push_rocks(p, r, 0.25) - bump.sum(-2, keepdim=True)
        a = a + DT * v
        p = p + DT * u
        v = cap_speed(KEEP * v + act + hit_a, 1.0)
        u = cap_speed(KEEP * u + flee + hit_p, 1.3)
        diff = a - p
        d = length(diff)
        # the farther ahead, the less sure is the edge of contact
        total = total + scale * contact(d, 0.015 + 0.002 * t)
        scale = scale * DISCOUNT
    # the last move needs no new velocities
    d = length(a + DT * v - (p + DT * u))
    total = total + scale * contact(d, 0.015 + 0.002 * UPDATES)

    # spread of the imagined return over the agent's own five actions
    dev = total - total.mean(-1, keepdim=True)              # [B, 3, 3, 5]
    spread = torch.sqrt((dev * dev).mean(-1) + 1e-6)        # [B, 3, 3]
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
