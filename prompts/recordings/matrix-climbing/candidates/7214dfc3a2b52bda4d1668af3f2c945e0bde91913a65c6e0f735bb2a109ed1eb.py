import torch
import torch.nn.functional as F
import math

LINEAR = 0.25        # weight of the sum: A,A minus B,B = 4 fixes the spread
BASE = 9.0           # level at agreement, midway between 11 and 7
FLAT = 0.5           # half width of the flat top: no cost while |d| < FLAT
WELL = 8.0           # cost of mild disagreement (pairs with C)
WELL_LEFT = 1.225    # width for d < 0: C,C is 5 and B,C is 0
WELL_RIGHT = 4.7     # width for d > 0: C,B is 6 and A,C is 0
CLASH = 33.0         # additional cost of A against B
EDGE_RIGHT = 4.65    # A,C is partly over this edge, A,B wholly
WIDTH_RIGHT = 0.68
EDGE_LEFT = 7.17     # C,A is still inside this edge, B,A outside
WIDTH_LEFT = 0.5


def tfcaf(agents_q, state):
    """Sum of the two values, minus a well and a clash cost that depend on
    d = q0 - q1 alone, so a common level of the return never saturates them.
    The well is flat near agreement and has a narrow left and a wide right
    side, because C,C and B,C differ from C,B and A,C; a product of two gates,
    which closes when one value is far above the other, makes A against B
    cost 30. At the best fit A is the highest own value of both agents.
    """
    q0 = agents_q[:, 0:1]
    q1 = agents_q[:, 1:2]
    d = q0 - q1

    total = LINEAR * (q0 + q1)

    # Well: zero with zero slope within the flat top, so both sides join
    # smoothly; at most one of the two sides is active.
    over_right = torch.clamp(d - FLAT, min=0.0)
    over_left = torch.clamp(-d - FLAT, min=0.0)
    right = torch.tanh(over_right / WELL_RIGHT)
    left = torch.tanh(over_left / WELL_LEFT)
    well = right * right + left * left

    # Clash: both gates are open while neither agent is far above the other.
    gate_right = torch.sigmoid((EDGE_RIGHT - d) / WIDTH_RIGHT)
    gate_left = torch.sigmoid((EDGE_LEFT + d) / WIDTH_LEFT)
    clash = 1.0 - gate_right * gate_left

    return BASE + total - WELL * well - CLASH * clash
