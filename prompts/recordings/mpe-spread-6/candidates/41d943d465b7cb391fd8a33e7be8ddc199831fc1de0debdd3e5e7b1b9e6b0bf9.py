import torch
import torch.nn.functional as F
import math

# (steps ahead, importance): an action shows in the position from step 2 on
HORIZONS = ((2, 1.0), (3, 1.0), (4, 1.0), (6, 1.2))
PUSH = 0.5
CONTACT = 0.3
FORCE = 10.0
LOSS_PER_DISTANCE = 3.0
COLLISION_COST = 1.3
JOB_SHARE = 0.5
MATCH_TEMP = 0.15
FLOOR = 0.4


def length(v):
    return torch.sqrt((v * v).sum(-1) + 1e-6)


def glide(steps):
    # distance covered in this many moves by a velocity of 1 that decays by 3/4
    return 0.4 * (1.0 - 0.75 ** steps)


def spread(x):
    # standard deviation over the actions (last dimension)
    c = x - x.mean(-1, keepdim=True)
    return torch.sqrt((c * c).mean(-1) + 1e-8)


def action_pushes(z):
    # [B, N] zeros -> [B, N, 5, 2]: NONE, LEFT, RIGHT, DOWN, UP
    ux = torch.stack([z, z - PUSH, z + PUSH, z, z], dim=-1)
    uy = torch.stack([z, z, z, z - PUSH, z + PUSH], dim=-1)
    return torch.stack([ux, uy], dim=-1)


def matching(cost):
    # soft one-to-one assignment of agents (rows) to landmarks (columns)
    logits = -cost / MATCH_TEMP
    for _ in range(6):
        logits = F.log_softmax(logits, dim=1)
        logits = F.log_softmax(logits, dim=2)
    return torch.exp(logits)


def best_without(dist, eye, temp):
    # [B, N, L] distances -> [B, N, L]: log of the cover by all but agent i
    logits = -dist.unsqueeze(1) / temp - 10000.0 * eye.unsqueeze(-1)
    return torch.logsumexp(logits, dim=2)


def credit(state):
    """An agent earns credit by what only it can do now: how strongly its five
    actions spread the coming coverage loss (given who could replace it at each
    landmark) and the contacts. Agents that the team's one-to-one division of
    labour needs for a landmark get a share too; replaceable agents get little."""
    vel = state["own_velocity"]
    pos = state["own_position"]
    to_land = state["landmark_offset"]

    z = torch.zeros_like(pos[:, :, 0])
    eye = torch.diag_embed(torch.ones_like(z))
    other = 1.0 - eye

    # present contact forces, away from each overlapping agent
    sep = pos.unsqueeze(2) - pos.unsqueeze(1)
    sep_len = length(sep)
    overlap = torch.clamp(CONTACT - sep_len, min=0.0) * other
    force = FORCE * (overlap.unsqueeze(-1) * sep / sep_len.unsqueeze(-1)).sum(2)

    next_vel = 0.75 * vel + force
    pushes = action_pushes(z)

    # who is needed where, judged by where everyone glides to
    base4 = 0.1 * vel + glide(3) * next_vel
    cost = length(to_land - base4.unsqueeze(2))
    match = matching(cost)
    substitute = -MATCH_TEMP * best_without(cost, eye, MATCH_TEMP)
    alone = torch.sigmoid((substitute - cost) / 0.15)
    need = match * (0.4 + 0.6 * alone)

    team_loss = torch.zeros_like(pushes[..., 0])
    job_loss = torch.zeros_like(pushes[..., 0])
    for h, importance in HORIZONS:
        g = glide(h - 1)
        base = 0.1 * vel + g * next_vel
        moved = base.unsqueeze(2) + g * pushes
        temp = 0.05 + 0.025 * h

        # coverage: agent i under action a, the others gliding
        d_base = length(to_land - base.unsqueeze(2))
        d_act = length(to_land.unsqueeze(2) - moved.unsqueeze(3))
        rest = best_without(d_base, eye, temp).unsqueeze(2)
        cover = -temp * (rest + F.softplus(-d_act / temp - rest))

        # contacts: agent i under action a against the gliding others
        mine = pos.unsqueeze(2) + moved
        theirs = pos + base
        gap = length(mine.unsqueeze(3) - theirs.unsqueeze(1).unsqueeze(1))
        touch = torch.sigmoid((CONTACT - gap) / (0.03 + 0.012 * h))
        touch = (touch * other.unsqueeze(2)).sum(-1)

        loss = LOSS_PER_DISTANCE * cover.sum(-1) + COLLISION_COST * touch
        team_loss = team_loss + importance * loss
        job = (need.unsqueeze(2) * d_act).sum(-1)
        job_loss = job_loss + importance * LOSS_PER_DISTANCE * job

    score = spread(team_loss) + JOB_SHARE * spread(job_loss)
    rel = score / torch.clamp(score.mean(1, keepdim=True), min=1e-4)
    weights = FLOOR + rel / (1.0 + 0.15 * rel)

    # potential: a few steps' worth of the loss that the team is heading for
    nearest = cost.min(dim=1)[0].sum(1)
    matched = (match * cost).sum(-1).sum(-1)
    pairs = 0.5 * (torch.sigmoid((CONTACT - sep_len) / 0.05) * other).sum(-1).sum(-1)
    step_loss = LOSS_PER_DISTANCE * (0.6 * nearest + 0.4 * matched) + pairs
    bias = -60.0 * torch.tanh(4.0 * step_loss / 60.0)
    return weights, bias.unsqueeze(1)
