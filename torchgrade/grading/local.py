"""Jobs on this machine: one grader process for each job at a time, kept for the next one."""

from __future__ import annotations

import contextlib
import queue
import time
from pathlib import Path

from torchgrade.errors import TorchGradeError
from torchgrade.grading.events import Event, Fault, Graded, GraderEnded, GraderFailed, Ready
from torchgrade.grading.grader import Grader
from torchgrade.grading.job import Job
from torchgrade.grading.nursery import CAN_FORK, Nursery
from torchgrade.model import Status

NURSERY_MB, GRADER_MB = 600.0, 100.0  # torch imported in nursery and zygote; what a grader adds
SILENCE = 1800.0  # seconds without a word after which a grader is taken for dead


class LocalExecutor:
    """Up to ``jobs`` graders; together they promise at most ``memory_mb`` (default: 90 % of what is free).

    One alone is started and owns a zygote; several are forked from a nursery and share one.
    """

    def __init__(self, root: Path, jobs: int, memory_mb: float | None = None, silence: float = SILENCE) -> None:
        self._root = root
        self._jobs = jobs
        self._budget = 0.9 * available_mb() if memory_mb is None else memory_mb
        self._silence = silence
        self._sink: queue.Queue[tuple[Grader, Event]] = queue.Queue()
        self._nursery = Nursery(root) if jobs > 1 and CAN_FORK else None
        self._graders: list[Grader] = []

    def room(self, memory_mb: float) -> bool:
        busy = [grader.job for grader in self._graders if grader.job is not None]
        promised = sum(job.memory_mb for job in busy) + NURSERY_MB + GRADER_MB * (len(busy) + 1)
        return not busy or (len(busy) < self._jobs and promised + memory_mb <= self._budget)

    def submit(self, job: Job) -> None:
        """Give the job to an idle grader, best to one that has the task's suite open."""
        idle = [grader for grader in self._graders if grader.job is None]
        if idle:
            min(idle, key=lambda grader: grader.task != job.task).submit(job)
        else:
            self._graders.append(Grader(self._root, self._sink, job, self._nursery))

    def events(self, timeout: float) -> list[Event]:
        found: list[Event] = []
        wait = timeout
        with contextlib.suppress(queue.Empty):
            while True:
                grader, event = self._sink.get(timeout=wait) if wait else self._sink.get_nowait()
                if grader in self._graders:  # else it was given up
                    found += self._hear(grader, event)
                wait = 0.0
        return found + self._silent()

    def _hear(self, grader: Grader, event: Event) -> list[Event]:
        grader.heard = time.monotonic()
        job = grader.job
        if isinstance(event, GraderEnded):
            self._graders.remove(grader)
            return [Fault(job.id, f"the grader process ended with status {event.code}")] if job else []
        if isinstance(event, GraderFailed):
            self._give_up(grader)
            return [Fault(job.id, event.message)] if job else []
        if isinstance(event, Graded):
            grader.job = None
            if event.grade.status is Status.BROKEN:
                self._give_up(grader)
        return [event] if isinstance(event, Ready) or (job is not None and event.job == job.id) else []

    def _give_up(self, grader: Grader) -> None:
        """Whatever is tried next, a fresh grader tries it."""
        self._graders.remove(grader)
        grader.job = None
        grader.close()

    def _silent(self) -> list[Event]:
        """Give up graders that say nothing; every check has a limit, so silence is our own fault."""
        found: list[Event] = []
        for grader in list(self._graders):
            if grader.job is not None and time.monotonic() - grader.heard > self._silence:
                found.append(Fault(grader.job.id, f"the grader said nothing for {self._silence:g} s"))
                grader.kill()
                self._give_up(grader)
        return found

    def close(self, *, now: bool = False) -> None:
        """Graders that are idle leave by themselves when their input ends; busy ones are killed."""
        if not now and any(grader.job is not None for grader in self._graders):
            raise TorchGradeError("the executor is closed while jobs run")
        for grader in self._graders:
            grader.finish()
            if now:
                grader.kill()
        for grader in self._graders:
            grader.close()
        self._graders.clear()
        if self._nursery is not None:
            self._nursery.close()


def available_mb() -> float:
    """Memory that new processes may take, in MB; infinite where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return float("inf")
