"""Write the versioned probe states of built-in tasks: `python scripts/write_probe_states.py [TASK...]`.

Prompts hold figures measured on them, so a change of their content makes every recorded prompt differ: write a new
version (`qredit.prompts.probe_states_path`) rather than another content under the old one.
"""

from __future__ import annotations

import sys

from qredit.api.subjects import N_PROBE_STATES, PROBE_SEED
from qredit.marl import state_source
from qredit.prompts import probe_states_path
from qredit.states import save_states
from qredit.task import builtin_task_names, load_task

for name in sys.argv[1:] or builtin_task_names():
    save_states(probe_states_path(name), state_source(load_task(name)).sample(N_PROBE_STATES, PROBE_SEED))
