import torch
import torch.nn.functional as F
import math

FLOOR = 0.3          # credit that every agent keeps
REACH = 0.15         # lead in distance that one push can make good
REACH_GROWTH = 0.1   # the lead is less certain when both are far away
SIDE_GOAL = 0.5      # width of the open zone, adversary bound for the goal
SIDE_WRONG = 0.3     # width of the open zone, adversary already drawn away
PIVOT_GAIN = 1.2


def norm(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def credit(state):
    """The agent nearest to the goal earns credit for the distance it can
    still close or lose, shared softly when the other is within reach of being
    nearest. Both earn credit when the mean of the agents is close to the line
    that decides which landmark the adversary takes, slightly more for the
    agent that is not tied to the goal."""
    goal = state["goal_offset"]                      # [B, 2, 2]
    landmarks = state["landmark_offset"]             # [B, 2, 2, 2]
    adversary = state["adversary_offset"]            # [B, 2, 2]

    # Everything relative to the goal.
    agents = -goal                                   # [B, 2, 2]
    # One landmark is the goal, so the sum of both differences is the other.
    wrong = (landmarks[:, 0] - goal[:, 0].unsqueeze(1)).sum(dim=1)   # [B, 2]
    adv = adversary[:, 0] - goal[:, 0]               # [B, 2]

    # Channel 1: distance of the nearest agent to the goal.
    dist = norm(agents)                              # [B, 2]
    nearest = dist.min(dim=1, keepdim=True)[0]       # [B, 1]
    temperature = REACH + REACH_GROWTH * nearest
    near = torch.softmax(-(dist - nearest) / temperature, dim=1)     # [B, 2]
    stake = 0.5 + nearest / (nearest + 0.4)          # [B, 1], 0.5 to 1.5
    direct = stake * near

    # Channel 2: how open the adversary's choice of landmark is.
    gap = norm(wrong)                                # [B]
    gap_safe = torch.clamp(gap, min=0.05)
    mean = agents.mean(dim=1)                        # [B, 2]
    # Above 0: the mean is on the goal's side of the bisector.
    margin = 0.5 * gap - (mean * wrong).sum(dim=-1) / gap_safe       # [B]
    width = torch.where(margin > 0,
                        torch.full_like(margin, SIDE_GOAL),
                        torch.full_like(margin, SIDE_WRONG))
    scaled = margin / width
    is_open = 1.0 / (1.0 + scaled * scaled)          # [B]

    # A changed target matters only if it sends the adversary elsewhere.
    to_goal = -adv
    to_wrong = wrong - adv
    dir_goal = to_goal / (norm(to_goal) + 0.2).unsqueeze(-1)
    dir_wrong = to_wrong / (norm(to_wrong) + 0.2).unsqueeze(-1)
    turn = torch.clamp(norm(dir_goal - dir_wrong), max=1.5) / 1.5    # [B]
    effect = gap / (gap + 0.5) * (0.4 + 0.6 * turn)  # [B]

    pivot = (PIVOT_GAIN * is_open * effect).unsqueeze(1)             # [B, 1]
    free = 0.85 + 0.3 * (1.0 - near)                 # [B, 2]
    mislead = pivot * free

    weights = FLOOR + direct + mislead               # [B, 2]

    # Modest estimate of the return still to be had.
    adv_dist = torch.clamp(norm(adv), max=3.0).unsqueeze(1)          # [B, 1]
    bias = 2.0 * adv_dist - 4.0 * torch.clamp(nearest, max=3.0)
    return weights, bias
