"""What this machine has, asked without importing torch."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from torchgrade.errors import UsageError

DEVICES = ("cpu", "cuda", "mps")
LEAST_OPEN_FILES = 128  # of one process; a command, its nursery and a grader of one task stay below 70


def cores() -> int:
    """The processors that this process may use: all of the machine's, or those that taskset or a container leaves."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices(wanted: str) -> tuple[str, ...]:
    """What ``--device`` means: one of them, or with ``all`` the CPU and what else this machine seems to have."""
    if wanted != "all":
        return (wanted,)
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    return ("cpu", *(["cuda"] if has_nvidia() else []), *(["mps"] if apple else []))


def has_nvidia() -> bool:
    """Whether the driver of an NVIDIA card is here."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def need_open_files() -> None:
    """Take all open files that this process may have. UsageError where these are too few to grade."""
    try:
        import resource
    except ImportError:
        return  # Windows knows no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    if most < LEAST_OPEN_FILES:
        raise UsageError(
            f"this shell allows {hard} open files, and grading needs {LEAST_OPEN_FILES}: "
            f"use a shell with a larger `ulimit -n`"
        )
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
