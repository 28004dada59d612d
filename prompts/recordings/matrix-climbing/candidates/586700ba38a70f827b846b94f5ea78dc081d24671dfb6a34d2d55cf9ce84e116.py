import torch
import torch.nn.functional as F
import math

BASE = 9.0        # midway between the agreements on A (11) and on B (7)
SHARE = 0.25      # weight of each agent's value in the shared level
REACH = 8.0       # difference of the values for A against B
OUTER = 5.0       # slope of the penalty beyond that difference


def piece(d, x0, x1, y0, y1, m0, m1):
    # Rise of a cubic from (x0, y0) with slope m0 to (x1, y1) with slope m1:
    # 0 to the left of x0, y1 - y0 to the right of x1.
    w = x1 - x0
    rise = y1 - y0
    t = (F.relu(d - x0) - F.relu(d - x1)) / w
    c1 = w * m0
    c2 = 3.0 * rise - 2.0 * w * m0 - w * m1
    c3 = w * m0 + w * m1 - 2.0 * rise
    return t * (c1 + t * (c2 + t * c3))


def agreement(diff):
    # 0 where the values agree, falling on both sides, never positive.
    d = torch.clamp(diff, -REACH, REACH)
    h = (
        -39.0
        + piece(d, -8.0, -5.0, -39.0, -9.75, 5.0, 3.0)   # B,A .. C,A
        + piece(d, -5.0, -4.0, -9.75, -8.0, 3.0, 1.5)    # C,A .. B,C
        + piece(d, -4.0, -1.0, -8.0, -3.75, 1.5, 2.0)    # B,C .. C,C
        + piece(d, -1.0, 0.0, -3.75, 0.0, 2.0, 0.0)      # C,C .. equal
        + piece(d, 0.0, 3.0, 0.0, -1.75, 0.0, -1.2)      # equal .. C,B
        + piece(d, 3.0, 4.0, -1.75, -10.0, -1.2, -7.5)   # C,B .. A,C
        + piece(d, 4.0, 8.0, -10.0, -39.0, -7.5, -5.0)   # A,C .. A,B
    )
    beyond = F.relu(diff - REACH) + F.relu(-diff - REACH)
    return h - OUTER * beyond


def tfcaf(agents_q, state):
    """Adds a linear shared level, high when both values are high, to an
    agreement term that depends on the difference of the two values alone and
    punishes one high and one low value. A (high), C (middle) and B (low) on
    one scale then give all nine payoffs: agreeing on A is best, agreeing on B
    is next, and A against B costs most; a common offset of the return
    moves both values together and leaves the agreement untouched."""
    q0 = agents_q[:, 0:1]
    q1 = agents_q[:, 1:2]
    level = BASE + SHARE * (q0 + q1)
    return level + agreement(q0 - q1)
