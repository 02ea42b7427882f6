"""From hand-ins to verdicts: what must be graded, in which order, and what becomes of each job.

plan     hand-ins − what the gradebook knows = works, long tasks first
Scheduler.run     works → jobs → pool → gradebook, until done, stopped, or the disk is full
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.gradebook import Gradebook, Key, Target
from torchgrade.grading.events import CheckEnded, Event, Fault, Graded, Retried, Started
from torchgrade.grading.job import Job, Options
from torchgrade.grading.pool import TRIES, Pool, first_fault
from torchgrade.marks import TaskInfo
from torchgrade.model import Outcome, Status, TaskGrade, short_name
from torchgrade.scoring import award, task_status, total


@dataclass(frozen=True)
class TaskPlan:
    """What the scheduler must know of a task: its limits, its length, and the ids of its checks in order."""

    info: TaskInfo
    memory_mb: float
    seconds: float
    checks: tuple[str, ...] = ()


@dataclass
class Work:
    """One submission to grade. ``known`` are passed outcomes of an interrupted grading, ``label`` is for people."""

    key: Key
    label: str
    people: int
    known: tuple[Outcome, ...] = ()
    seen: list[Outcome] = field(default_factory=list)


class Watcher(Protocol):
    """Is told what happens; draws the progress."""

    def started(self, work: Work) -> None: ...

    def finished(self, work: Work, grade: TaskGrade) -> None: ...

    def retried(self, work: Work, reason: str) -> None: ...


def plan(
    book: Gradebook, targets: Mapping[str, Target], tasks: Mapping[str, TaskPlan], *, fresh: bool = False
) -> list[Work]:
    """The work that is left, long tasks first. ``fresh`` forgets what is known. Equal submissions are one work."""
    done = set() if fresh else book.done()
    found: dict[Key, Work] = {}
    for handin in book.handins():
        if handin.source is None or handin.task not in targets:
            continue
        key = targets[handin.task].key(handin.task, handin.source)
        if key in found:
            found[key].people += 1
        elif key not in done:
            found[key] = Work(key, f"{handin.student} {short_name(handin.task)}", 1)
    lasting = book.seconds()
    for key, work in found.items():
        if fresh:
            book.forget(key)
        else:
            work.known = _passed(book.partial(key), tasks[key.task].checks)
    length = {task: lasting.get(task, entry.seconds) for task, entry in tasks.items()}
    return sorted(found.values(), key=lambda work: (-length[work.key.task], work.key.task, work.label))


def _passed(outcomes: Sequence[Outcome], checks: Sequence[str]) -> tuple[Outcome, ...]:
    """What need not run again. A failed check does run again: others may wait for it."""
    several = len({outcome.device for outcome in outcomes}) > 1
    if several or not checks or any(outcome.id not in checks for outcome in outcomes):
        return ()
    return tuple(outcome for outcome in outcomes if outcome.status is Status.PASSED)


class Scheduler:
    """Has a pool grade; every event reaches the gradebook before the next is looked at."""

    def __init__(
        self, book: Gradebook, pool: Pool, tasks: Mapping[str, TaskPlan], options: Options, watcher: Watcher
    ) -> None:
        self.book = book
        self.pool = pool
        self.tasks = tasks
        self.options = options
        self.watcher = watcher
        self.works: dict[int, Work] = {}  # by the number of the job, from when it is made until it has ended
        self.broken: list[Work] = []
        self._number = 0

    def run(self, works: Sequence[Work], stopping: Callable[[], bool] = lambda: False) -> bool:
        """Grade; True when nothing is left. ``stopping`` ends the feeding, what runs is finished.

        The longest task comes first, a smaller one where memory is short.
        """
        queues: dict[str, list[Work]] = {}
        for work in works:
            queues.setdefault(work.key.task, []).append(work)
        left = len(works)
        jobs = [self._jobs(queue) for queue in queues.values()]
        for event in self.pool.events(*jobs, again=self._again, stopping=stopping):
            self._take(event)
            left -= isinstance(event, (Graded, Fault))
        return left == 0

    def _jobs(self, works: Iterable[Work]) -> Iterator[Job]:
        """Made one by one as they are needed: a class need not fit into memory."""
        for work in works:
            self._number += 1
            self.works[self._number] = work
            source = Bundle.unpack(self.book.source(work.key.source)).source(work.key.task)
            memory_mb = self.tasks[work.key.task].memory_mb
            options = replace(self.options, seed=work.key.seed)
            job = options.job(self._number, work.key.task, source, memory_mb=memory_mb, watched=False)
            yield self._again(job)

    def _again(self, job: Job) -> Job:
        """The job without the checks whose outcome is known."""
        work = self.works[job.id]
        known = {outcome.id for outcome in work.known}
        if not known:
            return replace(job, only=())
        # With nothing left to run the last check is run again, to hear what the grader says of itself.
        checks = self.tasks[job.task].checks
        only = tuple(check for check in checks if check not in known) or checks[-1:]
        work.known = tuple(outcome for outcome in work.known if outcome.id not in only)
        return replace(job, only=only)

    def _take(self, event: Event) -> None:
        if isinstance(event, (Started, CheckEnded, Retried, Graded, Fault)):
            work = self.works[event.job]
        if isinstance(event, Started):
            work.seen = []
            self.watcher.started(work)
        elif isinstance(event, CheckEnded):
            work.seen.append(event.outcome)
            self.book.add_outcome(work.key, len(work.known) + len(work.seen), event.outcome)
        elif isinstance(event, Retried):
            self.book.add_fault(work.key.task, work.key.source, event.tries, event.reason)
            work.known = _passed([*work.known, *work.seen], self.tasks[work.key.task].checks)
            self.watcher.retried(work, event.reason)
        elif isinstance(event, (Graded, Fault)):
            del self.works[event.job]
            self._end(work, event)

    def _end(self, work: Work, event: Graded | Fault) -> None:
        grade = self._whole(work, event.grade) if isinstance(event, Graded) else self._broken(work, event.message)
        reason = ""
        if grade.status is Status.BROKEN:
            reason = event.message if isinstance(event, Fault) else first_fault(grade)
            self.book.add_fault(work.key.task, work.key.source, TRIES, reason)
            self.broken.append(work)
        self.book.finish(work.key, grade, reason=reason)
        self.watcher.finished(work, grade)

    def _whole(self, work: Work, grade: TaskGrade) -> TaskGrade:
        """The grade with what was known before it, in the order of the suite."""
        if not work.known:
            return grade
        order = {check: place for place, check in enumerate(self.tasks[work.key.task].checks)}
        checks = sorted((*award(work.known), *grade.checks), key=lambda outcome: order[outcome.id])
        points, possible = total(checks)
        return replace(grade, checks=tuple(checks), points=points, max_points=possible, status=task_status(checks))

    def _broken(self, work: Work, reason: str) -> TaskGrade:
        info = self.tasks[work.key.task].info
        return TaskGrade(
            task=info.task,
            title=info.title,
            status=Status.BROKEN,
            points=0.0,
            max_points=info.max_points,
            seconds=0.0,
            grader_hash=work.key.suite,
            submission_hash=work.key.source[:16],
            checks=(*work.known, *work.seen, _fault_outcome(reason)),
        )


def _fault_outcome(reason: str) -> Outcome:
    return Outcome("grader", "the grader works", "robustness", "cpu", Status.BROKEN, 0.0, 0.0, message=reason)
