"""The few C library calls that Python lacks: prctl, unshare, mount, and system calls by number.

Every wrapper raises OSError with the call's name. Importing this module works on every system; on one that is
not Linux each call raises OSError(ENOSYS).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from pathlib import Path

LINUX = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
MADV_COLLAPSE, HUGE = 25, 1 << 21
PR_SET_SECCOMP, PR_SET_SECUREBITS, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 22, 28, 36, 38


def call(name: str, *args: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Call the C function ``name``; integers are passed as unsigned long. The result, or OSError."""
    if _libc is None:
        raise OSError(errno.ENOSYS, f"{name}: not on this system")
    converted = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in args]
    result = int(getattr(_libc, name)(*converted))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} ({name})")
    return result


def syscall(number: int, *args: int | bytes | None) -> int:
    """The system call ``number``; -1 as an argument is allowed."""
    return call("syscall", number, *(a & 0xFFFFFFFFFFFFFFFF if isinstance(a, int) else a for a in args))


def prctl(option: int, value: int = 0) -> None:
    call("prctl", option, value, 0, 0, 0)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2); raises OSError that names the target."""
    try:
        call("mount", *(_text(s) for s in (source, target, kind)), flags, _text(data))
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror} on {target}") from None


def die_with_parent(signal_number: int = 9) -> None:
    """Let the kernel send ``signal_number`` to this process when its parent ends; Linux only."""
    if LINUX:
        prctl(PR_SET_PDEATHSIG, signal_number)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent has ended; Linux only."""
    if LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)


def use_huge_pages() -> None:
    """Gather this process's own memory in pages of 2 MB, of which a fork copies an entry each instead of 512.

    Linux 6.1 and newer can; elsewhere, and for pages that it refuses, nothing changes. A fork still copies 4 KB where
    it writes.
    """
    if not LINUX:
        return
    for line in Path("/proc/self/maps").read_text().splitlines():
        bounds, mode, _offset, _device, _inode, *name = line.split()
        if mode != "rw-p" or name not in ([], ["[heap]"]):
            continue
        first, last = (int(bound, 16) for bound in bounds.split("-"))
        for address in range(-(-first // HUGE) * HUGE, last // HUGE * HUGE, HUGE):
            with contextlib.suppress(OSError):
                call("madvise", address, HUGE, MADV_COLLAPSE)


def _text(value: str | None) -> bytes | None:
    return None if value is None else os.fsencode(value)
