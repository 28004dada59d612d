import torch
import torch.nn.functional as F
import math

FLOOR = 0.35         # credit that every agent keeps
REACH = 0.15         # lead in distance that one push can make good
REACH_GROWTH = 0.1   # the lead is less certain when both are far away
WIDTH_GOAL = 0.27    # width of the open zone, adversary bound for the goal
WIDTH_WRONG = 0.16   # width of the open zone, adversary already drawn away
WIDTH_BLEND = 0.08   # smooth change between both widths
PIVOT_GAIN = 1.5
GOAL_SMOOTH = 0.15   # closer than this the direction to the goal fades
BIAS_MAX = 6.0


def norm(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def credit(state):
    """The agent nearest to the goal earns credit for the distance it can
    close or lose, shared softly when the other is within reach of being
    nearest. Both earn credit in the narrow zone where a push decides which
    landmark the adversary takes. The two effects of a push add up as vectors:
    the nearer agent gains when its way to the goal also lures the adversary,
    and comes behind the decoy when the two cancel."""
    goal = state["goal_offset"]                      # [B, 2, 2]
    landmarks = state["landmark_offset"]             # [B, 2, 2, 2]
    adversary = state["adversary_offset"]            # [B, 2, 2]

    # Everything relative to the goal.
    agents = -goal                                   # [B, 2, 2]
    # One landmark is the goal, so the sum of both differences is the other.
    wrong = (landmarks[:, 0] - goal[:, 0].unsqueeze(1)).sum(dim=1)   # [B, 2]
    adv = adversary[:, 0] - goal[:, 0]               # [B, 2]

    # Effect 1: distance of the nearest agent to the goal.
    dist = norm(agents)                              # [B, 2]
    nearest = dist.min(dim=1, keepdim=True)[0]       # [B, 1]
    temperature = REACH + REACH_GROWTH * nearest
    near = torch.softmax(-(dist - nearest) / temperature, dim=1)     # [B, 2]
    stake = 0.5 + nearest / (nearest + 0.4)          # [B, 1], 0.5 to 1.5
    direct = stake * near                            # [B, 2]

    # Effect 2: how open the adversary's choice of landmark is.
    gap = norm(wrong)                                # [B]
    gap_safe = torch.clamp(gap, min=0.05)
    u = wrong / gap_safe.unsqueeze(-1)               # [B, 2]
    mean = agents.mean(dim=1)                        # [B, 2]
    # Above 0: the mean is on the goal's side of the bisector.
    margin = 0.5 * gap - (mean * u).sum(dim=-1)      # [B]
    side = torch.sigmoid(margin / WIDTH_BLEND)       # [B]
    width = WIDTH_WRONG + (WIDTH_GOAL - WIDTH_WRONG) * side
    scaled = margin / width
    is_open = torch.exp(-scaled * scaled)            # [B]

    # A changed target matters only if it sends the adversary elsewhere.
    to_goal = -adv
    to_wrong = wrong - adv
    dir_goal = to_goal / (norm(to_goal) + 0.2).unsqueeze(-1)
    dir_wrong = to_wrong / (norm(to_wrong) + 0.2).unsqueeze(-1)
    turn = torch.clamp(norm(dir_goal - dir_wrong), max=1.5) / 1.5    # [B]
    effect = gap / (gap + 0.5) * (0.4 + 0.6 * turn)  # [B]
    pivot = (PIVOT_GAIN * is_open * effect).unsqueeze(1)             # [B, 1]

    # Both together: length of direct * g + pivot * u. Near the goal every
    # move loses distance, so g has no sign there and fades.
    g_len = torch.sqrt((goal * goal).sum(dim=-1) + GOAL_SMOOTH * GOAL_SMOOTH)
    g = goal / g_len.unsqueeze(-1)                   # [B, 2, 2]
    along = (g * u.unsqueeze(1)).sum(dim=-1)         # [B, 2], -1 to 1
    square = direct * direct + pivot * pivot + 2.0 * direct * pivot * along
    power = torch.sqrt(torch.clamp(square, min=0.0) + 1e-4)          # [B, 2]

    weights = FLOOR + power                          # [B, 2]

    # Return still to be had, with the landmark that the adversary will take.
    adv_dist = torch.clamp(norm(adv), max=3.0).unsqueeze(1)          # [B, 1]
    lured = (gap * torch.sigmoid(-margin / 0.15)).unsqueeze(1)       # [B, 1]
    value = 3.0 * (0.5 * adv_dist + 0.5 * lured
                   - torch.clamp(nearest, max=3.0))
    bias = BIAS_MAX * torch.tanh(value / BIAS_MAX)
    return weights, bias
