import torch
import torch.nn.functional as F
import math

DT = 0.1             # a step moves an agent by DT times its velocity
KEEP = 0.75          # share of the velocity that is left after a step
PUSH = 0.5           # what an action adds to the velocity
CONTACT = 0.3        # centres closer than this are in contact
FORCE = 10.0         # velocity change per unit of overlap
GLIDE = 0.4          # an agent that stops pushing glides on by GLIDE * v
COVER = 3.0          # loss per unit of distance of a landmark
STEPS = 6            # rewards looked at, from the first one that can change
DECAY = 0.9          # later rewards can still be corrected by later actions
FLOOR = 0.35         # weight that every agent keeps
BIAS_STEPS = 2.0     # steps' worth of landmark loss used as potential


def lengths(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def pair_gaps(p):
    # [..., N, 2] -> [..., N, N, 2], entry i, j is p_i - p_j
    return p.unsqueeze(-2) - p.unsqueeze(-3)


def repulsion(gap, dist):
    # velocity change of each agent by all that overlap with it
    overlap = F.relu(CONTACT - dist)
    return (gap / dist.unsqueeze(-1) * (FORCE * overlap).unsqueeze(-1)).sum(dim=-2)


def cover_loss(p, landmarks, tau):
    # sum over landmarks of the softened distance to the nearest agent
    d = lengths(p.unsqueeze(-2) - landmarks.unsqueeze(-3))     # [..., N, L]
    nearest = -tau * torch.logsumexp(-d / tau, dim=-2)         # [..., L]
    return COVER * nearest.sum(dim=-1)


def contact_loss(dist, others, width):
    # softened number of pairs in contact
    touching = torch.sigmoid((CONTACT - dist) / width) * others
    return 0.5 * touching.sum(dim=-1).sum(dim=-1)


def credit(state):
    """An agent earns credit for the opportunity it has right now: how much the
    team's loss of the next steps varies over its five actions, while all others
    glide on. Being (or nearly being) the nearest agent to landmarks that pull it
    the same way and being in or close to contact with another agent count;
    a spare agent that covers nothing and meets nobody gets little."""
    pos = state["own_position"]                                # [B, N, 2]
    vel = state["own_velocity"]                                # [B, N, 2]
    landmarks = (pos.unsqueeze(2) + state["landmark_offset"]).mean(dim=1)
    n = pos.shape[1]

    eye = torch.eye(n, dtype=pos.dtype, device=pos.device)
    others = 1.0 - eye                                         # [N, N]
    axes = PUSH * torch.eye(2, dtype=pos.dtype, device=pos.device)
    acts = torch.cat([pos.new_zeros(1, 2), -axes, axes], dim=0)  # [5, 2]
    # kick[0, i, a, j]: what agent j's velocity gains when agent i takes action a
    kick = eye[None, :, None, :, None] * acts[None, None, :, None, :]

    # the current step: the move is already decided, the action enters the velocity
    gap0 = pair_gaps(pos)
    v1 = KEEP * vel + repulsion(gap0, lengths(gap0))
    p1 = pos + DT * vel
    v = v1[:, None, None] + kick                               # [B, N, 5, N, 2]
    p = p1[:, None, None] + torch.zeros_like(kick)
    marks = landmarks[:, None, None]                           # [B, 1, 1, L, 2]

    gap = pair_gaps(p)
    dist = lengths(gap)
    total = torch.zeros_like(v[..., 0, 0])                     # [B, N, 5]
    scale = 1.0
    for h in range(1, STEPS + 1):
        force = repulsion(gap, dist)
        p = p + DT * v
        v = KEEP * v + force
        gap = pair_gaps(p)
        dist = lengths(gap)
        # the further ahead, the less sure is who is nearest and who touches
        tau = 0.04 + 0.03 * h
        width = 0.03 + 0.01 * h
        loss = cover_loss(p, marks, tau) + contact_loss(dist, others, width)
        total = total + scale * loss
        scale = scale * DECAY

    # opportunity: spread of the team's loss over the agent's own actions
    dev = total - total.mean(dim=-1, keepdim=True)
    spread = torch.sqrt((dev * dev).mean(dim=-1) + 1e-4)       # [B, N]
    rel = spread / torch.clamp(spread.mean(dim=-1, keepdim=True), min=1e-3)
    weights = FLOOR + torch.clamp(rel, max=3.0)

    # potential: loss still to come, seen from where the agents would come to rest
    rest = pos + GLIDE * vel
    ahead = cover_loss(rest, landmarks, 0.1)
    bias = -BIAS_STEPS * ahead
    bias = torch.clamp(bias, min=-60.0, max=10.0).unsqueeze(-1)
    return weights, bias
