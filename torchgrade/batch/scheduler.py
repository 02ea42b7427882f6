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


@dataclass(frozen=True)
class TaskPlan:
    """What the scheduler must know of a task: its limits, its length, and the ids of its checks in order."""

    info: TaskInfo
    memory_mb: float
    seconds: float


@dataclass
class Work:
    """One submission to grade; ``label`` is for people, ``seen`` what its grading has told so far.

    It is told in the ``language`` of whoever comes first of those who handed it in.

    A grading that was interrupted begins anew: what a passed check earns is known only when all have run, since a
    broken rule or wrong values hold it back.
    """

    key: Key
    label: str
    people: int
    language: str = ""
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
    spoken = {student.key: student.language for student in book.students()}
    for handin in book.handins():
        if handin.source is None or handin.task not in targets:
            continue
        key = targets[handin.task].key(handin.task, handin.source)
        if key in found:
            found[key].people += 1
        elif key not in done:
            label = f"{handin.student} {short_name(handin.task)}"
            found[key] = Work(key, label, 1, spoken.get(handin.student, ""))
    lasting = book.seconds()
    for key in found if fresh else ():
        book.forget(key)
    length = {task: lasting.get(task, entry.seconds) for task, entry in tasks.items()}
    return sorted(found.values(), key=lambda work: (-length[work.key.task], work.key.task, work.label))


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
        for event in self.pool.events(*jobs, stopping=stopping):
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
            changes = {"memory_mb": memory_mb, "watched": False, "language": work.language}
            yield options.job(self._number, work.key.task, source, **changes)

    def _take(self, event: Event) -> None:
        if isinstance(event, (Started, CheckEnded, Retried, Graded, Fault)):
            work = self.works[event.job]
        if isinstance(event, Started):
            work.seen = []
            self.watcher.started(work)
        elif isinstance(event, CheckEnded):
            work.seen.append(event.outcome)
            self.book.add_outcome(work.key, len(work.seen), event.outcome)
        elif isinstance(event, Retried):
            self.book.add_fault(work.key.task, work.key.source, event.tries, event.reason)
            self.watcher.retried(work, event.reason)
        elif isinstance(event, (Graded, Fault)):
            del self.works[event.job]
            self._end(work, event)

    def _end(self, work: Work, event: Graded | Fault) -> None:
        grade = event.grade if isinstance(event, Graded) else self._without_grade(work, event)
        reason = ""
        if grade.status is Status.BROKEN:
            reason = event.message if isinstance(event, Fault) else first_fault(grade)
            self.book.add_fault(work.key.task, work.key.source, TRIES, reason)
            self.broken.append(work)
        self.book.finish(work.key, grade, reason=reason)
        self.watcher.finished(work, grade)

    def _without_grade(self, work: Work, fault: Fault) -> TaskGrade:
        """Broken; failed where it was the answers that kept the grader too busy, twice."""
        info = self.tasks[work.key.task].info
        status = Status.FAILED if fault.overran else Status.BROKEN
        title = "the answers can be compared" if fault.overran else "the grader works"
        outcome = Outcome("grader", title, "robustness", "cpu", status, 0.0, 0.0, message=fault.message)
        return TaskGrade(
            task=info.task,
            title=info.title,
            status=status,
            points=0.0,
            max_points=info.max_points,
            seconds=0.0,
            grader_hash=work.key.suite,
            submission_hash=work.key.source[:16],
            checks=(*([] if fault.overran else work.seen), outcome),
        )
