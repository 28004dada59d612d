import torch
import torch.nn.functional as F
import math

HORIZON = 8
DECAY = 0.94
TOUCH = 0.125


def length(x):
    return torch.sqrt((x * x).sum(-1) + 1e-4)


def cap(v, top):
    speed = torch.sqrt((v * v).sum(-1, keepdim=True) + 1e-6)
    return v * torch.clamp(top / speed, max=1.0)


def push(a, b, reach):
    # velocity change of every a [..., n, 2] by overlaps with all b [..., m, 2]
    rel = a.unsqueeze(-2) - b.unsqueeze(-3)
    d = length(rel)
    strength = 10.0 * torch.clamp(reach - d, min=0.0) / d
    return (strength.unsqueeze(-1) * rel).sum(-2)


def flee(P, q, u, moves):
    # the prey's fixed rule, its choice made soft; q, u: [..., 1, 2]
    u1 = cap(0.75 * u + 0.4 * moves, 1.3)
    u2 = cap(0.75 * u1 + 0.4 * moves, 1.3)
    qa = q + 0.1 * (u + u1 + u2)
    near = torch.amin(length(qa.unsqueeze(-2) - P.unsqueeze(-3)), dim=-1)
    m = torch.abs(qa)
    ramp = 10.0 * torch.clamp(m - 0.9, min=0.0, max=0.1)
    steep = torch.exp(torch.clamp(2.0 * m - 2.0, min=0.0, max=6.0)) - 1.0
    score = near - (ramp + steep).sum(-1)
    prob = F.softmax(score / 0.01, dim=-1)
    return 0.4 * (prob.unsqueeze(-1) * moves).sum(-2, keepdim=True)


def chase(P, V, q, u):
    # a predator's acceleration towards where the prey will be
    e = (q + 0.2 * u) - (P + 0.23 * V)
    return 0.3 * e / (torch.abs(e).sum(-1, keepdim=True) + 0.03)


def advance(P, V, q, u, obstacles, acc, moves):
    prey_acc = flee(P, q, u, moves)
    hit_prey = push(q, P, TOUCH) + push(q, obstacles, 0.25)
    hit_pred = push(P, q, TOUCH) + push(P, P, 0.15) + push(P, obstacles, 0.275)
    P2 = P + 0.1 * V
    q2 = q + 0.1 * u
    V2 = cap(0.75 * V + acc + hit_pred, 1.0)
    u2 = cap(0.75 * u + prey_acc + hit_prey, 1.3)
    return P2, V2, q2, u2


def swings(pos, vel, prey, prey_vel, obst):
    # spread of the team's imagined contacts over the five actions of each agent
    z = torch.zeros_like(prey[:, 0])
    o = torch.ones_like(z)
    moves = torch.stack([
        torch.stack([z, z], dim=-1),
        torch.stack([-o, z], dim=-1),
        torch.stack([o, z], dim=-1),
        torch.stack([z, -o], dim=-1),
        torch.stack([z, o], dim=-1)], dim=1)              # [B, 5, 2]
    P = pos[:, None, None, :, :]                          # [B, 1, 1, 3, 2]
    V = vel[:, None, None, :, :]
    q = prey[:, None, None, None, :]                      # [B, 1, 1, 1, 2]
    u = prey_vel[:, None, None, None, :]
    obstacles = obst[:, None, None, :, :]
    prey_moves = moves[:, None, None, :, :]
    varied = 0.3 * moves[:, None, :, None, :]             # [B, 1, 5, 1, 2]
    me = torch.diag_embed(torch.ones_like(pos[:, :, 0]))  # [B, 3, 3]
    me = me[:, :, None, :, None]                          # [B, 3, 1, 3, 1]
    acc = me * varied + (1.0 - me) * chase(P, V, q, u)    # [B, 3, 5, 3, 2]
    total = torch.zeros_like(acc[..., 0]).sum(-1)         # [B, 3, 5]
    scale = 1.0
    for k in range(HORIZON):
        P, V, q, u = advance(P, V, q, u, obstacles, acc, prey_moves)
        contact = torch.sigmoid((TOUCH - length(q - P)) / 0.015)
        total = total + scale * contact.sum(-1)
        scale = scale * DECAY
        acc = chase(P, V, q, u)
    # what is left to be had afterwards: nearness at the end of the look-ahead
    total = total + 0.8 * torch.exp(-length(q - P) / 0.25).sum(-1)
    dev = total - total.mean(-1, keepdim=True)
    return torch.sqrt((dev * dev).mean(-1) + 1e-6)        # [B, 3]


def credit(state):
    """Credit follows the phase of the hunt. In the opening it is nearly even,
    in the chase it goes to the near and closing predators that steer the prey,
    more so when the prey is pinned at the border. In the strike it goes to
    those whose present action changes the contacts of the next steps most, in
    a short look-ahead that also tells how far the strike phase has begun."""
    pos = state["own_position"]
    vel = state["own_velocity"]
    off = state["prey_offset"]
    prey = (pos + off).mean(1)
    prey_vel = state["prey_velocity"].mean(1)
    obst = (pos.unsqueeze(2) + state["obstacle_offset"]).mean(1)

    dist = length(off)                                    # [B, 3]
    rel_vel = vel - prey_vel.unsqueeze(1)
    closing = (rel_vel * off).sum(-1) / dist

    # phase 1, opening: all stand still
    motion = length(vel).mean(-1, keepdim=True) + length(prey_vel).unsqueeze(-1)
    still = torch.exp(-motion / 0.25)

    # phase 2, chase: effective distance, sharper when the prey is pinned
    edge = torch.amax(torch.abs(prey), dim=-1, keepdim=True)
    pinned = torch.clamp((edge - 0.7) / 0.25, min=0.0, max=1.0)
    reach = dist - 0.2 * torch.clamp(closing, min=-1.0, max=2.0)
    lead = F.softmax(-reach / (0.35 - 0.15 * pinned), dim=-1)
    approach = 0.6 + 1.6 * lead
    approach = approach * (1.0 - 0.4 * still) + 0.4 * still

    # phase 3, strike: who can still change the contacts
    swing = swings(pos, vel, prey, prey_vel, obst)
    share = swing / (swing.sum(-1, keepdim=True) + 1e-3)
    strike = 0.5 + 3.0 * share

    top = torch.amax(swing, dim=-1, keepdim=True)
    begun = top / (top + 0.1)
    weights = (1.0 - begun) * approach + begun * strike

    # modest estimate of the contacts to come: about one step's worth at most
    bias = 10.0 * torch.exp(-dist / 0.5).sum(-1, keepdim=True)
    return weights, bias
