import torch
import torch.nn.functional as F
import math

COALITIONS = ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2))
N_AGENTS = 3
FAR = 20.0            # steps to a food that is gone
LOG_SPEED = math.log(0.78)   # an opportunity fades with the steps to it
LOG_SLACK = math.log(0.85)   # waiting for a later partner leaves slack
LOG_BIAS = math.log(0.96)
NOW_BONUS = 0.6       # the food can be eaten in this very step
REPLACEABLE = 0.75    # share lost if others can do it as soon
SECOND_BEST = 0.3     # share of the opportunities beyond the best one
BLOCKING = 0.15
FLOOR = 0.25


def credit(state):
    """An agent earns credit for a food if it is needed in a coalition strong
    enough to eat it, the more the sooner that coalition can load, and most
    if it can load right now or is the last one to arrive. It loses most of
    that credit where the others can eat the food as soon without it."""
    agent_pos = state["agent_position"]
    agent_level = state["agent_level"]
    food_pos = state["food_position"]
    food_level = state["food_level"]
    last_action = state["last_action"]

    alive = (food_level > 0.5) & (food_pos[:, :, 0] > -0.5)      # [B, F]
    alive_f = alive.to(food_level.dtype)
    level = food_level * alive_f                                 # [B, F]
    remaining = level.sum(dim=1, keepdim=True)                   # [B, 1]
    value = level / torch.clamp(remaining, min=1.0)              # [B, F]

    # steps until agent i stands beside food f, [B, N, F]
    delta = torch.abs(agent_pos.unsqueeze(2) - food_pos.unsqueeze(1))
    steps = torch.clamp(delta.sum(dim=3) - 1.0, min=0.0)
    alive_nf = alive.unsqueeze(1) & (steps > -1.0)
    steps = torch.where(alive_nf, steps, torch.full_like(steps, FAR))
    sees = alive_nf & (delta.amax(dim=3) < 2.5)
    beside = alive_nf & (steps < 0.5)

    # how likely a partner plays its part; one that just tried to load is sure
    one = torch.ones_like(steps)
    loaded = (last_action > 4.5).to(steps.dtype).unsqueeze(2)    # [B, N, 1]
    partner = torch.where(sees, 0.7 * one, 0.4 * one)
    partner = torch.where(beside, (0.8 + 0.2 * loaded) * one, partner)
    own = torch.where(sees, one, 0.7 * one)

    zero_f = torch.zeros_like(level)
    with_i = [zero_f, zero_f, zero_f]
    without_i = [zero_f, zero_f, zero_f]
    fastest = zero_f

    for group in COALITIONS:
        strength = torch.zeros_like(remaining)                   # [B, 1]
        arrival = zero_f                                         # [B, F]
        for j in group:
            strength = strength + agent_level[:, j:j + 1]
            arrival = torch.maximum(arrival, steps[:, j])
        enough = alive & (strength > level - 0.5)
        speed = torch.exp(arrival * LOG_SPEED)
        now = (arrival < 0.5).to(level.dtype)
        speed = speed * (1.0 + NOW_BONUS * now)

        meeting = torch.exp((arrival + 2.0 * (len(group) - 1)) * LOG_BIAS)
        fastest = torch.maximum(
            fastest, torch.where(enough, meeting, zero_f))

        for i in range(N_AGENTS):
            others = torch.ones_like(level)
            for j in group:
                if j != i:
                    others = others * partner[:, j]
            if i in group:
                short = strength - agent_level[:, i:i + 1] < level - 0.5
                slack = torch.exp((arrival - steps[:, i]) * LOG_SLACK)
                gain = speed * slack * others * own[:, i]
                gain = torch.where(enough & short, gain, zero_f)
                with_i[i] = torch.maximum(with_i[i], gain)
            else:
                rival = torch.where(enough, speed * others, zero_f)
                without_i[i] = torch.maximum(without_i[i], rival)

    chance = torch.stack(with_i, dim=1)                          # [B, N, F]
    rival = torch.stack(without_i, dim=1)                        # [B, N, F]
    gain = chance - REPLACEABLE * torch.minimum(chance, rival)
    gain = gain * value.unsqueeze(1)

    best = gain.amax(dim=2)                                      # [B, N]
    opportunity = best + SECOND_BEST * (gain.sum(dim=2) - best)

    # a teammate that still has to move can be blocked by one close to it
    gap = torch.abs(agent_pos.unsqueeze(2) - agent_pos.unsqueeze(1))
    near = (gap.sum(dim=3) < 2.5).to(opportunity.dtype)          # [B, N, N]
    near = near * (1.0 - torch.eye(N_AGENTS).to(near).unsqueeze(0))
    moving = 1.0 - beside.to(opportunity.dtype).amax(dim=2)      # [B, N]
    blocked = (near * (moving * opportunity).unsqueeze(1)).amax(dim=2)
    score = opportunity + BLOCKING * blocked

    top = score.amax(dim=1, keepdim=True)
    weights = FLOOR + score / (top + 0.03)

    # return still to be had; levels of eaten foods are guessed by their mean
    mean_level = 0.5 * (1.0 + agent_level.sum(dim=1, keepdim=True))
    gone = (1.0 - alive_f).sum(dim=1, keepdim=True)
    initial = torch.clamp(remaining + gone * mean_level, min=1.0)
    bias = 0.8 * (level * fastest).sum(dim=1, keepdim=True) / initial
    return weights, bias
