"""Graders that stay warm, for one submission that is graded again and again: what ``watch`` works with.

Torch is imported, the suite is open. A run can be dropped at any time: its grader is killed, and the spare one that
stands ready behind it takes the next run. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from torchgrade.grading.events import Event, Fault, Graded, GraderEnded, GraderFailed, JobEvent
from torchgrade.grading.grader import GraderProcess
from torchgrade.grading.job import Job
from torchgrade.grading.nursery import CAN_FORK, Nursery
from torchgrade.model import Status

NO_CHECK = ("",)  # as ``only`` of a job: the grader opens the suite and does no more


@dataclass(frozen=True)
class Heard:
    """What a grader said."""

    grader: GraderProcess
    event: Event


class Warm:
    """One grader that runs the last job it was given, and a spare one. ``tell`` is called from their threads."""

    def __init__(self, root: Path, tell: Callable[[Heard], None]) -> None:
        self._root = root
        self._tell = tell
        self._nursery = Nursery(root) if CAN_FORK else None
        self._graders: list[GraderProcess] = []  # all that have not ended
        self._current: GraderProcess | None = None
        self._spare: GraderProcess | None = None

    def put(self, item: tuple[GraderProcess, Event], /) -> None:
        """A grader's word, from its thread."""
        self._tell(Heard(*item))

    def run(self, job: Job) -> None:
        """Grade this job now; whatever runs is dropped."""
        self.drop()
        if self._current is None:
            self._current, self._spare = self._spare, None
        if self._current is None:
            self._current = self._grader(job)
        else:
            self._current.submit(job)

    def drop(self) -> None:
        """End what runs, at once."""
        if self._current is not None and self._current.job is not None:
            self._current.kill()
            self._current = None

    def prepare(self, job: Job) -> None:
        """Have a grader stand ready with the suite of the job's task open. Where nothing forks, it costs too much."""
        if self._spare is not None and self._spare.task != job.task:
            self._spare.kill()
            self._spare = None
        if self._spare is None and self._nursery is not None:
            self._spare = self._grader(replace(job, only=NO_CHECK))

    def hear(self, heard: Heard) -> JobEvent | None:
        """The event, where it is about the job that runs; a grader that ends within it ends it with a fault."""
        grader, event = heard.grader, heard.event
        job = grader.job
        if isinstance(event, GraderEnded):
            self._graders.remove(grader)
            grader.close()
        if grader is self._spare and isinstance(event, (Graded, GraderEnded, GraderFailed)):
            grader.job = None
            self._spare = grader if isinstance(event, Graded) else None
        if grader is not self._current:
            return None
        if isinstance(event, (GraderEnded, GraderFailed)):
            self._current = None
            text = event.message if isinstance(event, GraderFailed) else f"the grader ended with status {event.code}"
            return Fault(job.id, text) if job is not None else None
        if not isinstance(event, JobEvent) or job is None or event.job != job.id:
            return None
        if isinstance(event, Graded):
            grader.job = None
            if event.grade.status is Status.BROKEN:  # whatever is tried next, a fresh grader tries it
                grader.kill()
                self._current = None
        return event

    def _grader(self, job: Job) -> GraderProcess:
        grader = GraderProcess(self._root, self, job, self._nursery)
        self._graders.append(grader)
        return grader

    def close(self) -> None:
        """End every process that was started."""
        for grader in self._graders:
            grader.finish()
            grader.kill()
        if self._nursery is not None:
            self._nursery.close()
        for grader in self._graders:
            grader.close()
        self._graders.clear()
        self._current = self._spare = None
