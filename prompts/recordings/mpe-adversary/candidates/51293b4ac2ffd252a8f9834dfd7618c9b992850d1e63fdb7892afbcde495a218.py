import torch
import torch.nn.functional as F
import math

PUSH = 0.2  # final displacement that one action causes: 0.1 * 0.5 / (1 - 0.75)
MOVES = ((0.0, 0.0), (-PUSH, 0.0), (PUSH, 0.0), (0.0, -PUSH), (0.0, PUSH))


def soft_norm(x, y, eps):
    return torch.sqrt(x * x + y * y + eps)


def soft_min(a, b, tau):
    both = torch.stack((-a / tau, -b / tau), dim=-1)
    return -tau * torch.logsumexp(both, dim=-1)


def credit(state):
    """An agent earns credit by how much one push of it would change a proxy of the
    team's return: the distance of the agent nearest to the goal, and the side of the
    landmarks' bisector on which the agents' mean lies, which steers the adversary.
    The phase (opening, crossing, settled, late), read from guard, adversary and
    spread, sets how sharp the roles are and how long each effect lasts."""
    goal = state["goal_offset"]                      # [B, 2, 2]
    marks = state["landmark_offset"]                 # [B, 2, 2, 2]
    adv_off = state["adversary_offset"]              # [B, 2, 2]

    # Everything relative to the goal.
    pos = -goal                                      # agents [B, 2, 2]
    wrong = (marks.sum(dim=2) - 2.0 * goal).mean(dim=1)   # wrong landmark [B, 2]
    adv = (adv_off - goal).mean(dim=1)               # adversary [B, 2]
    px = pos[:, :, 0]
    py = pos[:, :, 1]

    gap = soft_norm(wrong[:, 0:1], wrong[:, 1:2], 1e-4)   # [B, 1]
    ux = wrong[:, 0:1] / gap
    uy = wrong[:, 1:2] / gap
    # Mean of the agents beyond the bisector; positive: the adversary is misled.
    side = (px * ux + py * uy).mean(dim=1, keepdim=True) - 0.5 * gap

    dist = soft_norm(px, py, 0.01)                   # [B, 2]
    dmin = dist.amin(dim=1, keepdim=True)            # [B, 1]

    # ---- Phase ----
    guard = torch.exp(-(dmin / 0.5) ** 2)            # someone is on the goal
    to_wrong = torch.sigmoid(side / 0.05)
    tx = to_wrong * wrong[:, 0:1]
    ty = to_wrong * wrong[:, 1:2]
    adv_gap = soft_norm(adv[:, 0:1] - tx, adv[:, 1:2] - ty, 1e-4)
    rest = torch.exp(-(adv_gap / 0.45) ** 2)         # adversary has arrived
    extent = torch.abs(goal).amax(dim=2).amax(dim=1, keepdim=True)
    late = torch.clamp((extent - 2.0) / 2.0, min=0.0, max=1.0)
    opening = (1.0 - guard) * (1.0 - late) * (1.0 - 0.5 * rest)

    # ---- Scales that the phase sets ----
    tau_near = 0.15 + 0.2 * opening
    tau_side = (0.18 + 0.12 * opening + 0.08 * (1.0 - rest)
                + 0.08 * torch.sigmoid(-side / 0.1))
    shrink = 1.0 - 0.4 * late
    h_near = torch.clamp(3.0 + 4.0 * dmin, max=9.0) * shrink
    h_flip = (5.0 + 3.0 * opening) * shrink
    prize = h_flip * 1.5 * gap / (1.5 + gap)         # value of misleading [B, 1]

    # A guard on the goal soon undoes its own push; a decoy's push lasts.
    share = torch.softmax(-dist / tau_near, dim=1)
    hold = share * torch.exp(-(dist / 0.4) ** 2)
    persist = 1.0 - 0.3 * hold                       # [B, 2]

    # ---- Counterfactual pushes ----
    other = torch.flip(dist, dims=[1])
    tau_pair = tau_near.expand_as(dist)
    values = []
    for dx, dy in MOVES:
        moved = soft_norm(px + dx, py + dy, 0.01)
        near = soft_min(moved, other, tau_pair)
        new_side = side + 0.5 * persist * (dx * ux + dy * uy)
        misled = torch.sigmoid(new_side / tau_side)
        values.append(prize * misled - h_near * near)
    stack = torch.stack(values, dim=0)               # [5, B, 2]
    centred = stack - stack.mean(dim=0, keepdim=True)
    var = (centred * centred).mean(dim=0)            # [B, 2]

    # The adversary's choice is all or nothing: near the bisector a push may flip it.
    prob = torch.sigmoid(side / tau_side)
    slope = prob * (1.0 - prob) / tau_side
    jump = 0.25 * prize * prize * 0.5 * PUSH * slope * persist

    power = torch.sqrt(var + jump + 1e-4)
    part = power / torch.clamp(power.sum(dim=1, keepdim=True), min=1e-6)
    weights = 0.35 + 1.3 * part

    # ---- Bias: a few steps' worth of the present prospects ----
    near_now = dmin / (1.0 + 0.25 * dmin)
    bias = 4.0 * (gap * prob - near_now)
    return weights, bias
