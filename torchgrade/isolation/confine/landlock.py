"""Landlock: which files this process and its children may open, enforced by the kernel for ever after.

It covers opening, creating, removing and executing by path, TCP, and (from version 6) signals and abstract sockets
that leave the job. It does not cover stat, chmod and the like; the mount namespace and the system call filter do.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Mapping

from torchgrade.isolation.confine import libc

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE, MAKE_CHAR = (1 << bit for bit in range(7))
MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER, TRUNCATE, IOCTL_DEV = (
    1 << bit for bit in range(7, 16)
)
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
HANDLED = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # later: 16 bits
MODES = {
    "r": READ_FILE | READ_DIR,
    "rx": READ_FILE | READ_DIR | EXECUTE,
    "rw": 0xFFFF & ~(EXECUTE | MAKE_CHAR | MAKE_BLOCK),
    "shm": READ_FILE | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE,  # shared by all jobs: no listing
    "dev": READ_FILE | WRITE_FILE,
    "gpu": READ_FILE | WRITE_FILE | IOCTL_DEV,
}
LEAST, WANTED = 3, 6  # truncation is covered from 3 on, signals and abstract sockets from 6 on


def version() -> int:
    """The version the kernel offers, 0 when it has none (or it is switched off)."""
    with contextlib.suppress(OSError):
        return libc.syscall(CREATE_RULESET, None, 0, 1)
    return 0


def restrict(rules: Mapping[str, str]) -> int:
    """Allow what ``rules`` (path to mode) say and nothing else; the version used. Needs no_new_privs.

    A path that does not exist is left out. OSError when the kernel has less than version 3.
    """
    offered = version()
    if offered < LEAST:
        raise OSError(f"Landlock {LEAST} is needed, the kernel offers {offered}")
    handled = HANDLED.get(offered, 0xFFFF)
    words = [handled, 3 if offered >= 4 else None, 3 if offered >= 6 else None]  # files; TCP; signals, abstract
    attributes = b"".join(struct.pack("Q", word) for word in words if word is not None)
    ruleset = libc.syscall(CREATE_RULESET, attributes, len(attributes), 0)
    for path, mode in rules.items():
        _allow(ruleset, path, MODES[mode] & handled)
    libc.syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return offered


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if not os.path.isdir(path):
        rights &= FILE_RIGHTS
    libc.syscall(ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, target), 0)
    os.close(target)
