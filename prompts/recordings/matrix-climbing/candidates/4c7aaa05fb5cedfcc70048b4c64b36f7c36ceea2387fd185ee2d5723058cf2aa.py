import torch
import torch.nn.functional as F
import math

LINEAR = 0.25        # weight of the sum; with A = 4 and B = -4, A,A minus B,B is 4
BASE = 9.0           # halfway between A,A = 11 and B,B = 7

# Agent 0 above agent 1 (d > 0): C,B is nearly free, A,C costs 10, A,B costs 39.
RIGHT_SLOPE = 6.95
RIGHT_EDGE = 2.39
RIGHT_SOFT = 0.45

# Agent 0 below agent 1 (d < 0): C,C costs 3.6, B,C costs 8, C,A costs 9.5.
WELL = 10.0
WELL_EDGE = 0.6
WELL_SOFT = 0.2
WELL_WIDTH = 3.4

# Far below: B,A costs 39.
LEFT_SLOPE = 13.8
LEFT_EDGE = 5.9
LEFT_SOFT = 0.22


def soft_hinge(x, edge, soft):
    # 0 below the edge, x - edge above it, smooth in between; slope within 0..1
    return soft * F.softplus((x - edge) / soft)


def tfcaf(agents_q, state):
    """Sum of the two values minus a cost of their difference d = q0 - q1: flat
    around agreement, a steep hinge where agent 0 is above agent 1, and a
    bounded well followed by a clash hinge where it is below. Actions of like
    value (A,A and B,B) pay, A against B is punished without a saturated
    plateau, and the two different sides place C; the sum ranks A,A above B,B
    and carries the common level of the return.
    """
    q0 = agents_q[:, 0:1]
    q1 = agents_q[:, 1:2]
    d = q0 - q1

    total = LINEAR * (q0 + q1)

    # Agent 0 above agent 1: free up to about 2, then a constant slope.
    right = RIGHT_SLOPE * soft_hinge(d, RIGHT_EDGE, RIGHT_SOFT)

    # Agent 0 below agent 1: early, bounded cost of mild disagreement.
    below = soft_hinge(-d, WELL_EDGE, WELL_SOFT)
    well = WELL * torch.tanh(below / WELL_WIDTH)

    # Agent 0 far below agent 1: clash, with a slope that never vanishes.
    left = LEFT_SLOPE * soft_hinge(-d, LEFT_EDGE, LEFT_SOFT)

    return BASE + total - right - well - left
