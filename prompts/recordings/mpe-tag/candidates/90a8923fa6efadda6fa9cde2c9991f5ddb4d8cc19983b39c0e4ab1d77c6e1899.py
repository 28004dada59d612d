import torch
import torch.nn.functional as F
import math

HORIZON = 8
N_AGENTS = 3
N_ACTIONS = 5


def length(x):
    return torch.sqrt((x * x).sum(-1) + 1e-4)


def cap(v, vmax):
    speed = length(v).unsqueeze(-1)
    return v * (vmax / torch.clamp(speed, min=vmax))


def push(diff, reach):
    # velocity change of the disc at the head of diff, away from the other
    d = length(diff).unsqueeze(-1)
    return 10.0 * torch.clamp(reach - d, min=0.0) * diff / d


def penalty(p):
    a = p.abs()
    inner = torch.clamp((a - 0.9) * 10.0, 0.0, 1.0)
    outer = torch.exp(torch.clamp(2.0 * a - 2.0, 0.0, 2.3)) - 1.0
    return (inner + outer).sum(-1)


def chase(pos, vel, prey, pvel):
    # one axis-aligned unit step towards where the prey is heading
    need = (prey + 0.2 * pvel).unsqueeze(-2) - pos - 0.2 * vel
    nx = need[..., 0]
    ny = need[..., 1]
    use_x = nx.abs() >= ny.abs()
    zero = torch.zeros_like(nx)
    ax = torch.where(use_x, torch.sign(nx), zero)
    ay = torch.where(use_x, zero, torch.sign(ny))
    return torch.stack([ax, ay], -1)


def prey_choice(pos, prey, pvel, dirs):
    # the prey's fixed rule: imagine 3 steps of each action, flee the nearest
    p = prey.unsqueeze(-2) + 0.0 * dirs
    v = pvel.unsqueeze(-2) + 0.0 * dirs
    for k in range(3):
        p = p + 0.1 * v
        v = cap(0.75 * v + 0.4 * dirs, 1.3)
    gap = length(p.unsqueeze(-2) - pos.unsqueeze(-3)).amin(-1)
    pick = torch.softmax(60.0 * (gap - penalty(p)), -1)
    return (pick.unsqueeze(-1) * dirs).sum(-2)


def spread(x):
    c = x - x.mean(-1, keepdim=True)
    return torch.sqrt((c * c).mean(-1) + 1e-6)


def imagine(pos, vel, prey, pvel, obst):
    # contacts [B, agent varied, its action, agent touching] in a short rollout
    z = torch.zeros_like(pos[:, 0, 0])
    o = torch.ones_like(z)
    dirs = torch.stack([torch.stack([z, -o, o, z, z], -1),
                        torch.stack([z, z, z, -o, o], -1)], -1)
    usual = chase(pos, vel, prey, pvel)
    blocks = []
    for i in range(N_AGENTS):
        cols = [usual[:, j:j + 1].expand(-1, N_ACTIONS, -1) for j in range(N_AGENTS)]
        cols[i] = dirs
        blocks.append(torch.stack(cols, 2))
    act = torch.cat(blocks, 1)
    s = N_AGENTS * N_ACTIONS
    pos = pos.unsqueeze(1).expand(-1, s, -1, -1)
    vel = vel.unsqueeze(1).expand(-1, s, -1, -1)
    prey = prey.unsqueeze(1).expand(-1, s, -1)
    pvel = pvel.unsqueeze(1).expand(-1, s, -1)
    dirs = dirs.unsqueeze(1)
    obst = obst.unsqueeze(1)
    total = torch.zeros_like(pos[..., 0])
    for t in range(HORIZON):
        pacc = prey_choice(pos, prey, pvel, dirs)
        bump = push(pos - prey.unsqueeze(-2), 0.125)
        mates = push(pos.unsqueeze(-2) - pos.unsqueeze(-3), 0.15).sum(-2)
        walls = push(pos.unsqueeze(-2) - obst.unsqueeze(-3), 0.275).sum(-2)
        pwall = push(prey.unsqueeze(-2) - obst, 0.25).sum(-2)
        pos = pos + 0.1 * vel
        prey = prey + 0.1 * pvel
        vel = cap(0.75 * vel + 0.3 * act + bump + mates + walls, 1.0)
        pvel = cap(0.75 * pvel + 0.4 * pacc - bump.sum(-2) + pwall, 1.3)
        act = chase(pos, vel, prey, pvel)
        d = length(pos - prey.unsqueeze(-2))
        touch = torch.sigmoid((0.125 - d) / (0.03 + 0.01 * t))
        total = total + (0.92 ** t) * touch
    return total.reshape(-1, N_AGENTS, N_ACTIONS, N_AGENTS)


def credit(state):
    """An agent earns credit when its action in this step changes the contacts
    of the next steps: its own, which it can win or lose alone, and those of its
    mates, when it steers the prey or closes its way out together with them.
    Far from any contact, credit goes to whoever is closest to meeting the prey,
    stands ahead of it, drives it as the nearest, or forms a pincer with a mate."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    off = state["prey_offset"]
    pvel = state["prey_velocity"].mean(1)
    prey = (pos + off).mean(1)
    obst = (pos.unsqueeze(2) + state["obstacle_offset"]).mean(1)

    # imagined counterfactuals: what can it do alone, what with the others
    c = imagine(pos, vel, prey, pvel, obst)
    own = torch.stack([c[:, i, :, i] for i in range(N_AGENTS)], 1)
    alone = spread(own)
    team = spread(c.sum(-1))

    # geometry: ability to meet the prey, being ahead, driving, pincer
    d = length(off)
    gap = length(off + 0.2 * pvel.unsqueeze(1) - 0.3 * vel)
    unit = -off / d.unsqueeze(-1)
    heading = pvel / torch.clamp(length(pvel), min=0.3).unsqueeze(-1)
    ahead = 0.5 * (1.0 + (unit * heading.unsqueeze(1)).sum(-1))
    solo = torch.exp(-torch.minimum(gap, d) / 0.4) * (1.0 + 0.5 * ahead)
    driver = torch.softmax(-d / 0.12, -1) * torch.exp(-d / 0.8)
    near = torch.exp(-d / 0.6)
    cos = (unit.unsqueeze(2) * unit.unsqueeze(1)).sum(-1)
    opposite = 0.5 * (1.0 - cos)
    pincer = near * (opposite * near.unsqueeze(1)).sum(-1)

    s = team + 0.4 * alone + 0.25 * solo + 0.1 * driver + 0.1 * pincer
    top = s.amax(-1, keepdim=True)
    weights = 0.3 + 1.2 * s / (top + 0.05)

    bias = 10.0 * torch.exp(-gap / 0.6).sum(-1, keepdim=True)
    return weights, bias
