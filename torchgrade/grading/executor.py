"""Where jobs run. The pool knows only this interface: ``local.py`` and ``batch/ray_executor.py`` implement it."""

from __future__ import annotations

from typing import Protocol

from torchgrade.grading.events import Event
from torchgrade.grading.job import Job


class Executor(Protocol):
    """Runs jobs side by side, each once. All methods are called from one thread."""

    def room(self, memory_mb: float) -> bool:
        """Whether a job that may need this much memory can start now."""

    def submit(self, job: Job) -> None:
        """Start a job; there must be room."""

    def events(self, timeout: float) -> list[Event]:
        """What happened since the last call; waits at most ``timeout`` seconds for the first of it.

        A job ends in one ``Graded`` or ``Fault``. What is tried after a fault, a fresh grader tries.
        """

    def close(self, *, now: bool = False) -> None:
        """End everything that was started, without leaving a process. ``now`` does not wait for running jobs."""
