import torch
import torch.nn.functional as F
import math

BASE = 9.04          # level at which A,A is 11 and B,B is 7
LINEAR = 0.25        # weight of the sum: A,A minus B,B = 4 for A = 4, B = -4

# mild cost where agent 1 is above agent 0 (cells C,C  B,C  C,A)
NEG_SIZE = 7.9
NEG_EDGE = 0.65
NEG_SOFT = 0.2
NEG_WIDTH = 1.63

# mild cost where agent 0 is above agent 1 (cells C,B  A,C)
POS_SIZE = 9.0
POS_EDGE = 2.35
POS_SOFT = 0.3
POS_WIDTH = 1.59
LEVEL_PART = 0.5     # how much this cost changes with the level q0 + q1
LEVEL_WIDTH = 4.0

# large cost of a clash (cells B,A and A,B)
NEG_CLASH = 15.0
NEG_START = 5.85
NEG_END = 8.85
NEG_CLASH_SOFT = 0.5
POS_CLASH = 9.31
POS_START = 4.6
POS_END = 8.6
POS_CLASH_SOFT = 0.6
TAIL = 0.75          # slope that is left when the clash cost is full


def hinge(x, soft):
    """Smooth version of max(x, 0)."""
    return soft * F.softplus(x / soft)


def ramp(x, slope, start, end, soft):
    """Rises from start to end with the given slope, then with slope TAIL."""
    low = hinge(x - start, soft)
    high = hinge(x - end, soft)
    return slope * (low - high) + TAIL * high


def tfcaf(agents_q, state):
    """Sum of the two values minus a penalty on their difference d = q0 - q1:
    flat around d = 0 so that agreement (A,A and B,B) has positive slopes for
    both agents, mild and different on the two sides for the cells of C, and
    large where A meets B. The mild cost for d > 0 is multiplied by a bounded
    factor that grows with q0 + q1, so that the mirrored order (A low, B high)
    fits the cells of C worse than the right one.
    """
    q0 = agents_q[:, 0:1]
    q1 = agents_q[:, 1:2]
    total = q0 + q1
    d = q0 - q1

    # Agent 1 above agent 0: mild, bounded cost.
    mild_neg = NEG_SIZE * torch.tanh(hinge(-d - NEG_EDGE, NEG_SOFT) / NEG_WIDTH)

    # Agent 0 above agent 1: mild, bounded cost, smaller at a low level (C,B)
    # than at a high one (A,C). The factor stays between 0.5 and 1.5.
    factor = 1.0 + LEVEL_PART * torch.tanh(total / LEVEL_WIDTH)
    mild_pos = POS_SIZE * torch.tanh(hinge(d - POS_EDGE, POS_SOFT) / POS_WIDTH)

    # A against B on either side.
    clash_neg = ramp(-d, NEG_CLASH, NEG_START, NEG_END, NEG_CLASH_SOFT)
    clash_pos = ramp(d, POS_CLASH, POS_START, POS_END, POS_CLASH_SOFT)

    penalty = mild_neg + factor * mild_pos + clash_neg + clash_pos
    return BASE + LINEAR * total - penalty
