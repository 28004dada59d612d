import torch
import torch.nn.functional as F
import math

FLOOR = 0.4          # credit that every agent keeps
REACH = 0.15         # lead in distance that one push can make good
REACH_GROWTH = 0.1   # the lead is less certain when both are far away
WIDTH_LURED = 0.15   # width of the open zone, adversary already drawn away
WIDTH_EXTRA = 0.15   # added on the goal's side, where crossing is still to come
SWAY = 1.5           # worth of swaying the adversary, relative to one direct push
TIED = 0.1           # the agent bound to the goal soon takes its shift back


def norm(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def credit(state):
    """The agent likely to stay nearest to the goal earns credit for the distance
    it can close or lose. Both earn credit for shifting the mean of the agents when
    it is close to the line that decides the adversary's target; for the nearer
    agent the two effects add up or cancel, by the angle between its way to the
    goal and the way from the goal to the wrong landmark."""
    goal = state["goal_offset"]                      # [B, 2, 2]
    landmarks = state["landmark_offset"]             # [B, 2, 2, 2]
    adversary = state["adversary_offset"]            # [B, 2, 2]

    # Everything relative to the goal. One landmark is the goal, so the sum of
    # both differences is the position of the wrong one.
    wrong = (landmarks[:, 0] - goal[:, 0].unsqueeze(1)).sum(dim=1)   # [B, 2]
    adv = adversary[:, 0] - goal[:, 0]               # [B, 2]
    mean = -goal.mean(dim=1)                         # [B, 2]
    gap = norm(wrong)                                # [B]
    axis = wrong / torch.clamp(gap, min=0.05).unsqueeze(-1)          # [B, 2]

    # Who is, and is likely to stay, the nearest to the goal.
    dist = norm(goal)                                # [B, 2]
    nearest = dist.min(dim=1, keepdim=True)[0]       # [B, 1]
    temperature = REACH + REACH_GROWTH * nearest
    near = torch.softmax(-(dist - nearest) / temperature, dim=1)     # [B, 2]
    # A push lasts longer in the return when the way is still long.
    push = 0.6 + 0.9 * nearest / (nearest + 0.4)     # [B, 1]

    # How open the adversary's choice is: margin above 0 means that the mean
    # of the agents is on the goal's side of the bisector.
    margin = 0.5 * gap - (mean * axis).sum(dim=-1)   # [B]
    width = WIDTH_LURED + WIDTH_EXTRA * torch.sigmoid(margin / 0.1)
    scaled = margin / width
    is_open = torch.exp(-scaled * scaled)            # [B]

    # A changed target matters only if it sends the adversary elsewhere.
    to_goal = -adv
    to_wrong = wrong - adv
    dir_goal = to_goal / (norm(to_goal) + 0.2).unsqueeze(-1)
    dir_wrong = to_wrong / (norm(to_wrong) + 0.2).unsqueeze(-1)
    turn = torch.clamp(norm(dir_goal - dir_wrong), max=1.5) / 1.5    # [B]
    effect = gap / (gap + 0.5) * (0.4 + 0.6 * turn)  # [B]
    sway = (SWAY * is_open * effect).unsqueeze(1)    # [B, 1]
    sway = sway * (1.0 - TIED * near)                # [B, 2]

    # Variance of push * g.d + sway * u.d over the directions of a push d.
    toward = goal / (dist + 0.15).unsqueeze(-1)      # [B, 2, 2]
    cosine = (toward * axis.unsqueeze(1)).sum(dim=-1)                # [B, 2]
    variance = near * (push * push + 2.0 * push * sway * cosine) + sway * sway
    weights = FLOOR + torch.sqrt(torch.clamp(variance, min=0.0) + 1e-3)

    # Modest estimate of the return still to be had: the adversary's distance
    # now and at its expected target, less the distance of the nearest agent.
    lured = torch.sigmoid(-margin / 0.15)            # [B]
    outlook = 0.5 * norm(adv) + 0.5 * gap * lured    # [B]
    value = 3.0 * (outlook.unsqueeze(1) - nearest)   # [B, 1]
    bias = 6.0 * torch.tanh(value / 6.0)
    return weights, bias
