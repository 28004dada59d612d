import torch
import torch.nn.functional as F
import math

FLOOR = 0.35         # credit that every agent keeps
PUSH = 0.2           # distance that one push carries an agent in the end
REACH = 0.12         # softness of "nearest", on top of the push itself
REACH_GROWTH = 0.1   # the lead is less certain when both are far away
WIDTH_GOAL = 0.26    # width of the open zone, adversary bound for the goal
WIDTH_WRONG = 0.16   # width of the open zone, adversary already drawn away
WIDTH_BLEND = 0.08   # smooth change between both widths
PIVOT_GAIN = 1.5
STEEP = 1.2          # makes the slope of tanh much like a Gaussian bell
RETURNING = 0.12     # part of the nearer agent's pull that it takes back
BIAS_MAX = 6.0


def norm(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def credit(state):
    """Each agent's five actions are tried on a smooth value of the situation,
    and the spread of that value earns it credit. The value falls with the
    distance of the nearest agent to the goal and rises when the mean position
    crosses to the wrong landmark's side, so the agent that serves the goal
    gets most, and both get more where a push decides the adversary's target."""
    goal = state["goal_offset"]                      # [B, 2, 2]
    landmarks = state["landmark_offset"]             # [B, 2, 2, 2]
    adversary = state["adversary_offset"]            # [B, 2, 2]

    # Everything relative to the goal.
    agents = -goal                                   # [B, 2, 2]
    # One landmark is the goal, so the sum of both differences is the other.
    wrong = (landmarks[:, 0] - goal[:, 0].unsqueeze(1)).sum(dim=1)   # [B, 2]
    adv = adversary[:, 0] - goal[:, 0]               # [B, 2]

    # The five actions as the displacement they cause in the end.
    one = torch.ones_like(goal[:, :, 0])
    zero = torch.zeros_like(one)
    ex = torch.stack([one, zero], dim=-1)
    ey = torch.stack([zero, one], dim=-1)
    still = torch.zeros_like(ex)
    pushes = PUSH * torch.stack([still, ex, -ex, ey, -ey], dim=2)    # [B, 2, 5, 2]

    # Effect 1: distance of the nearest agent to the goal, after each push.
    dist = norm(agents)                              # [B, 2]
    nearest = dist.min(dim=1, keepdim=True)[0]       # [B, 1]
    temperature = REACH + REACH_GROWTH * nearest     # [B, 1]
    near = torch.softmax(-(dist - nearest) / temperature, dim=1)     # [B, 2]
    own = norm(agents.unsqueeze(2) + pushes)         # [B, 2, 5]
    other = torch.stack([dist[:, 1], dist[:, 0]], dim=1).unsqueeze(2)
    temp = temperature.unsqueeze(2)                  # [B, 1, 1]
    soft_min = own - temp * F.softplus((own - other) / temp)         # [B, 2, 5]
    # A delay costs more while there is a long way to go.
    stake = 0.65 + nearest / (nearest + 0.45)        # [B, 1]
    direct = -stake.unsqueeze(2) * soft_min          # [B, 2, 5]

    # Effect 2: the side of the bisector on which the mean position is.
    gap = norm(wrong)                                # [B]
    u = wrong / torch.clamp(gap, min=0.05).unsqueeze(-1)             # [B, 2]
    mean = agents.mean(dim=1)                        # [B, 2]
    # Above 0: the mean is on the goal's side.
    margin = 0.5 * gap - (mean * u).sum(dim=-1)      # [B]
    side = torch.sigmoid(margin / WIDTH_BLEND)       # [B]

    # Adversary far from the landmark selected now: the choice is recent.
    to_goal = -adv
    to_wrong = wrong - adv
    d_goal = norm(to_goal)
    d_wrong = norm(to_wrong)
    d_selected = side * d_goal + (1.0 - side) * d_wrong
    recent = (d_selected + 0.1) / (d_goal + d_wrong + 0.2)           # 0 to 1
    width = WIDTH_WRONG + (WIDTH_GOAL - WIDTH_WRONG) * side
    width = width * (0.8 + 0.4 * recent)             # [B]

    # A changed target matters only if it sends the adversary elsewhere.
    dir_goal = to_goal / (d_goal + 0.2).unsqueeze(-1)
    dir_wrong = to_wrong / (d_wrong + 0.2).unsqueeze(-1)
    turn = torch.clamp(norm(dir_goal - dir_wrong), max=1.5) / 1.5    # [B]
    effect = gap * gap / (gap * gap + 0.45) * (0.4 + 0.6 * turn)     # [B]

    shift = 0.5 * (pushes * u.unsqueeze(1).unsqueeze(1)).sum(dim=-1)  # [B, 2, 5]
    shift = shift * (1.0 - RETURNING * near).unsqueeze(2)
    wide = width.unsqueeze(1).unsqueeze(1)           # [B, 1, 1]
    gain = (2.0 * PIVOT_GAIN / STEEP * effect * width).unsqueeze(1).unsqueeze(1)
    crossed = (shift - margin.unsqueeze(1).unsqueeze(1)) / wide
    pivot = gain * torch.tanh(STEEP * crossed)       # [B, 2, 5]

    # Spread over the five actions, in units of a slope of the value.
    value = direct + pivot
    centred = value - value.mean(dim=2, keepdim=True)
    variance = (centred * centred).mean(dim=2)       # [B, 2]
    power = torch.sqrt(variance / (0.4 * PUSH * PUSH) + 1e-4)
    weights = FLOOR + power                          # [B, 2]

    # Return still to be had, with the landmark that the adversary will take.
    adv_dist = torch.clamp(d_goal, max=3.0).unsqueeze(1)             # [B, 1]
    lured = (gap * torch.sigmoid(-margin / 0.15)).unsqueeze(1)       # [B, 1]
    ahead = 3.0 * (0.5 * adv_dist + 0.5 * lured
                   - torch.clamp(nearest, max=3.0))
    bias = BIAS_MAX * torch.tanh(ahead / BIAS_MAX)
    return weights, bias
