import torch
import torch.nn.functional as F
import math

LINEAR = 0.25        # weight of the sum; A,A minus B,B = 4 fixes the spread
BASE = 9.55          # level at which A,A is 11 and B,B is 7
WELL = 10.5          # size of the inner product: cost of mild disagreement
WELL_SHIFT = 0.7     # makes (C, B) better than (B, C)
WELL_WIDTH = 3.0
CLASH = 40.0         # size of the outer product: cost of A against B
CLASH_EDGE = 7.25
CLASH_WIDTH = 0.75


def tfcaf(agents_q, state):
    """Sum of the two values plus two bounded products of the values taken
    relative to each other: a product of two tanh terms of opposite sign, which
    falls as the agents drift apart, and a product of two sigmoid gates, which
    is 1 while they are on the same side and 0 when they clash (A against B).
    The products make actions good together and bad apart, and they depend on
    q0 - q1 alone, so that a common level of the return never saturates them.
    """
    q0 = agents_q[:, 0:1]
    q1 = agents_q[:, 1:2]

    total = LINEAR * (q0 + q1)

    # Inner product: 0 in agreement, towards -1 when the values differ.
    left = torch.tanh((q0 - q1 - WELL_SHIFT) / WELL_WIDTH)
    right = torch.tanh((q1 - q0 + WELL_SHIFT) / WELL_WIDTH)
    agreement = left * right

    # Outer product: both gates open while neither agent is far above the other.
    gate0 = torch.sigmoid((CLASH_EDGE - (q0 - q1)) / CLASH_WIDTH)
    gate1 = torch.sigmoid((CLASH_EDGE - (q1 - q0)) / CLASH_WIDTH)
    clash = 1.0 - gate0 * gate1

    return BASE + total + WELL * agreement - CLASH * clash
