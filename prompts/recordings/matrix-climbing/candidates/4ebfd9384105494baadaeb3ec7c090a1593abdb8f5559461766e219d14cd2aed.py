import torch
import torch.nn.functional as F
import math

LINEAR = 0.25        # weight of the sum; A,A minus B,B = 4 fixes the spread
BASE = 9.2           # level of agreement, halfway between A,A and B,B

# Agent 0 above agent 1: one wide drop through C,B (6), A,C (0), A,B (-30).
RIGHT = 40.0
RIGHT_EDGE = 5.28
RIGHT_WIDTH = 0.81

# Agent 0 below agent 1: a small step through C,C (5) down to B,C and C,A (0) ...
STEP = 8.2
STEP_EDGE = 1.55
STEP_WIDTH = 0.4

# ... and further out the clash B,A (-30).
LEFT = 35.0
LEFT_EDGE = 7.5
LEFT_WIDTH = 0.55


def tfcaf(agents_q, state):
    """Sum of the two values minus three smooth bounded steps in the difference
    d = q0 - q1: nearly flat while the agents agree (A,A and B,B), one wide drop
    where agent 0 is far above, a small step and then the clash where it is far
    below. The sides differ because C,B is good and B,C is not; d alone enters
    the steps, so a common level of the return never saturates them.
    """
    q0 = agents_q[:, 0:1]
    q1 = agents_q[:, 1:2]
    d = q0 - q1

    right = RIGHT * torch.sigmoid((d - RIGHT_EDGE) / RIGHT_WIDTH)
    step = STEP * torch.sigmoid((-d - STEP_EDGE) / STEP_WIDTH)
    left = LEFT * torch.sigmoid((-d - LEFT_EDGE) / LEFT_WIDTH)

    return BASE + LINEAR * (q0 + q1) - right - step - left
