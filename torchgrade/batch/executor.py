"""Where jobs run. The scheduler knows only this interface; ``local`` and ``ray_executor`` implement it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torchgrade.grading.job import Job
from torchgrade.model import Outcome, TaskGrade


@dataclass(frozen=True)
class News:
    """What became known of a job: one ``outcome``, its ``grade`` (the end), or a ``fault`` of ours (the end).

    ``blameless`` marks a fault in which the job had no part (a machine that left): it does not count as a
    try.
    """

    job: int
    outcome: Outcome | None = None
    grade: TaskGrade | None = None
    fault: str = ""
    blameless: bool = False


class Executor(Protocol):
    """Runs jobs side by side. All methods are called from one thread."""

    def room(self, memory_mb: float) -> bool:
        """Whether a job that may need this much memory can start now."""

    def submit(self, job: Job, memory_mb: float) -> None:
        """Start a job; there must be room."""

    def news(self, timeout: float) -> list[News]:
        """What happened since the last call; waits at most ``timeout`` seconds for the first piece."""

    def close(self, *, now: bool = False) -> None:
        """End everything that was started, without leaving a process. ``now`` does not wait for running jobs."""


def available_mb() -> float:
    """Memory that new processes may take, in MB; infinite where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return float("inf")
