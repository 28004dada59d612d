import torch
import torch.nn.functional as F
import math

STEPS = 8             # length of the imagined continuation
PUSH = 0.2            # way that one push adds in the end
FALL = 0.75           # velocity kept per step
DASH = 0.09           # way per step of the nearer agent to the goal
RESIDUAL = 0.12       # it never rests exactly on the goal
DRIFT = 0.05          # way per step of the decoy, outward
CHASE = 0.15          # way per step of the adversary
KEEP_LOSS = 0.04      # a push is slowly corrected by later actions
KEEP_LOSS_GOAL = 0.10 # and faster by an agent that holds the goal
REACH = 0.13          # lead in distance that is uncertain
REACH_GROWTH = 0.08
DIRECT = 1.4          # distance to the goal against luring
HOLD = 0.25           # spread from holding the goal, in any direction
WIDTH = 0.10          # uncertainty of the margin now
WIDTH_GROWTH = 0.012  # and its growth per step
FLOOR = 0.18          # credit that every agent keeps
BIAS_MAX = 6.0


def norm(x, eps=1e-6):
    return torch.sqrt((x * x).sum(dim=-1) + eps)


def chase(delta):
    # One step of the adversary: constant speed, slower when close.
    return delta * (CHASE / (norm(delta) + 0.25)).unsqueeze(-1)


def credit(state):
    """An agent earns credit for the spread of the team's return over its five
    actions, imagined for a few steps ahead. A push changes the distance of the
    nearest agent to the goal and, close to the bisector of the landmarks, the
    landmark that the adversary takes; both effects add up or cancel. The agent
    that holds the goal gets some credit for staying there."""
    goal = state["goal_offset"]                      # [B, 2, 2]
    landmarks = state["landmark_offset"]             # [B, 2, 2, 2]
    adversary = state["adversary_offset"]            # [B, 2, 2]

    # Everything relative to the goal.
    p = -goal                                        # [B, 2, 2]
    # One landmark is the goal, so the sum of both differences is the other.
    wrong = (landmarks[:, 0] - goal[:, 0].unsqueeze(1)).sum(dim=1)   # [B, 2]
    adv0 = adversary[:, 0] - goal[:, 0]              # [B, 2]

    dist = norm(p)                                   # [B, 2]
    nearest = dist.min(dim=1, keepdim=True)[0]       # [B, 1]
    reach = REACH + REACH_GROWTH * nearest           # [B, 1]
    role = torch.softmax(-(dist - nearest) / reach, dim=1)           # [B, 2]

    gap = norm(wrong)                                # [B]
    u = wrong / torch.clamp(gap, min=0.05).unsqueeze(-1)             # [B, 2]
    # Above 0: the mean is on the goal's side of the bisector.
    margin0 = 0.5 * gap - (p.mean(dim=1) * u).sum(dim=-1)            # [B]

    # The decoy moves outward while the adversary is not safely drawn away.
    drift = DRIFT * torch.sigmoid((margin0 + 0.1) / 0.15)            # [B]
    drift_way = (drift.unsqueeze(1) * (1.0 - role)).unsqueeze(-1) * u.unsqueeze(1)

    # Pushes: [B, varied agent, action, moved agent, xy].
    o = torch.zeros_like(gap)
    l = torch.ones_like(gap)
    dirs = torch.stack([torch.stack([o, o], dim=-1),
                        torch.stack([-l, o], dim=-1),
                        torch.stack([l, o], dim=-1),
                        torch.stack([o, -l], dim=-1),
                        torch.stack([o, l], dim=-1)], dim=1)         # [B, 5, 2]
    own = torch.stack([torch.stack([l, o], dim=-1),
                       torch.stack([o, l], dim=-1)], dim=1)          # [B, 2, 2]
    push = (own.unsqueeze(2).unsqueeze(-1)
            * dirs.unsqueeze(1).unsqueeze(3))        # [B, 2, 5, 2, 2]
    loss = KEEP_LOSS + KEEP_LOSS_GOAL * role * 0.4 / (0.4 + dist)    # [B, 2]

    soft = reach.unsqueeze(-1)                       # [B, 1, 1]
    u4 = u.unsqueeze(1).unsqueeze(1)                 # [B, 1, 1, 2]
    wrong4 = wrong.unsqueeze(1).unsqueeze(1)         # [B, 1, 1, 2]
    half = 0.5 * gap.unsqueeze(-1).unsqueeze(-1)     # [B, 1, 1]
    adv = adv0.unsqueeze(1).unsqueeze(1) + 0.0 * push[:, :, :, 0]    # [B, 2, 5, 2]
    total = 0.0 * push[:, :, :, 0, 0]                # [B, 2, 5]

    for t in range(1, STEPS + 1):
        # A push moves the agent from the second step on.
        size = PUSH * (1.0 - FALL ** (t - 1))
        shift = size * torch.exp(-loss * (t - 1.0))  # [B, 2]
        left = torch.maximum(dist - DASH * t * role,
                             torch.clamp(dist, max=RESIDUAL)) / dist
        nominal = p * left.unsqueeze(-1) + t * drift_way             # [B, 2, 2]
        pos = (nominal.unsqueeze(1).unsqueeze(1)
               + push * shift.unsqueeze(1).unsqueeze(1).unsqueeze(-1))

        # Soft minimum of the distances to the goal.
        d = norm(pos, 0.0036)                        # [B, 2, 5, 2]
        near = -soft * torch.logsumexp(-d / soft.unsqueeze(-1), dim=-1)

        # The adversary's choice, uncertain by the unseen velocities.
        margin = half - (pos.mean(dim=3) * u4).sum(dim=-1)           # [B, 2, 5]
        x = torch.clamp(margin / (WIDTH + WIDTH_GROWTH * t), min=-5.0, max=5.0)
        to_goal = torch.sigmoid(x * (1.6 + 0.07 * x * x)).unsqueeze(-1)
        adv = adv + to_goal * chase(-adv) + (1.0 - to_goal) * chase(wrong4 - adv)

        total = total + norm(adv, 1e-4) - DIRECT * near

    centred = total - total.mean(dim=2, keepdim=True)
    variance = (centred * centred).mean(dim=2)       # [B, 2]
    hold = HOLD * role
    weights = FLOOR + torch.sqrt(variance + hold * hold + 1e-4)      # [B, 2]

    # Return still to be had, with the landmark that the adversary will take.
    adv_dist = torch.clamp(norm(adv0), max=3.0).unsqueeze(1)         # [B, 1]
    lured = (gap * torch.sigmoid(-margin0 / 0.15)).unsqueeze(1)      # [B, 1]
    value = 3.0 * (0.5 * adv_dist + 0.5 * lured
                   - torch.clamp(nearest, max=3.0))
    bias = BIAS_MAX * torch.tanh(value / BIAS_MAX)
    return weights, bias
