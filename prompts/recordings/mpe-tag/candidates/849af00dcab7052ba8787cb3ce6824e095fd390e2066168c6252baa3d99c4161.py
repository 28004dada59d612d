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
AXIS = 3             # number of styles that chase along the farther axis


def length(x):
    return torch.sqrt((x * x).sum(-1) + 3e-5)


def cap_speed(v, top):
    speed = torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6)
    return v * (top / torch.maximum(speed, top))


def push(a, b, reach):
    # velocity change of the discs a [..., n, 2] from overlapping discs b [..., m, 2];
    # a disc does not push itself, as its difference to itself is zero
    diff = a.unsqueeze(-2) - b.unsqueeze(-3)
    d = length(diff)
    strength = 10.0 * F.relu(reach - d) / d
    return (diff * strength.unsqueeze(-1)).sum(-2)


def pick(score):
    # hard choice of the best entry of the last dimension, ties shared
    best = torch.amax(score, dim=-1, keepdim=True)
    win = torch.where(score >= best, torch.ones_like(score), torch.zeros_like(score))
    return win / torch.clamp(win.sum(-1, keepdim=True), min=1.0)


def prey_action(p, u, preds, dirs):
    # the prey's fixed rule: best of five imagined places after three steps
    place = p + COAST * u + 0.4 * DRIVE * dirs
    gap = length(place.unsqueeze(-2) - preds.unsqueeze(-3))
    nearest = torch.amin(gap, dim=-1)
    x = torch.abs(place)
    beyond = torch.exp(2.0 * torch.clamp(x, max=3.0) - 2.0)
    edge = torch.where(x < 1.0, 10.0 * F.relu(x - 0.9), beyond)
    win = pick(nearest - edge.sum(-1))
    return 0.4 * (win.unsqueeze(-1) * dirs).sum(-2, keepdim=True)


def axis_action(p, u, preds, vel, lead, vigour, brake):
    # push along the axis on which the (led) prey is farther away, goal kept inside
    goal = torch.maximum(p + lead * u, torch.clamp(p, max=-1.0))
    goal = torch.minimum(goal, torch.clamp(p, min=1.0))
    e = goal - preds - brake * vel
    size = torch.abs(e)
    big = torch.amax(size, dim=-1, keepdim=True)
    axis = torch.where(size >= big, torch.ones_like(size), torch.zeros_like(size))
    return vigour * axis * e / (size + 0.02)


def plan_action(p, u, flee, preds, vel, dirs):
    # the action whose place after three steps is closest to the prey's place then
    goal = (p + COAST * u + DRIVE * flee).unsqueeze(-2)
    place = (preds + COAST * vel).unsqueeze(-2) + 0.3 * DRIVE * dirs
    win = pick(-length(goal - place))
    return 0.3 * (win.unsqueeze(-1) * dirs).sum(-2)


def contact(d):
    # soft count of touches, plus a wide and faint part for almost reaching
    return torch.sigmoid((TOUCH - d) / 0.02) + 0.12 * torch.exp(-d / 0.3)


def credit(state):
    """An agent earns credit for how much its choice among the five actions of this
    very step changes the contacts with the prey in the next steps. This is the spread
    over short imagined futures with the known physics, the known flight rule of the
    prey and several styles of chasing, among them one that foresees the escape."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    offset = state["prey_offset"]
    prey = (pos + offset).mean(1, keepdim=True)
    prey_vel = state["prey_velocity"].mean(1, keepdim=True)
    rocks = (pos.unsqueeze(2) + state["obstacle_offset"]).mean(1)
    z = pos.new_zeros(1)
    o = z + 1.0
    dirs = torch.stack([torch.cat([z, -o, o, z, z]), torch.cat([z, z, z, -o, o])], dim=-1)
    sel = torch.stack([torch.cat([o, z, z]), torch.cat([z, o, z]), torch.cat([z, z, o])])
    sel = sel.unsqueeze(1).unsqueeze(-1)                    # [3, 1, 3, 1]
    tried = sel * (0.3 * dirs.unsqueeze(1))                 # [3, 5, 3, 2]

    # bodies: three predators and the prey; then also the two obstacles
    radius = torch.cat([z + 0.075, z + 0.075, z + 0.075, z + 0.05])
    reach = radius.unsqueeze(-1) + torch.cat([radius, z + 0.2, z + 0.2])    # [4, 6]
    top_speed = torch.cat([o, o, o, z + 1.3]).unsqueeze(-1)                 # [4, 1]
    is_prey = torch.cat([z, z, z, o]).unsqueeze(-1)                         # [4, 1]

    # six futures: three chase along the farther axis, three plan ahead
    lead = torch.cat([z, z + 0.3, z + 0.15]).reshape(3, 1, 1, 1, 1)
    vigour = torch.cat([z + 0.3, z + 0.18, z + 0.24]).reshape(3, 1, 1, 1, 1)
    brake = torch.cat([z + 0.2, z + 0.2, z + 0.32]).reshape(3, 1, 1, 1, 1)
    share = torch.cat([z + 0.2, z + 0.2, z + 0.15, z + 0.2, z + 0.125, z + 0.125])
    shift = torch.stack([torch.cat([z, z, z + 0.012, z, z + 0.015, z - 0.015]),
                         torch.cat([z, z, z - 0.012, z, z + 0.015, z - 0.015])],
                        dim=-1).reshape(1, 6, 1, 1, 1, 2)
    none = pos.new_zeros((1, 6, 3, 5, 1, 1))
    # dimensions: batch, future, varied agent, its action, body, xy
    x = torch.cat([pos, prey], dim=1).unsqueeze(1).unsqueeze(1).unsqueeze(1)
    x = x + shift * is_prey + none
    w = torch.cat([vel, prey_vel], dim=1).unsqueeze(1).unsqueeze(1).unsqueeze(1) + none
    r = rocks.unsqueeze(1).unsqueeze(1).unsqueeze(1) + none
    a = x[..., :3, :]
    p = x[..., 3:, :]

    total = 0.0
    scale = 1.0
    for t in range(STEPS):
        next_x = x + DT * w
        if t < STEPS - 1:
            v = w[..., :3, :]
            u = w[..., 3:, :]
            flee = prey_action(p, u, a, dirs)
            near_sighted = axis_action(p[:, :AXIS], u[:, :AXIS], a[:, :AXIS], v[:, :AXIS],
                                       lead, vigour, brake)
            planned = plan_action(p[:, AXIS:], u[:, AXIS:], flee[:, AXIS:], a[:, AXIS:],
                                  v[:, AXIS:], dirs)
            act = torch.cat([near_sighted, planned], dim=1)
            if t == 0:
                act = tried + (1.0 - sel) * act
            hit = push(x, torch.cat([x, r], dim=-2), reach)
            w = cap_speed(KEEP * w + torch.cat([act, flee], dim=-2) + hit, top_speed)
        x = next_x
        a = x[..., :3, :]
        p = x[..., 3:, :]
        total = total + scale * contact(length(p - a)).sum(-1)
        scale = scale * DISCOUNT

    # spread of the imagined return over the agent's own five actions
    dev = total - total.mean(-1, keepdim=True)
    spread = torch.sqrt((dev * dev).mean(-1) + 1e-6)        # [B, 6, 3]
    impact = (share.reshape(1, 6, 1) * spread).sum(1)       # [B, 3]
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
