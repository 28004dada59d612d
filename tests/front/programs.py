"""Credit functions that the model of these tests writes."""

from __future__ import annotations

GOOD = '''
import torch


def credit(state):
    """Number {number}: the agent nearer to a door earns more."""
    distance = (state["cell"].unsqueeze(2) - state["door"].unsqueeze(1)).abs()
    return 1.0 / ({number}.0 + distance.amin(dim=2))
'''
BAD = 'import torch\n\n\ndef credit(state):\n    return state["sell"]\n'
