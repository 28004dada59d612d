import torch
import torch.nn.functional as F
import math

TEMPERATURE = 0.3     # smoothness of the minima
CENTRE = 9.0          # midway between the payoffs of A,A and B,B
LEVEL_0 = 0.35        # linear weights: never vanishing gradients
LEVEL_1 = 0.15
TOL_0 = 1.7           # how far agent 0 may be ahead for free
COST_0 = 7.35
TOL_1_NEAR = 1.0      # agent 1 ahead: mild cost from here on
COST_1_NEAR = 1.3
TOL_1_FAR = 6.5       # agent 1 far ahead: heavy cost from here on
COST_1_FAR = 10.3
STEP_AT = 1.6         # small bounded step (height 2) when agent 1 is ahead
STEP_WIDTH = 0.3


def softmin(a, b):
    # smooth minimum of a and b, equal to -T * logsumexp(-a / T, -b / T)
    return a - TEMPERATURE * F.softplus((a - b) / TEMPERATURE)


def tfcaf(agents_q, state):
    """Joins the two values by smooth minima with tolerances: an agent may be
    ahead of the other by a margin, beyond it the team's value hangs on the
    agent that lags, so that A with B (far apart) is punished hard while C in
    the middle is tolerated. A small linear level ranks A,A above B,B, and the
    coupling depends on the difference alone, so common shifts leave it as is."""
    x = agents_q[:, 0:1]
    y = agents_q[:, 1:2]

    # common level of the team
    level = CENTRE + LEVEL_0 * x + LEVEL_1 * y

    # what each agent has in excess of what the weaker link supports
    excess_0 = x - softmin(x, y + TOL_0)
    excess_1_near = y - softmin(y, x + TOL_1_NEAR)
    excess_1_far = y - softmin(y, x + TOL_1_FAR)

    # bounded step between 0 and 2: agent 1 is ahead of agent 0 at all
    step = 1.0 + torch.tanh((y - x - STEP_AT) / STEP_WIDTH)

    q_tot = (level
             - COST_0 * excess_0
             - COST_1_NEAR * excess_1_near
             - COST_1_FAR * excess_1_far
             - step)
    return q_tot
