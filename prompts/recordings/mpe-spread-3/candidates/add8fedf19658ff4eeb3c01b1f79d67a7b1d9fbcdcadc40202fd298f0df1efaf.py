import torch
import torch.nn.functional as F
import math

PERMS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
DT = 0.1
KEEP = 0.75        # share of the velocity that is left after a step
PUSH = 0.5         # velocity added by an action
GLIDE = 0.4        # way still to glide, per unit of velocity
CONTACT = 0.3      # centres closer than this are in contact
SOFT_CONTACT = 0.03
SOFT_MIN = 0.05    # softness of "nearest agent"
SOFT_PERM = 0.08   # softness of the assignment
FADE = 0.93        # later steps are less certain
FLOOR = 0.35       # credit that every agent keeps


def norm(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def previous(x):
    # entry j becomes that of agent j - 1 (agents on dimension -2)
    return torch.cat([x[..., 2:, :], x[..., :2, :]], dim=-2)


def following(x):
    # entry j becomes that of agent j + 1
    return torch.cat([x[..., 1:, :], x[..., :1, :]], dim=-2)


def step_loss(pos, lm):
    # pos [B, 3, 5, 3, 2], lm [B, 1, 1, 3, 2] -> [B, 3, 5]
    d = norm(pos.unsqueeze(-2) - lm.unsqueeze(-3))          # agents x landmarks
    nearest = -SOFT_MIN * torch.logsumexp(-d / SOFT_MIN, dim=-2)
    gap = norm(pos - previous(pos))                         # the three pairs
    touch = torch.sigmoid((CONTACT - gap) / SOFT_CONTACT)
    return 1.5 * nearest.sum(dim=-1) + touch.sum(dim=-1)


def rollout(pos, vel, target, lm, sel, forced, gain, steps):
    # Loss of the team, [B, 3, 5], when agent i (dim 1) takes action k (dim 2)
    # now, and everybody steers to its target with this gain otherwise.
    total = torch.zeros_like(forced[..., 0, 0])
    free = 1.0 - sel
    extra = forced
    scale = 1.0
    for t in range(steps):
        diff = pos - previous(pos)
        gap = norm(diff).unsqueeze(-1)
        force = diff / gap * (10.0 * F.relu(CONTACT - gap))
        bump = force - following(force)
        act = (target - pos - GLIDE * vel) * (gain / GLIDE)
        size = act.abs().sum(dim=-1, keepdim=True)
        act = act / torch.clamp(size / PUSH, min=1.0)
        act = free * act + extra
        pos = pos + DT * vel
        vel = KEEP * vel + act + bump
        total = total + scale * step_loss(pos, lm)
        scale = scale * FADE
        free = torch.ones_like(free)
        extra = torch.zeros_like(extra)
    return total


def spread(loss):
    dev = loss - loss.mean(dim=-1, keepdim=True)
    return torch.sqrt((dev * dev).mean(dim=-1) + 1e-6)


def credit(state):
    """An agent earns credit for how much its five actions, played forward with
    the known dynamics, spread the team's loss over the following steps.
    Laggards on whom a landmark depends, agents nearest to several landmarks and
    agents about to touch get much; settled or redundant agents get little.
    The bias is the loss still expected from the best assignment after gliding."""
    pos = state["own_position"]                             # [B, 3, 2]
    vel = state["own_velocity"]
    lm = pos[:, 0:1, :] + state["landmark_offset"][:, 0]    # [B, 3, 2]

    # Phase: where the agents end up by what they already did, and which
    # landmark each of them is therefore probably meant for.
    ahead = pos + 0.75 * GLIDE * vel
    d = norm(lm.unsqueeze(1) - ahead.unsqueeze(2))          # [B, agent, landmark]
    costs = []
    goals = []
    for p in PERMS:
        costs.append(d[:, 0, p[0]] + d[:, 1, p[1]] + d[:, 2, p[2]])
        goals.append(torch.stack([lm[:, p[0]], lm[:, p[1]], lm[:, p[2]]], dim=1))
    cost = torch.stack(costs, dim=1)                        # [B, 6]
    prob = F.softmax(-cost / SOFT_PERM, dim=1)
    goal = torch.stack(goals, dim=1)                        # [B, 6, 3, 2]
    target = (prob.unsqueeze(-1).unsqueeze(-1) * goal).sum(dim=1)

    # Which agent is varied, and the five actions it can take.
    zero = torch.zeros_like(pos[:, 0, 0])
    one = torch.ones_like(zero)
    sel = torch.stack([torch.stack([one, zero, zero], dim=-1),
                       torch.stack([zero, one, zero], dim=-1),
                       torch.stack([zero, zero, one], dim=-1)], dim=1)
    ax = torch.stack([zero, -one, one, zero, zero], dim=-1)
    ay = torch.stack([zero, zero, zero, -one, one], dim=-1)
    acts = PUSH * torch.stack([ax, ay], dim=-1)             # [B, 5, 2]
    sel = sel.unsqueeze(2).unsqueeze(-1)                    # [B, 3, 1, 3, 1]
    forced = sel * acts.unsqueeze(1).unsqueeze(3)           # [B, 3, 5, 3, 2]

    blank = torch.zeros_like(forced)
    pos5 = blank + pos.unsqueeze(1).unsqueeze(1)
    vel5 = blank + vel.unsqueeze(1).unsqueeze(1)
    target5 = target.unsqueeze(1).unsqueeze(1)              # [B, 1, 1, 3, 2]
    lm5 = lm.unsqueeze(1).unsqueeze(1)

    # Skilled continuation (errors on the way persist, errors at the goal are
    # repaired) and mere gliding (who is nearest, who touches, right now).
    steered = spread(rollout(pos5, vel5, target5, lm5, sel, forced, 0.5, 9))
    gliding = spread(rollout(pos5, vel5, target5, lm5, sel, forced, 0.0, 5))
    score = 0.6 * steered + 0.4 * gliding                   # [B, 3]

    mean = score.mean(dim=1, keepdim=True)
    weights = FLOOR + score / torch.clamp(mean, min=1e-4)

    # Loss still to come: way left in the best assignment, bounded.
    left = (prob * cost).sum(dim=1, keepdim=True)
    bias = -20.0 * torch.tanh(4.0 * left / 20.0)
    return weights, bias
