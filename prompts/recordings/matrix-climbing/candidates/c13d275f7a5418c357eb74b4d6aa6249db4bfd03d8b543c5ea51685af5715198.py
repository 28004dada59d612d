import torch
import torch.nn.functional as F
import math

LEVEL = 9.16         # height of the flat top when the values sum to zero
LINEAR = 0.24        # weight of the sum; A,A minus B,B = 4 fixes the spread
WIDTH = 0.35         # softness of all knees
LEFT_EDGE = 0.735    # agent 1 above agent 0 by more than this: mild cost
LEFT_SLOPE = 1.71    # C,C then B,C then C,A lie on this slope
FAR_EDGE = 6.2       # agent 1 far above agent 0: B against A
FAR_SLOPE = 13.5
RIGHT_EDGE = 1.86    # agent 0 above agent 1 by more than this
RIGHT_SLOPE = 5.88   # C,B at its knee, then A,C, then A against B


def hinge(x):
    # smooth max(x, 0): slope between 0 and 1, never saturated above
    return WIDTH * F.softplus(x / WIDTH)


def tfcaf(agents_q, state):
    """Sum of the two values minus a smooth penalty on their difference
    d = q0 - q1: nearly zero on a broad flat top, gentle where agent 1 is above
    agent 0, stronger where agent 0 is above agent 1 and steep where B meets A.
    The sum makes A,A better than B,B, and the penalty makes equal choices good
    and clashes bad; it depends on d alone, so a common level of the return
    never distorts it, and the flat top keeps both slopes positive near
    agreement.
    """
    q0 = agents_q[:, 0:1]
    q1 = agents_q[:, 1:2]
    d = q0 - q1

    total = LINEAR * (q0 + q1)
    left = LEFT_SLOPE * hinge(-d - LEFT_EDGE)
    far = FAR_SLOPE * hinge(-d - FAR_EDGE)
    right = RIGHT_SLOPE * hinge(d - RIGHT_EDGE)

    return LEVEL + total - left - far - right
