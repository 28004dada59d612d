"""Systems without the modules of Unix: no jail, but each says why, also when all are tried."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SCRIPT = """
import json, os, select, signal, socket, sys
from qredit.errors import JailUnavailableError
sys.platform = "win32"
for name in ("resource", "fcntl", "termios", "pwd"):
    sys.modules[name] = None
del signal.SIGKILL, signal.SIGCHLD, signal.SIGSYS, select.poll, select.POLLIN, os.fork, os.sched_getaffinity, os.geteuid
del socket.AF_UNIX
from qredit.sandbox import open_jail, probe_jails
try:
    open_jail()
except JailUnavailableError as error:
    print(json.dumps([error.what, {status.name: [status.detail, status.remedy] for status in probe_jails()}]))
"""


def test_every_jail_says_why_it_cannot_be_had() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={name: value for name, value in os.environ.items() if name != "DOCKER_HOST"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    what, states = json.loads(done.stdout)
    assert what == "no jail works on this machine"
    assert set(states) == {"bubblewrap", "lockdown", "docker"}
    for name in ("bubblewrap", "lockdown"):
        assert states[name][0] == "it needs Linux, this is `win32`"
    assert states["docker"][0] == "`win32` has no Unix sockets"
    assert all("WSL 2" in remedy for _, remedy in states.values())
