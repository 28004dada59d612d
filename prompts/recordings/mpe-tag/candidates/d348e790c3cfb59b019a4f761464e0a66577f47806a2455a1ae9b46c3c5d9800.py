import torch
import torch.nn.functional as F
import math

STEPS = 10
DT = 0.1
KEEP = 0.75
DISCOUNT = 0.94
TOUCH = 0.125
COAST = 0.23125      # way in 3 steps per unit of velocity
DRIVE = 0.275        # way in 3 steps per unit of added velocity
FLIGHT = 0.11        # way in 3 steps by the prey's own action

def length(x):
    return torch.sqrt((x * x).sum(-1) + 1e-4)

def cap_speed(v, top):
    speed = torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6)
    return v * (top / torch.clamp(speed, min=top))

def push(diff, d, reach):
    # velocity change of a disc that is diff away from another one
    return diff * (10.0 * F.relu(reach - d) / d).unsqueeze(-1)

def push_rocks(x, rocks, reach):
    diff = x.unsqueeze(-2) - rocks.unsqueeze(-3)
    return push(diff, length(diff), reach).sum(-2)

def push_team(a):
    # each pair of predators once, with its reaction
    before = torch.cat([a[..., 2:, :], a[..., :2, :]], dim=-2)
    diff = a - before
    f = push(diff, length(diff), 0.15)
    return f - torch.cat([f[..., 1:, :], f[..., :1, :]], dim=-2)

def prey_action(p, u, a, extra, one, zero):
    # the prey's fixed rule: best of five imagined places after three steps,
    # in the order stay, -x, -y, +x, +y
    base = p + COAST * u
    e = base - a
    sq = (e * e).sum(-1, keepdim=True)
    turn = (2.0 * FLIGHT) * e
    gap = torch.amin(torch.cat([sq, sq - turn, sq + turn], dim=-1), dim=-2)
    nearest = torch.sqrt(torch.clamp(gap + extra, min=1e-5))
    # border penalty of each axis for the three places on it
    y = torch.abs(torch.cat([base - FLIGHT, base, base + FLIGHT], dim=-2))
    y = torch.clamp(y, max=2.15)
    pen = torch.minimum(F.relu(10.0 * y - 9.0), torch.exp(2.0 * y - 2.0))
    mid = pen[..., 1, :]
    both = mid.sum(-1, keepdim=True)
    edge = torch.cat([both, both + (pen[..., 0, :] - mid),
                      both + (pen[..., 2, :] - mid)], dim=-1)
    score = nearest - edge
    win = torch.where(score >= torch.amax(score, dim=-1, keepdim=True), one, zero)
    count = torch.clamp(win.sum(-1, keepdim=True), min=1.0)
    move = (win[..., 3:] - win[..., 1:3]) / count
    return 0.4 * move.unsqueeze(-2)

def chase_action(p, u, flee, a, v, style, zero):
    # push along the axis on which the coming place of the prey is farther away
    # than the own coasting leads; the goal is kept inside the border
    lead, drive, brake, vigour, floor, soft = style
    goal = p + lead * u + drive * flee
    goal = torch.maximum(goal, torch.clamp(p, max=-1.0))
    goal = torch.minimum(goal, torch.clamp(p, min=1.0))
    e = goal - a - brake * v
    size = torch.abs(e)
    big = torch.maximum(torch.amax(size, dim=-1, keepdim=True), floor)
    axis = torch.where(size >= big, vigour, zero)
    return axis * e / (size + soft)

def contact(d):
    # soft count of touches, plus a wide and faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / 0.02) + 0.12 * torch.exp(d * (-1.0 / 0.3))

def three(z, x, y, w):
    return torch.cat([z + x, z + y, z + w]).reshape(3, 1, 1, 1, 1)

def credit(state):
    """An agent earns credit for how much its choice among the five actions of this
    very step changes the contacts with the prey in the next steps. This is the spread
    over short imagined futures with the known physics, the known flight rule of the
    prey and three styles of chasing, among them one that foresees the escape."""
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
    sel = torch.stack([torch.cat([o, z, z]), torch.cat([z, o, z]), torch.cat([z, z, o])])
    sel = sel.unsqueeze(1).unsqueeze(-1)                    # [3, 1, 3, 1]
    tried = sel * (0.3 * dirs.unsqueeze(1))                 # [3, 5, 3, 2]
    others = 1.0 - sel
    k = z + FLIGHT * FLIGHT
    extra = torch.cat([z, k, k, k, k])
    # styles: straight at the prey, gently at the led prey, planning three steps ahead
    style = (three(z, 0.0, 0.3, COAST),       # lead
             three(z, 0.0, 0.0, DRIVE),       # foreseen escape
             three(z, 0.2, 0.2, COAST),       # own momentum
             three(z, 0.3, 0.18, 0.3),        # vigour
             three(z, 0.0, 0.0, 0.04125),     # dead zone
             three(z, 0.02, 0.02, 0.002))     # softness of the sign
    # dimensions: batch, style, varied agent, its action, entity, xy;
    # they stay 1 as long as the tried action has no influence
    a = pos.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    v = vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    p = prey.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    u = prey_vel.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1)
    gap = a - p
    dist = length(gap)
    total = 0.0
    scale = 1.0
    for t in range(STEPS):
        next_a = a + DT * v
        next_p = p + DT * u
        if t < STEPS - 1:
            flee = prey_action(p, u, a, extra, o, z)
            act = chase_action(p, u, flee, a, v, style, z)
            if t == 0:
                act = tried + others * act
            bump = push(gap, dist, 0.125)
            hit_a = bump + push_team(a) + push_rocks(a, r, 0.275)
            hit_p = push_rocks(p, r, 0.25) - bump.sum(-2, keepdim=True)
            v = cap_speed(KEEP * v + hit_a + act, 1.0)
            u = cap_speed(KEEP * u + hit_p + flee, 1.3)
        a = next_a
        p = next_p
        gap = a - p
        dist = length(gap)
        if t > 0:                                           # before, nothing can differ
            total = total + scale * contact(dist).sum(-1)
        scale = scale * DISCOUNT
    # spread of the imagined return over the agent's own five actions
    dev = total - total.mean(-1, keepdim=True)
    spread = torch.sqrt((dev * dev).mean(-1) + 1e-6)        # [B, style, agent]
    share = torch.cat([z + 0.32, z + 0.28, z + 0.4]).reshape(1, 3, 1)
    impact = (share * spread).sum(1)                        # [B, 3]
    top = torch.amax(impact, dim=-1, keepdim=True)
    rel = impact / (top + 0.01)
    # closeness to where the prey is about to be; counts more if nothing else tells
    ahead = length(offset + 0.2 * (state["prey_velocity"] - vel))
    near = torch.exp(-ahead / 0.4)
    rel_near = near / (torch.amax(near, dim=-1, keepdim=True) + 0.02)
    trust = 0.12 + 0.12 * 0.05 / (top + 0.05)
    weights = 0.24 + 0.8 * rel + trust * rel_near
    # small potential: predators close to the prey promise contacts
    bias = 8.0 * torch.exp(-length(offset) / 0.4).sum(-1, keepdim=True)
    return weights, bias
