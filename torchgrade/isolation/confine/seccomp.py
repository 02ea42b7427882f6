"""The filter of system calls: a classic BPF program that the kernel runs before each call.

Refused calls fail with EPERM, unknown ones with ENOSYS; a call of another architecture (int 0x80) ends the process.
The kernel compares what the program compares: the low 32 bits of an argument, as the calls themselves read it, so
that high bits cannot slip a forbidden value past the filter.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import struct
from collections.abc import Iterable

from torchgrade.isolation.confine import libc, syscalls

LOAD, JUMP_EQUAL, JUMP_ABOVE, JUMP_FROM, JUMP_BITS, RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
X32 = 0x40000000

AF_UNIX = 1
NEW_NAMESPACE = 0x7E020080  # CLONE_NEW* of clone(2)
TERMINAL_QUERIES = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS WINSZ FIONREAD FIONBIO FI(O)CLEX
TERMINAL_ATTACKS = (0x5412, 0x541C, 0x5423)  # TIOCSTI TIOCLINUX TIOCSETD
# Locks on shared files are a channel between jobs; the others notify, lease or grow what is shared.
FCNTL_REFUSED = (5, 6, 7, 8, 10, 15, 36, 37, 38, 1024, 1026, 1031)
# PDEATHSIG, names, timer slack, sub-reaper, no_new_privs, THP, names of memory areas: nothing of the confinement.
PRCTL_ALLOWED = (1, 2, 3, 15, 16, 21, 23, 29, 30, 36, 37, 38, 39, 40, 41, 42, 0x53564D41)
SOCKET_FILTERS = (26, 50, 51, 52)  # SO_ATTACH_FILTER, ..._BPF, REUSEPORT_CBPF, REUSEPORT_EBPF
RLIMIT_CORE = 4


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def _fail(number: int) -> bytes:
    return _op(RETURN, ERROR | number)


def _if_equal(value: int, then: bytes) -> bytes:
    return _op(JUMP_EQUAL, value, 0, len(then) // 8) + then


def _argument(index: int) -> bytes:
    return _op(LOAD, ARGUMENTS + 8 * index)


def _only(index: int, values: Iterable[int], error: int) -> bytes:
    """Allow the call when its argument is one of ``values``."""
    return _argument(index) + b"".join(_if_equal(v, _op(RETURN, ALLOW)) for v in values) + _fail(error)


def _not(index: int, values: Iterable[int]) -> bytes:
    """Refuse the call when its argument is one of ``values``."""
    refused = b"".join(_if_equal(v, _fail(errno.EPERM)) for v in values)
    return _argument(index) + refused + _op(RETURN, ALLOW)


def _conditions(level: int, cuda: bool) -> dict[str, bytes]:
    """The calls that depend on their arguments."""
    reads = _argument(2) + _if_equal(0, _op(LOAD, ARGUMENTS + 20) + _if_equal(0, _op(RETURN, ALLOW)))  # no new limit
    own_limits = _argument(0) + _op(JUMP_EQUAL, 0, 1, 0) + _fail(errno.EPERM) + reads + _not(1, (RLIMIT_CORE,))
    clone = _argument(0) + _op(JUMP_BITS, NEW_NAMESPACE, 0, 1) + _fail(errno.EPERM) + _op(RETURN, ALLOW)
    return {
        # Without a mount namespace a path would lead to sockets of the host (a desktop bus, a container engine).
        "socket": _only(0, (AF_UNIX,) if level == 3 else (), errno.EAFNOSUPPORT),
        "socketpair": _only(0, (AF_UNIX,), errno.EAFNOSUPPORT),
        "clone": clone,
        "clone3": _fail(errno.ENOSYS),  # its flags lie in memory, where a filter cannot look
        "flock": _fail(errno.EPERM),
        "ioctl": _not(1, TERMINAL_ATTACKS) if cuda else _only(1, TERMINAL_QUERIES, errno.ENOTTY),
        "fcntl": _not(1, FCNTL_REFUSED),
        "prlimit64": own_limits,
        "setrlimit": _not(0, (RLIMIT_CORE,)),
        "prctl": _only(0, PRCTL_ALLOWED, errno.EPERM),
        "setsockopt": _not(2, SOCKET_FILTERS),
    }


@functools.cache
def program(level: int, cuda: bool = False, architecture: str | None = None) -> bytes:
    """The filter for a worker at ``level`` (3 or 2). OSError where the table lacks the architecture."""
    architecture = architecture or syscalls.machine()
    if architecture is None:
        raise OSError(errno.ENOSYS, "no table of system calls for this processor")
    numbers = syscalls.numbers(architecture)
    steps = [
        _op(LOAD, ARCHITECTURE),
        _op(JUMP_EQUAL, syscalls.ARCHITECTURES[architecture][1], 1, 0),
        _op(RETURN, KILL),
        _op(LOAD, NUMBER),
    ]
    if architecture == "x86_64":
        steps.append(_op(JUMP_FROM, X32, 0, 1) + _fail(errno.ENOSYS))
    plain = {n for name, n in numbers.items() if name not in syscalls.CONDITIONAL | syscalls.FOR_CUDA}
    if cuda:
        plain |= {numbers[name] for name in syscalls.FOR_CUDA}
    if level < 3:
        for name in sorted(syscalls.CHANGES_FILES & numbers.keys()):
            plain.discard(numbers[name])
            steps.append(_if_equal(numbers[name], _fail(0)))  # as if done: copying a file asks for it
    steps += [_if_equal(numbers[n], body) for n, body in _conditions(level, cuda).items() if n in numbers]
    for first, last in _ranges(plain):
        steps.append(_op(JUMP_FROM, first, 0, 2) + _op(JUMP_ABOVE, last, 1, 0) + _op(RETURN, ALLOW))
    steps.append(_op(JUMP_ABOVE, syscalls.NEWEST, 0, 1) + _fail(errno.ENOSYS) + _fail(errno.EPERM))
    return b"".join(steps)


def _ranges(values: set[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers, as (first, last)."""
    runs: list[tuple[int, int]] = []
    for value in sorted(values):
        if runs and runs[-1][1] == value - 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs


def install(code: bytes) -> None:
    """Put the filter on this process and all it starts, for good. Needs no_new_privs."""
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    libc.call("prctl", libc.PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header, len(header)), 0, 0)
