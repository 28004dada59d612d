import torch
import torch.nn.functional as F
import math

TAU = 0.25        # softness of "who is nearest to the goal"
NEAR = 0.15       # below this distance an agent counts as being on the goal
SIGMA = 0.30      # width of the zone around the bisector where the lure is open
LURE = 0.9        # size of the lure effect per unit of landmark distance
LURE_MAX = 1.5
CROSS = 0.6       # how far goal effect and lure effect add up or cancel
FLOOR = 0.3       # credit that every agent keeps
BIAS_STEPS = 4.0  # team reward is twice the difference: about two steps' worth
BIAS_MAX = 16.0


def length(v):
    return torch.sqrt((v * v).sum(dim=-1) + 1e-6)


def credit(state):
    """Credit goes to the agent that alone can hold the goal (the nearest one, shared
    softly when the other could take over), and to both agents when their mean position
    is near the bisector of the landmarks, where only together they lure the adversary.
    The two effects are added as vectors, so that an agent whose way to the goal also
    helps the lure earns more than one for which the two jobs cancel."""
    goal = state["goal_offset"]                      # [B, 2, 2]
    marks = state["landmark_offset"]                 # [B, 2, 2, 2]
    adv = state["adversary_offset"]                  # [B, 2, 2]

    # The landmark that is not the goal, as seen from each agent.
    wrong = marks.sum(dim=2) - goal                  # [B, 2, 2]

    # Ability 1: hold the goal alone. Only the nearest agent changes the distance.
    d = length(goal)                                 # [B, 2]
    d_other = d.sum(dim=1, keepdim=True) - d         # [B, 2]
    share = torch.sigmoid((d_other - d) / TAU)       # [B, 2]
    soft = goal * goal
    soft = soft.sum(dim=-1) + NEAR * NEAR            # [B, 2]
    pull = share.unsqueeze(-1) * goal / torch.sqrt(soft).unsqueeze(-1)
    # On the goal every push leads away from it, whatever its direction.
    leave = 0.35 * share * share * (NEAR * NEAR) / soft

    # Ability 2: lure the adversary together, through the mean position.
    axis = (wrong - goal).mean(dim=1)                # goal -> wrong landmark, [B, 2]
    span = length(axis)                              # [B]
    u = axis / span.unsqueeze(-1)                    # [B, 2]
    mid = -goal.mean(dim=1)                          # mean of the agents, from the goal
    margin = (mid * u).sum(dim=-1) - 0.5 * span      # > 0: adversary is lured away
    openness = 1.0 / (1.0 + (margin / SIGMA) * (margin / SIGMA))

    adv_goal = length((adv - goal).mean(dim=1))      # [B]
    adv_wrong = length((adv - wrong).mean(dim=1))    # [B]
    reach = 1.0 / (1.0 + 0.3 * torch.minimum(adv_goal, adv_wrong))
    stake = torch.clamp(LURE * span * reach * openness, max=LURE_MAX)   # [B]

    # The agent that is bound to the goal goes back: its pull lasts less.
    lasting = 1.0 - 0.2 * share                      # [B, 2]
    lure = (stake.unsqueeze(1) * lasting).unsqueeze(-1) * u.unsqueeze(1)  # [B, 2, 2]

    # Variance of the return over the pushes along both axes.
    variance = ((pull * pull).sum(dim=-1) + (lure * lure).sum(dim=-1)
                + 2.0 * CROSS * (pull * lure).sum(dim=-1) + leave)
    weights = torch.sqrt(torch.clamp(variance, min=0.0) + FLOOR * FLOOR)

    # Potential: a few steps' worth of the reward rate that is to be expected.
    lured = torch.sigmoid(margin / 0.2)
    future = 0.5 * adv_goal + 0.5 * span * lured
    nearest = torch.minimum(d[:, 0], d[:, 1])
    bias = torch.clamp(BIAS_STEPS * (future - nearest), min=-BIAS_MAX, max=BIAS_MAX)
    return weights, bias.unsqueeze(1)
