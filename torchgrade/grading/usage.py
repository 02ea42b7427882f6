"""What another process of this user's has taken so far, from the system's tables. Imports no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """``seconds`` of processor time in all its threads, without its children; memory of its own in MB."""

    seconds: float
    memory_mb: float


def usage(process: int) -> Usage | None:
    """None where the system has no such tables, or there is no such process."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()  # the name before it may hold anything
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
            sizes = [int(line.split()[1]) for line in file if line.startswith(("RssAnon:", "RssShmem:"))]
    except (OSError, IndexError, ValueError):
        return None
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, see proc_pid_stat(5)
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), sum(sizes) / 1024)
