"""Jobs on this machine: one grader process for each job at a time, kept for the next one."""

from __future__ import annotations

import contextlib
import queue
import time
from pathlib import Path

from torchgrade.errors import TorchGradeError
from torchgrade.grading.events import CheckEnded, Event, Fault, Graded, GraderEnded, GraderFailed, Ready
from torchgrade.grading.grader import GraderProcess
from torchgrade.grading.job import Job
from torchgrade.grading.nursery import CAN_FORK, Nursery
from torchgrade.grading.usage import usage
from torchgrade.i18n import translate as _
from torchgrade.model import Status

NURSERY_MB, GRADER_MB = 600.0, 100.0  # torch imported in nursery and zygote; what a grader adds
SILENCE = 1800.0  # seconds without a word after which a grader is taken for dead
OWN_SECONDS, OWN_MB = 30.0, 4096.0  # that a grader itself may take for one check; the dearest of ours 1.2 s, 400 MB
LOOK = 0.2  # seconds between two looks at what graders take


class LocalExecutor:
    """Up to ``jobs`` graders; together they promise at most ``memory_mb`` (default: 90 % of what is free).

    One alone is started and owns a zygote; several are forked from a nursery and share one.
    """

    def __init__(
        self,
        root: Path,
        jobs: int,
        memory_mb: float | None = None,
        *,
        silence: float = SILENCE,
        own_seconds: float = OWN_SECONDS,
        own_mb: float = OWN_MB,
    ) -> None:
        self._root = root
        self._jobs = jobs
        self._budget = 0.9 * available_mb() if memory_mb is None else memory_mb
        self._silence = silence
        self._own_seconds = own_seconds
        self._own_mb = own_mb
        self._sink: queue.Queue[tuple[GraderProcess, Event]] = queue.Queue()
        self._nursery = Nursery(root) if jobs > 1 and CAN_FORK else None
        self._graders: list[GraderProcess] = []
        self._looked = 0.0

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
            self._graders.append(GraderProcess(self._root, self._sink, job, self._nursery))

    def events(self, timeout: float) -> list[Event]:
        found: list[Event] = []
        wait = timeout
        with contextlib.suppress(queue.Empty):
            while True:
                grader, event = self._sink.get(timeout=wait) if wait else self._sink.get_nowait()
                if grader in self._graders:  # else it was given up
                    found += self._hear(grader, event)
                wait = 0.0
        return found + self._watch()

    def _hear(self, grader: GraderProcess, event: Event) -> list[Event]:
        grader.heard, grader.spent = time.monotonic(), 0.0
        job = grader.job
        if isinstance(event, Ready):
            grader.number = event.process
        if isinstance(event, CheckEnded):
            grader.said = event.outcome.title
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

    def _give_up(self, grader: GraderProcess) -> None:
        """Whatever is tried next, a fresh grader tries it."""
        self._graders.remove(grader)
        grader.job = None
        grader.close()

    def _watch(self) -> list[Event]:
        """Give up graders that say nothing, and those that an answer keeps too busy."""
        now = time.monotonic()
        if now - self._looked < LOOK:
            return []
        self._looked = now
        found: list[Event] = []
        for grader in list(self._graders):
            if grader.job is None:
                continue
            if now - grader.heard > self._silence:  # every check has a limit, so silence is our own fault
                found.append(Fault(grader.job.id, f"the grader said nothing for {self._silence:g} s"))
            elif (reason := self._overrun(grader)) is not None:
                found.append(Fault(grader.job.id, reason, overran=True))
            else:
                continue
            grader.kill()
            self._give_up(grader)
        return found

    def _overrun(self, grader: GraderProcess) -> str | None:
        """What it takes more of than any answer needs, counted from its last word; None when it does not."""
        used = usage(grader.number)
        if used is None:
            return None
        grader.spent = grader.spent or used.seconds
        after = _("after the check '{title}'").format(title=grader.said) if grader.said else _("in the first check")
        seconds = self._own_seconds * (grader.job.timeout_scale if grader.job is not None else 1.0)
        if used.seconds - grader.spent > seconds:
            return _("comparing what came back takes more than {seconds:g} s of computing ({after})").format(
                seconds=seconds, after=after
            )
        if used.memory_mb > self._own_mb:
            return _("comparing what came back takes more than {memory} MB ({after})").format(
                memory=int(self._own_mb), after=after
            )
        return None

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
