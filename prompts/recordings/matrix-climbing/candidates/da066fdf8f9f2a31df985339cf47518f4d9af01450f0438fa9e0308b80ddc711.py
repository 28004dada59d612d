import torch
import torch.nn.functional as F
import math

LINEAR = 0.25        # weight of the sum: A,A minus B,B = 4 at A = 4, B = -4
BASE = 9.37          # level, includes the small cost that is left at d = 0

# agent 0 above agent 1: wide flat top (C,B nearly free), then one ramp
RIGHT_EDGE = 2.57    # here the flat top ends: just at C,B, before A,C
RIGHT_SLOPE = 7.25   # A,C costs about 10, A,B about 39
RIGHT_WIDTH = 0.4

# agent 1 above agent 0: an early shelf (C,C, B,C, C,A), then the clash
SHELF_EDGE = 0.25
SHELF_SIZE = 9.8
SHELF_SCALE = 2.9
LEFT_EDGE = 5.8      # behind C,A, before B,A
LEFT_SLOPE = 13.5
LEFT_WIDTH = 0.3

CAP = 9.0            # beyond this distance both ramps flatten
TAIL = 0.75          # slope that is left beyond the cap


def hinge(x, width):
    """Smooth version of max(x, 0) with rounding of the given width."""
    return width * F.softplus(x / width)


def ramp(x, edge, slope, width):
    """Zero up to edge, rises with slope up to CAP, then with TAIL only."""
    rise = slope * hinge(x - edge, width)
    flatten = (slope - TAIL) * hinge(x - CAP, width)
    return rise - flatten


def tfcaf(agents_q, state):
    """A linear level of the two values minus a penalty on their difference
    d = q0 - q1, because A and B are good together and bad apart. The penalty
    has a wide flat top for d > 0, which keeps (C, B) nearly free, and a shelf
    for d < 0, which prices (C, C), (B, C) and (C, A); both sides end in a steep
    but bounded clash for A against B. It depends on d alone, so that a common
    level of the return never saturates it.
    """
    q0 = agents_q[:, 0:1]
    q1 = agents_q[:, 1:2]

    level = BASE + LINEAR * (q0 + q1)
    d = q0 - q1

    # Agent 0 above agent 1: (C, B) on the top, (A, C) and (A, B) on the ramp.
    right = ramp(d, RIGHT_EDGE, RIGHT_SLOPE, RIGHT_WIDTH)

    # Agent 1 above agent 0: shelf for (C, C), (B, C), (C, A).
    apart = hinge(-d - SHELF_EDGE, LEFT_WIDTH)
    shelf = SHELF_SIZE * torch.tanh(apart / SHELF_SCALE)

    # Far apart on this side: the clash (B, A).
    left = ramp(-d, LEFT_EDGE, LEFT_SLOPE, LEFT_WIDTH)

    return level - right - shelf - left
