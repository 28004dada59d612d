import torch
import torch.nn.functional as F
import math

GLIDE = 0.2                 # total way that one push adds
PUSHES = [(0.0, 0.0), (-GLIDE, 0.0), (GLIDE, 0.0), (0.0, -GLIDE), (0.0, GLIDE)]
NODES = [-2.0, -1.0, 0.0, 1.0, 2.0]   # grid for unseen velocities
NODE_TOTAL = 1.0 + 2.0 * math.exp(-0.5) + 2.0 * math.exp(-2.0)

LEAD_SD = 0.12              # uncertainty of who will be nearest
LEAD_GROWTH = 0.1
MARGIN_SD = 0.13            # uncertainty of the mean's side, adversary lured
MARGIN_SD_GOAL = 0.07       # added on the goal's side of the line
MARGIN_SOFT = 0.05
DRIFT = 0.2                 # the nearest agent will go on to the goal
PIVOT_STEPS = 3.0           # steps for which a changed target counts
TIED = 0.1                  # the agent tied to the goal takes its push back
FLOOR = 0.3


def norm(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def spread(x):
    centred = x - x.mean(dim=-1, keepdim=True)
    return (centred * centred).mean(dim=-1)


def credit(state):
    """An agent earns credit for the variance that its five actions cause in a
    small model of the return: by the distance of the nearest agent to the goal
    and by the adversary's target, which turns only if the agents' mean is near
    the dividing line. Both effects are combined with their sign, so the decoy
    comes first where the nearer agent's two effects cancel."""
    goal = state["goal_offset"]                      # [B, 2, 2]
    landmarks = state["landmark_offset"]             # [B, 2, 2, 2]
    adversary = state["adversary_offset"]            # [B, 2, 2]

    # Everything relative to the goal.
    agents = -goal                                   # [B, 2, 2]
    # One landmark is the goal, so the sum of both differences is the other.
    wrong = (landmarks[:, 0] - goal[:, 0].unsqueeze(1)).sum(dim=1)   # [B, 2]
    adv = adversary[:, 0] - goal[:, 0]               # [B, 2]

    dist = norm(agents)                              # [B, 2]
    other = torch.stack([dist[:, 1], dist[:, 0]], dim=1)             # [B, 2]
    nearest = dist.min(dim=1, keepdim=True)[0]       # [B, 1]
    near = torch.sigmoid((other - dist) / (LEAD_SD + LEAD_GROWTH * nearest))

    # Effect 1: distance of the nearest agent, for each own action.
    moved = torch.stack(
        [torch.sqrt((agents[:, :, 0] + dx) * (agents[:, :, 0] + dx)
                    + (agents[:, :, 1] + dy) * (agents[:, :, 1] + dy) + 1e-6)
         for dx, dy in PUSHES], dim=-1)              # [B, 2, 5]
    # A gain lasts until the agent arrives; near the goal it is soon corrected.
    steps = torch.clamp(3.0 + 6.0 * nearest, max=10.0).unsqueeze(-1)  # [B, 1, 1]
    lead_sd = (LEAD_SD + LEAD_GROWTH * nearest).unsqueeze(-1)         # [B, 1, 1]
    direct_var = torch.zeros_like(dist)
    direct_mean = torch.zeros_like(moved)
    for z in NODES:
        p = math.exp(-0.5 * z * z) / NODE_TOTAL
        half = 0.5 * z * lead_sd
        value = -steps * torch.minimum(moved + half, other.unsqueeze(-1) - half)
        direct_var = direct_var + p * spread(value)
        direct_mean = direct_mean + p * value

    # Effect 2: the landmark that the adversary takes, for each own action.
    gap = norm(wrong)                                # [B]
    u = wrong / torch.clamp(gap, min=0.05).unsqueeze(-1)             # [B, 2]
    mean = agents.mean(dim=1)                        # [B, 2]
    # Above 0: the mean is on the goal's side of the bisector.
    margin = 0.5 * gap - (mean * u).sum(dim=-1)      # [B]
    # The nearest agent goes on to the goal, the decoy pulls outward a little.
    leader = (near.unsqueeze(-1) * agents).sum(dim=1)                # [B, 2]
    drift = torch.clamp(DRIFT * (leader * u).sum(dim=-1), -0.15, 0.15)
    centre = margin + drift - 0.05                   # [B]
    margin_sd = MARGIN_SD + MARGIN_SD_GOAL * torch.sigmoid(centre / 0.1)

    # A changed target counts more if it sends the adversary elsewhere now.
    to_goal = -adv
    to_wrong = wrong - adv
    dir_goal = to_goal / (norm(to_goal) + 0.2).unsqueeze(-1)
    dir_wrong = to_wrong / (norm(to_wrong) + 0.2).unsqueeze(-1)
    turn = torch.clamp(norm(dir_goal - dir_wrong), max=1.5) / 1.5    # [B]
    size = PIVOT_STEPS * torch.clamp(gap, max=1.5) * (0.5 + 0.5 * turn)
    size = size.unsqueeze(-1).unsqueeze(-1)          # [B, 1, 1]

    shift = torch.stack([0.5 * (dx * u[:, 0] + dy * u[:, 1])
                         for dx, dy in PUSHES], dim=-1)              # [B, 5]
    keep = 1.0 - TIED * near                         # [B, 2]
    shift = keep.unsqueeze(-1) * shift.unsqueeze(1)  # [B, 2, 5]
    pivot_var = torch.zeros_like(dist)
    pivot_mean = torch.zeros_like(moved)
    for z in NODES:
        p = math.exp(-0.5 * z * z) / NODE_TOTAL
        m = (centre + z * margin_sd).unsqueeze(-1).unsqueeze(-1)     # [B, 1, 1]
        value = size * torch.sigmoid((shift - m) / MARGIN_SOFT)
        pivot_var = pivot_var + p * spread(value)
        pivot_mean = pivot_mean + p * value

    # Variance of the sum: the covariance carries support and conflict.
    cov = ((direct_mean - direct_mean.mean(dim=-1, keepdim=True))
           * (pivot_mean - pivot_mean.mean(dim=-1, keepdim=True))).mean(dim=-1)
    total = torch.clamp(direct_var + pivot_var + 2.0 * cov, min=0.0)  # [B, 2]
    part = torch.sqrt(total + 1e-5)
    share = part / part.sum(dim=1, keepdim=True)
    weights = FLOOR + 1.4 * share                    # [B, 2]

    # Modest estimate of the return still to be had.
    lured = torch.sigmoid(-margin / 0.15)            # [B]
    raw = 2.5 * (0.5 * norm(adv) + 0.5 * gap * lured).unsqueeze(1) - 2.5 * nearest
    bias = 6.0 * torch.tanh(raw / 6.0)               # [B, 1]
    return weights, bias
