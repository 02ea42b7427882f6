"""The pool of jobs: feeds an executor what there is room for, and tries once more what was our own fault.

    jobs ─▶ Pool ─▶ executor (graders here, or on a cluster) ─▶ events

``grade``, ``verify``, ``calibrate`` and ``batch`` all work through their jobs here, by one rule. Imports no torch.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from torchgrade.grading.events import Event, Fault, Graded, Retried, Started
from torchgrade.grading.executor import Executor
from torchgrade.grading.job import Job, JobQueue
from torchgrade.grading.local import LocalExecutor
from torchgrade.model import Status, TaskGrade

TRIES = 2  # our own fault is tried once more, on a fresh grader
PATIENCE = 5  # so often a machine may be lost under a job before it counts as a try


class Pool:
    """A context: closed with jobs running, it ends every process below it at once."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._running: dict[int, tuple[Job, JobQueue]] = {}
        self._dear: deque[tuple[Job, JobQueue]] = deque()  # overran: the first is tried again alone

    @classmethod
    def local(cls, root: Path, jobs: int) -> Pool:
        """Of up to ``jobs`` graders on this machine."""
        return cls(LocalExecutor(root, jobs))

    def events(
        self,
        *queues: Iterable[Job],
        stopping: Callable[[], bool] = lambda: False,
    ) -> Iterator[Event]:
        """Grade the jobs of all ``queues`` and tell what happens; each job ends in one ``Graded`` or ``Fault``.

        Of several queues the first comes first; where its head finds no room, perhaps that of a later one does.
        A job that our own fault ended is ``Retried``, and run again after that event; by itself, when what runs has
        ended, where its grader took too much. ``stopping`` ends the feeding; what runs is finished. Graders stay for
        the next call.
        """
        waiting = [JobQueue(queue) for queue in queues]
        tries: Counter[int] = Counter()
        losses: Counter[int] = Counter()
        self._dear.clear()
        while self._running or (not stopping() and (self._dear or any(queue.peek() for queue in waiting))):
            if not stopping():
                yield from self._feed(waiting)
            for event in self._executor.events(0.2):
                if isinstance(event, (Fault, Graded)) and self._dear and self._dear[0][0].id == event.job:
                    self._dear.popleft()
                if isinstance(event, (Fault, Graded)) and (fault := _fault_of(event)) is not None:
                    losses[event.job] += isinstance(event, Fault) and event.lost
                    tries[event.job] += not (isinstance(event, Fault) and event.lost and losses[event.job] <= PATIENCE)
                    job, queue = self._running.pop(event.job)
                    if tries[event.job] < TRIES:
                        yield Retried(event.job, fault, tries[event.job])
                        if isinstance(event, Fault) and event.overran:
                            self._dear.append((job, queue))
                        else:
                            queue.put_back(job)
                        continue
                elif isinstance(event, Graded):
                    del self._running[event.job]
                yield event

    def _feed(self, waiting: Sequence[JobQueue]) -> Iterator[Started]:
        if self._dear:
            if not self._running:
                yield self._start(*self._dear[0])
            return
        for queue in waiting:
            while (job := queue.peek()) is not None and self._executor.room(job.memory_mb):
                yield self._start(queue.take(), queue)

    def _start(self, job: Job, queue: JobQueue) -> Started:
        self._running[job.id] = job, queue
        self._executor.submit(job)
        return Started(job.id)

    def close(self) -> None:
        self._executor.close(now=bool(self._running))

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _fault_of(end: Fault | Graded) -> str | None:
    """What was our own fault in the end of a job, None when nothing was."""
    if isinstance(end, Fault):
        return end.message or "the grader failed"
    return first_fault(end.grade) if end.grade.status is Status.BROKEN else None


def first_fault(grade: TaskGrade) -> str:
    """The first broken check of a grade in a sentence."""
    first = next((check for check in grade.checks if check.status is Status.BROKEN), None)
    return f"{first.title}: {first.message}" if first else "the grader failed"
