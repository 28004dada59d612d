import torch
import torch.nn.functional as F
import math

FLOOR = 0.36         # credit that every agent keeps
REACH_SMALL = 0.12   # uncertainty of the lead, nearest agent on the goal
REACH_LARGE = 0.28   # the same, nearest agent far away
PUSH = 0.2           # way that one push adds until its velocity has faded
WIDTH_GOAL = 0.27    # width of the open zone, adversary bound for the goal
WIDTH_WRONG = 0.16   # width of the open zone, adversary already drawn away
WIDTH_BLEND = 0.08   # smooth change between both widths
LAG_GAIN = 0.3       # change of the width by the adversary's position
AHEAD = 0.2          # way that the nearer agent goes on towards the goal
PIVOT_GAIN = 1.55
PIVOT_DAMP = 0.12    # the nearer agent is less free to lure
ADV_REACH = 0.6      # way of the adversary while its target is changed
GAP_SQUARE = 0.03    # luring is worth little between close landmarks
GOAL_SMOOTH = 0.15   # closer than this the direction to the goal fades
BIAS_MAX = 6.0


def norm(x):
    return torch.sqrt((x * x).sum(dim=-1) + 1e-6)


def step_towards(x):
    # The way x, cut to the adversary's reach.
    return x * (ADV_REACH / torch.clamp(norm(x), min=ADV_REACH)).unsqueeze(-1)


def push_share(agents, dist, temperature):
    # Share of the change of the own distance that pushes hand on to the
    # (smooth) smaller distance of the team.
    x = agents[:, :, 0]
    y = agents[:, :, 1]
    pushed = torch.stack([
        torch.sqrt((x - PUSH) * (x - PUSH) + y * y + 1e-6),
        torch.sqrt((x + PUSH) * (x + PUSH) + y * y + 1e-6),
        torch.sqrt(x * x + (y - PUSH) * (y - PUSH) + 1e-6),
        torch.sqrt(x * x + (y + PUSH) * (y + PUSH) + 1e-6)], dim=-1)  # [B, 2, 4]
    own = dist.unsqueeze(-1)                         # [B, 2, 1]
    other = (dist.sum(dim=1, keepdim=True) - dist).unsqueeze(-1)
    t = temperature.unsqueeze(-1)                    # [B, 1, 1]
    after = t * F.softplus((other - pushed) / t)
    before = t * F.softplus((other - own) / t)
    team = (after - before).abs().mean(dim=-1)       # [B, 2]
    alone = (pushed - own).abs().mean(dim=-1)        # [B, 2]
    return torch.clamp(team / torch.clamp(alone, min=1e-3), max=1.0)


def credit(state):
    """The agent nearest to the goal earns credit for the distance it can
    close or lose, shared only as far as pushes of the other change the
    smaller distance. Both earn credit in the narrow zone where a push decides
    which landmark the adversary takes, seen where the mean is going and wider
    when the adversary was redirected lately. The two effects add up as
    vectors, so the nearer agent comes behind the decoy when they cancel."""
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
    temperature = (REACH_SMALL + (REACH_LARGE - REACH_SMALL)
                   * nearest / (nearest + 0.5))      # [B, 1]
    near = torch.softmax(-(dist - nearest) / temperature, dim=1)     # [B, 2]
    share = push_share(agents, dist, 0.7 * temperature)              # [B, 2]
    stake = 0.5 + nearest / (nearest + 0.4)          # [B, 1], 0.5 to 1.5
    direct = stake * (0.5 * near + 0.5 * share)      # [B, 2]

    # Directions: g to the goal (it fades near the goal, where every move
    # loses distance), u from the goal to the wrong landmark.
    g_len = torch.sqrt((goal * goal).sum(dim=-1) + GOAL_SMOOTH * GOAL_SMOOTH)
    g = goal / g_len.unsqueeze(-1)                   # [B, 2, 2]
    gap = norm(wrong)                                # [B]
    gap_safe = torch.clamp(gap, min=0.05)
    u = wrong / gap_safe.unsqueeze(-1)               # [B, 2]
    along = (g * u.unsqueeze(1)).sum(dim=-1)         # [B, 2], -1 to 1

    # Effect 2: how open the adversary's choice of landmark is.
    mean = agents.mean(dim=1)                        # [B, 2]
    # Above 0: the mean is on the goal's side of the bisector.
    margin = 0.5 * gap - (mean * u).sum(dim=-1)      # [B]
    # Soon: the nearer agent has gone on to the goal, the other has stayed.
    way = torch.clamp(nearest.squeeze(1), max=AHEAD)                 # [B]
    soon = margin - 0.5 * way * (near * along).sum(dim=1)            # [B]

    to_goal = -adv
    to_wrong = wrong - adv
    far_goal = norm(to_goal)                         # [B]
    far_wrong = norm(to_wrong)                       # [B]
    side = torch.sigmoid(margin / WIDTH_BLEND)       # [B]
    # Above 0: the adversary is nearer to the landmark that is not selected
    # now, so the mean has crossed lately. Below 0: it rests at its target.
    lag = (2.0 * side - 1.0) * (far_goal - far_wrong) / (gap + 0.2)
    width = WIDTH_WRONG + (WIDTH_GOAL - WIDTH_WRONG) * side
    width = width * (1.0 + LAG_GAIN * torch.tanh(1.5 * lag))         # [B]
    now_scaled = margin / width
    soon_scaled = soon / width
    is_open = (0.5 * torch.exp(-now_scaled * now_scaled)
               + 0.5 * torch.exp(-soon_scaled * soon_scaled))        # [B]

    # A changed target matters only if it sends the adversary elsewhere, and
    # as far as this changes its distance to the goal.
    dir_goal = to_goal / (far_goal + 0.2).unsqueeze(-1)
    dir_wrong = to_wrong / (far_wrong + 0.2).unsqueeze(-1)
    turn = torch.clamp(norm(dir_goal - dir_wrong), max=1.5) / 1.5    # [B]
    swing = norm(adv + step_towards(to_wrong)) - norm(adv + step_towards(to_goal))
    swing = torch.clamp(swing / (1.5 * ADV_REACH), min=0.0, max=1.0)
    worth = gap / (gap + 0.5) * gap * gap / (gap * gap + GAP_SQUARE)
    effect = worth * (0.4 + 0.3 * turn + 0.3 * swing)                # [B]
    pivot = (PIVOT_GAIN * is_open * effect).unsqueeze(1)             # [B, 1]
    pivot = pivot * (1.0 - PIVOT_DAMP * near)        # [B, 2]

    # Both together: length of direct * g + pivot * u.
    square = direct * direct + pivot * pivot + 2.0 * direct * pivot * along
    power = torch.sqrt(torch.clamp(square, min=0.0) + 1e-4)          # [B, 2]

    weights = FLOOR + power                          # [B, 2]

    # Return still to be had, with the landmark that the adversary will take.
    adv_dist = torch.clamp(far_goal, max=3.0).unsqueeze(1)           # [B, 1]
    lured = (gap * torch.sigmoid(-margin / 0.15)).unsqueeze(1)       # [B, 1]
    value = 3.0 * (0.5 * adv_dist + 0.5 * lured
                   - torch.clamp(nearest, max=3.0))
    bias = BIAS_MAX * torch.tanh(value / BIAS_MAX)
    return weights, bias
