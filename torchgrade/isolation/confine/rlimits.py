"""Limits that the kernel keeps for each process: memory, files, processes, CPU."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

from torchgrade.isolation.confine.libc import LINUX
from torchgrade.isolation.wire.limits import Limits

MB = 2**20


def apply(limits: Limits, alone: bool = False) -> None:
    """Set them, soft and hard, on this process and what it starts.

    ``alone``: the job has its own user namespace or user, so that the process limit counts only its own. Else
    it is set above what the user runs already.
    """
    try:
        import resource
    except ImportError:
        return
    cpu = math.ceil(limits.wall_seconds * max(1, limits.threads)) + 1
    values = {
        "CORE": 1,  # 0 would still run a helper that the system names for core dumps; 1 does not
        "CPU": cpu,
        "FSIZE": limits.file_mb * MB,
        "NOFILE": limits.open_files,
        "NPROC": limits.processes + (0 if alone else tasks_of_user()),
        "DATA": data_size() + limits.memory_mb * MB,
        "MEMLOCK": 65536,
        "MSGQUEUE": 0,
        "SIGPENDING": 256,
        "NICE": 0,
        "RTPRIO": 0,
    }
    for name, value in values.items():
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is None:
            continue
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.nullcontext() if LINUX else contextlib.suppress(ValueError, OSError):
            resource.setrlimit(number, (value, value))


def data_size() -> int:
    """Bytes that RLIMIT_DATA counts already, before the submission has asked for anything."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))


def tasks_of_user() -> int:
    """Threads that the real user of this process runs now, on the whole machine."""
    total, user = 0, str(os.getuid())
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            if fields["Uid"].split()[0] == user:
                total += int(fields["Threads"])
    return total
