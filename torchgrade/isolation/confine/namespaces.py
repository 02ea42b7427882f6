"""A grader's own user, pid, network, IPC, host name and cgroup namespaces, and for each job its own files."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable

from torchgrade.isolation.confine import libc

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
NOSUID, NODEV, NOEXEC, READONLY, BIND = 2, 4, 8, 1, 0x1000
PRIVATE = 0x44000  # MS_REC | MS_PRIVATE
INSIDE = 1000  # the user and group that a worker sees itself as

HOME, SHARED = "/box", ("/tmp", "/dev/shm")
NO_CAPABILITIES = struct.pack("IIIIII", 0, 0, 0, 0, 0, 0)
LAST_CAPABILITY = 63
KEEP_NOTHING = 0xEF  # securebits: root is nobody special, locked


def unshare() -> None:
    """Enter all namespaces (pid: for the next fork) as one mapped user. Needs a single thread."""
    user, group = os.getuid(), os.getgid()
    libc.call("unshare", NEWUSER | NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS | NEWCGROUP)
    maps = {"setgroups": "deny", "uid_map": f"{INSIDE} {user} 1", "gid_map": f"{INSIDE} {group} 1"}
    for name, value in maps.items():
        with open(f"/proc/self/{name}", "w") as file:
            file.write(value)


def hide_machine(hide_proc: bool = True) -> None:
    """In pid 1: mounts stay in here, the host has another name, and /proc is empty.

    The CUDA driver needs some of /proc: for it Landlock alone hides the rest.
    """
    libc.mount(None, "/", None, PRIVATE)
    if hide_proc:
        libc.mount("tmpfs", "/proc", "tmpfs", READONLY | NOSUID | NODEV | NOEXEC, "size=0,mode=0555")
    libc.call("sethostname", b"box", 3)


def private_folders(size_mb: int, shared: Iterable[str] = SHARED) -> None:
    """In a worker: its own mount namespace, where one tmpfs of ``size_mb`` holds home and the folders ``shared``."""
    libc.call("unshare", NEWNS)
    libc.mount("tmpfs", HOME, "tmpfs", NOSUID | NODEV, f"size={size_mb}m,nr_inodes=16384,mode=0700")
    for target in shared:
        folder = f"{HOME}/{os.path.basename(target)}"
        os.mkdir(folder, 0o700)
        libc.mount(folder, target, None, BIND)
    os.mkdir(f"{HOME}/work", 0o700)


def drop_capabilities() -> None:
    """No capability, now or later, by whatever program is started."""
    with contextlib.suppress(OSError):  # the kernel's last is passed, or there is no right to drop
        for number in range(LAST_CAPABILITY + 1):
            libc.prctl(libc.PR_CAPBSET_DROP, number)
    with contextlib.suppress(OSError):
        libc.prctl(libc.PR_SET_SECUREBITS, KEEP_NOTHING)
    libc.call("capset", struct.pack("Ii", 0x20080522, 0), NO_CAPABILITIES)
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
