"""System calls by name, with their numbers, and the three sets that the jail's policies are written in.

The numbers are the kernel's stable interface (`asm/unistd_64.h` for x86_64, `asm-generic/unistd.h` for aarch64), kept
here as a table to read, so that no compiled filter lies in the repository and libseccomp is not needed.
"""

from __future__ import annotations

from typing import Final, Literal

Machine = Literal["x86_64", "aarch64"]

MACHINES: Final[tuple[Machine, ...]] = ("x86_64", "aarch64")
"""The columns of the table, in order."""

COMPUTE: Final[dict[str, tuple[int | None, int | None]]] = {
    # bytes on descriptors that are open already: the job's channel and /dev/null
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "close": (3, 57),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    # its own memory, within RLIMIT_AS
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "brk": (12, 214),
    "madvise": (28, 233),
    # its own signals, locks and clocks
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "sched_yield": (24, 124),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "getrusage": (98, 165),
    # who am I, random bytes, the end
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrandom": (318, 278),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""All that a job's child may do. Everything else fails with EPERM, unless it is in the hostile sets below."""

OTHER_PROCESSES: Final[dict[str, tuple[int | None, int | None]]] = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "recvmsg": (47, 212),
    "recvmmsg": (299, 243),
}
"""Signals and passed descriptors: the server needs them, a job's child never does."""

PROGRAMS: Final[dict[str, tuple[int | None, int | None]]] = {"execve": (59, 221), "execveat": (322, 281)}
"""Starting another program."""

ESCAPES: Final[dict[str, tuple[int | None, int | None]]] = {
    # the network; AF_VSOCK crosses even a network namespace
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    # the memory and the descriptors of other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # wide doors into the kernel
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "memfd_secret": (447, 447),
    "fanotify_init": (300, 262),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # the machine
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
}
"""Calls that neither the server nor a job needs and that lead out of a jail."""

FORKS: Final[dict[str, tuple[int | None, int | None]]] = {"clone": (56, 220), "clone3": (435, 435)}
"""The server forks with `clone`; `clone3` hides its flags from a filter behind a pointer."""

TABLE: Final[dict[str, tuple[int | None, int | None]]] = {
    **COMPUTE,
    **OTHER_PROCESSES,
    **PROGRAMS,
    **ESCAPES,
    **FORKS,
}
"""Name -> number on x86_64, number on aarch64; None where the machine has no such call."""


def number(name: str, machine: Machine) -> int | None:
    """Give the number of a system call on a machine, or None where it does not exist there."""
    return TABLE[name][MACHINES.index(machine)]
