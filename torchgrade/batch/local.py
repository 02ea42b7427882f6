"""Jobs on this machine: one grader process for each job at a time, kept for the next one."""

from __future__ import annotations

import contextlib
import queue
import time
from dataclasses import dataclass
from pathlib import Path

from torchgrade.batch.executor import News, available_mb
from torchgrade.errors import TorchGradeError
from torchgrade.grading.job import Job
from torchgrade.grading.nursery import CAN_FORK, Nursery
from torchgrade.grading.pool import Event, Grader
from torchgrade.model import Status

NURSERY_MB, GRADER_MB = 600.0, 100.0  # torch imported in nursery and zygote; what a grader adds
SILENCE = 1800.0  # seconds without a word after which a grader is taken for dead


@dataclass
class _Slot:
    """One grader, and the job it is busy with."""

    grader: Grader
    job: Job | None = None
    memory_mb: float = 0.0
    heard: float = 0.0


class LocalExecutor:
    """Up to ``jobs`` graders; together they promise at most ``memory_mb`` (default: 90 % of what is free)."""

    def __init__(self, root: Path, jobs: int, memory_mb: float | None = None, silence: float = SILENCE) -> None:
        self._root = root
        self._jobs = jobs
        self._budget = 0.9 * available_mb() if memory_mb is None else memory_mb
        self._silence = silence
        self._sink: queue.Queue[tuple[Grader, Event]] = queue.Queue()
        self._nursery = Nursery(root) if jobs > 1 and CAN_FORK else None
        self._slots: list[_Slot] = []

    def room(self, memory_mb: float) -> bool:
        busy = [slot for slot in self._slots if slot.job is not None]
        promised = sum(slot.memory_mb for slot in busy) + NURSERY_MB + GRADER_MB * (len(busy) + 1)
        return not busy or (len(busy) < self._jobs and promised + memory_mb <= self._budget)

    def submit(self, job: Job, memory_mb: float) -> None:
        """Give the job to an idle grader, best to one that has the task's suite open."""
        idle = [slot for slot in self._slots if slot.job is None and not slot.grader.leaving]
        slot = next((s for s in idle if s.grader.job is not None and s.grader.job.task == job.task), None)
        slot = slot or (idle[0] if idle else None)
        if slot is not None:
            slot.grader.submit(job)
        else:
            slot = _Slot(Grader(self._root, self._sink, job, self._nursery))
            self._slots.append(slot)
        slot.job, slot.memory_mb, slot.heard = job, memory_mb, time.monotonic()

    def news(self, timeout: float) -> list[News]:
        found: list[News] = []
        wait = timeout
        with contextlib.suppress(queue.Empty):
            while True:
                grader, event = self._sink.get(timeout=wait) if wait else self._sink.get_nowait()
                piece = self._hear(grader, event)
                found += [piece] if piece else []
                wait = 0.0
        return found + self._silent()

    def _hear(self, grader: Grader, event: Event) -> News | None:
        slot = next((slot for slot in self._slots if slot.grader is grader), None)
        if slot is None:
            return None  # a grader that was given up
        slot.heard = time.monotonic()
        job = slot.job
        if event.kind == "ended":
            self._slots.remove(slot)
            reason = f"the grader process ended with status {event.data.get('code')}"
            return News(job.id, fault=reason) if job else None
        if job is None:
            return None
        if event.kind == "outcome" and event.job == job.id:
            return News(job.id, outcome=event.outcome)
        if event.kind == "graded" and event.job == job.id:
            slot.job = None
            grade = event.grade
            if grade.status is Status.BROKEN:  # whatever is tried next, a fresh grader tries it
                self._slots.remove(slot)
                grader.close()
            return News(job.id, grade=grade)
        if event.kind == "broken":
            slot.job = None
            return News(job.id, fault=str(event.data.get("message", "")) or "the grader failed")
        return None

    def _silent(self) -> list[News]:
        """Give up graders that say nothing; every check has a limit, so silence is our own fault."""
        found = []
        for slot in list(self._slots):
            if slot.job is not None and time.monotonic() - slot.heard > self._silence:
                self._slots.remove(slot)
                slot.grader.kill()
                found.append(News(slot.job.id, fault=f"the grader said nothing for {self._silence:g} s"))
        return found

    def close(self, *, now: bool = False) -> None:
        """Graders that are idle leave by themselves when their input ends; busy ones are killed."""
        if not now and any(slot.job is not None for slot in self._slots):
            raise TorchGradeError("the executor is closed while jobs run")
        for slot in self._slots:
            if now:
                slot.grader.kill()
            else:
                slot.grader.finish()
        for slot in self._slots:
            slot.grader.job = None
            slot.grader.close()
        self._slots.clear()
        if self._nursery is not None:
            self._nursery.close()
