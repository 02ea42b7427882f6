"""What this machine has, as far as the options of a run ask for it. Found without importing torch."""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices(name: str) -> tuple[str, ...]:
    """Of ``--device``: ``all`` is the CPU, and CUDA where its driver is loaded."""
    if name != "all":
        return (name,)
    has_cuda = Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()
    return ("cpu", "cuda") if has_cuda else ("cpu",)
