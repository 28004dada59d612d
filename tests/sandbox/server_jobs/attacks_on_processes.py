"""Attacks on other processes and on the jail's own locks. Each returns its loot, or raises when it is refused."""

# They call the system as directly as they can.
# ruff: noqa: PTH110, PTH123, SIM115

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import threading
import time


def fork() -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


def daemonise(folder: str) -> str:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            open(f"{folder}/daemon", "w").write(str(os.getpid()))
        os._exit(0)
    for _ in range(1000):
        if os.path.exists(f"{folder}/daemon"):
            return "a daemon lives on"
        time.sleep(0.01)
    raise TimeoutError("no daemon came")


def start_thread() -> str:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    return "started"


def run_program() -> str:
    return subprocess.run(["/bin/echo", "ran"], capture_output=True, check=True).stdout.decode()


def become_program() -> str:
    os.execv("/bin/echo", ["echo", "fired: replaced"])


def spawn_program() -> str:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return "spawned"


def signal_process(pid: int) -> str:
    os.kill(pid, 0)
    return "a signal would reach it"


def signal_parent() -> str:
    os.kill(os.getppid(), 0)
    return "a signal would reach it"


def signal_group() -> str:
    os.kill(0, 0)
    return "a signal would reach it"


def signal_thread() -> str:
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    return "sent"


def trace_process() -> str:
    trace_me = 0
    if ctypes.CDLL(None, use_errno=True).ptrace(trace_me, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "traced"


def read_process_memory() -> str:
    class Span(ctypes.Structure):
        _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))

    source = ctypes.create_string_buffer(b"memory")
    target = ctypes.create_string_buffer(6)
    here, there = (Span(ctypes.addressof(buffer), 6) for buffer in (target, source))
    libc = ctypes.CDLL(None, use_errno=True)
    zero, one = ctypes.c_ulong(0), ctypes.c_ulong(1)
    if libc.process_vm_readv(os.getpid(), ctypes.byref(here), one, ctypes.byref(there), one, zero) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return target.raw.decode()


def detach_from_parent() -> str:
    set_parent_death_signal = 1
    if ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl")
    return "the parent's death no longer matters"


def change_process_name() -> str:
    set_name = 15
    if ctypes.CDLL(None, use_errno=True).prctl(set_name, b"systemd", 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl")
    return "renamed"


def change_limit() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return "set"


def change_session() -> str:
    os.setpgid(0, 0)
    return "moved to another group"


def change_priority() -> str:
    return str(os.nice(1))


def gain_no_privileges() -> str:
    set_no_new_privileges = 38
    if ctypes.CDLL(None, use_errno=True).prctl(set_no_new_privileges, 1, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "prctl")
    return "set"
