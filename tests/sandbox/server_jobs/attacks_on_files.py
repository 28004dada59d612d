"""Attacks on files and on what lives in their place. Each returns its loot, or raises OSError when it is refused."""

# They call the system as directly as they can.
# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH109, PTH115, PTH116, PTH123, PTH208, PTH211

from __future__ import annotations

import ctypes
import os


def read_file(path: str) -> str:
    return open(path).read()


def list_folder(folder: str) -> str:
    return str(os.listdir(folder))


def ask_about_file(path: str) -> str:
    return str(os.stat(path).st_size)


def ask_through_access(path: str) -> str:
    if not os.access(path, os.R_OK):
        raise PermissionError(path)
    return "it exists"


def read_link(folder: str) -> str:
    return os.readlink("/proc/self/exe")


def write_file(folder: str) -> str:
    with open(f"{folder}/written", "w") as file:
        file.write("leftover")
    return "written"


def write_shared_memory_file() -> str:
    path = f"/dev/shm/qredit-test-{os.getpid()}"
    open(path, "w").close()
    os.unlink(path)
    return path


def append_to_file(path: str) -> str:
    with open(path, "a") as file:
        file.write("more")
    return "appended"


def truncate_file(path: str) -> str:
    os.truncate(path, 0)
    return "truncated"


def remove_file(path: str) -> str:
    os.unlink(path)
    return "removed"


def rename_file(path: str) -> str:
    os.rename(path, path + ".moved")
    return "renamed"


def change_mode(path: str) -> str:
    os.chmod(path, 0o777)
    return "changed"


def make_folder(folder: str) -> str:
    os.mkdir(f"{folder}/made")
    return "made"


def make_symlink(folder: str) -> str:
    os.symlink("/etc/passwd", f"{folder}/link")
    return open(f"{folder}/link").read()[:10]


def make_hard_link(path: str) -> str:
    os.link(path, path + ".link")
    return "linked"


def make_fifo(folder: str) -> str:
    os.mkfifo(f"{folder}/fifo")
    return "made"


def change_folder(folder: str) -> str:
    os.chdir(folder)
    return os.getcwd()


def make_memory_file() -> str:
    os.close(os.memfd_create("bomb"))
    return "made"


def make_old_shared_memory() -> str:
    private, create = 0, 0o1600
    libc = ctypes.CDLL(None, use_errno=True)
    number = libc.shmget(private, 4096, create)
    if number < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    libc.shmctl(number, 0, None)
    return "made"


def make_pipe() -> str:
    for end in os.pipe():
        os.close(end)
    return "made"
