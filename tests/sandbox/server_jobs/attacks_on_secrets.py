"""Attacks on secrets and the network. Each returns its loot, or raises OSError when it is refused."""

# They call the system as directly as they can.
# ruff: noqa: PTH123, SIM115

from __future__ import annotations

import ctypes
import fcntl
import os
import socket


def read_environment(parent: int) -> str:
    found = [f"{name}={value}" for name, value in os.environ.items()]
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    for index in range(10_000):
        variable = environ[index]
        if not variable:
            break
        found.append(variable.decode())
    for pid in ("self", "1", str(os.getppid()), str(parent)):
        try:
            found.append(open(f"/proc/{pid}/environ").read())
        except OSError:
            continue
    # Put together here: as a constant it would stand in the memory of every process that has loaded this module.
    canary = "-".join(("canary", "3f9a17c2"))
    loot = [text for text in found if canary in text]
    if not loot:
        raise PermissionError("no variable of the caller")
    return loot[0][:100]


def read_descriptors() -> str:
    for descriptor in range(4, 1024):
        try:
            loot = os.pread(descriptor, 100, 0)
        except OSError:
            continue
        if b"canary" in loot:
            return loot.decode()
    raise PermissionError("no descriptor of the caller")


def read_host_name() -> str:
    return os.uname().nodename


def open_tcp_socket() -> str:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
    return "opened"


def open_udp_socket() -> str:
    socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    return "opened"


def open_unix_socket() -> str:
    socket.socket(socket.AF_UNIX).close()
    return "opened"


def open_vsock() -> str:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return "opened"


def open_netlink() -> str:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    return "opened"


def open_socket_pair() -> str:
    for end in socket.socketpair():
        end.close()
    return "opened"


def control_device() -> str:
    bytes_waiting = 0x541B
    fcntl.ioctl(0, bytes_waiting, b"0000")
    return "asked"
