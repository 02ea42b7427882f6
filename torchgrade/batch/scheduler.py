"""From hand-ins to verdicts: what must be graded, in which order, and what becomes of each job.

plan     hand-ins − what the gradebook knows = jobs, long tasks first
Scheduler.run     jobs → executor → gradebook, until done, stopped, or the disk is full
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.executor import Executor, News
from torchgrade.batch.gradebook.gradebook import Gradebook, Key, Target
from torchgrade.grading.job import Job
from torchgrade.marks import TaskInfo
from torchgrade.model import Outcome, Status, TaskGrade
from torchgrade.scoring import award, task_status, total

TRIES = 2  # our own fault is tried once more, on a fresh grader
PATIENCE = 5  # so often a machine may be lost under a job before it counts as a try


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
    tries: int = 0
    losses: int = 0
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
            found[key] = Work(key, f"{handin.student} {handin.task[:6]}", 1)
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


@dataclass(frozen=True)
class Settings:
    """How each job is graded."""

    devices: tuple[str, ...] = ("cpu",)
    timeout_scale: float = 1.0
    isolation: str = "strict"
    data: str = "auto"


class Scheduler:
    """Drives an executor; every piece of news reaches the gradebook before the next is looked at."""

    def __init__(
        self, book: Gradebook, executor: Executor, tasks: Mapping[str, TaskPlan], settings: Settings, watcher: Watcher
    ) -> None:
        self.book = book
        self.executor = executor
        self.tasks = tasks
        self.settings = settings
        self.watcher = watcher
        self.running: dict[int, Work] = {}
        self.waiting: dict[str, deque[Work]] = {}
        self.broken: list[Work] = []
        self._number = 0

    def run(self, works: Iterable[Work], stopping: Callable[[], bool] = lambda: False) -> bool:
        """Grade; True when nothing is left. ``stopping`` ends the feeding, what runs is finished."""
        self.waiting = {}
        for work in works:
            self.waiting.setdefault(work.key.task, deque()).append(work)
        while self.running or (any(self.waiting.values()) and not stopping()):
            if not stopping():
                self._feed()
            for news in self.executor.news(0.2):
                self._take(news)
        return not any(self.waiting.values())

    def _feed(self) -> None:
        """Start what there is room for: the longest task first, a smaller one where memory is short."""
        for task, queue in self.waiting.items():
            while queue and self.executor.room(self.tasks[task].memory_mb):
                self._start(queue.popleft())

    def _start(self, work: Work) -> None:
        entry = self.tasks[work.key.task]
        self._number += 1
        work.seen = []
        only: tuple[str, ...] = ()
        if work.known:
            names = {outcome.id for outcome in work.known}
            # With nothing left to run the last check is run again, to hear what the grader says of itself.
            only = tuple(check for check in entry.checks if check not in names) or entry.checks[-1:]
            work.known = tuple(outcome for outcome in work.known if outcome.id not in only)
        source = Bundle.unpack(self.book.source(work.key.source)).source(work.key.task)
        job = Job(
            self._number, work.key.task, source, self.settings.devices, work.key.seed, self.settings.timeout_scale,
            self.settings.isolation, self.settings.data, only=only, watched=False,
        )  # fmt: skip
        self.running[self._number] = work
        self.watcher.started(work)
        self.executor.submit(job, entry.memory_mb)

    def _take(self, news: News) -> None:
        work = self.running.get(news.job)
        if work is None:
            return
        if news.outcome is not None:
            work.seen.append(news.outcome)
            self.book.add_outcome(work.key, len(work.known) + len(work.seen), news.outcome)
            return
        del self.running[news.job]
        grade = self._whole(work, news.grade) if news.grade else None
        if grade and grade.status is not Status.BROKEN:
            self._finish(work, grade)
            return
        reason = _first_fault(grade) if grade else news.fault
        work.losses += news.blameless
        work.tries += 0 if news.blameless and work.losses <= PATIENCE else 1
        self.book.add_fault(work.key.task, work.key.source, work.tries, reason)
        if work.tries < TRIES:
            work.known = _passed([*work.known, *work.seen], self.tasks[work.key.task].checks)
            self.waiting[work.key.task].appendleft(work)
            self.watcher.retried(work, reason)
        else:
            self.broken.append(work)
            self._finish(work, grade or self._broken(work, reason), reason)

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
        seen = tuple(work.known) + tuple(outcome for outcome in work.seen)
        return TaskGrade(
            info.task, info.title, Status.BROKEN, 0.0, info.max_points, 0.0, work.key.suite, work.key.source[:16],
            (*seen, _fault_outcome(reason)),
        )  # fmt: skip

    def _finish(self, work: Work, grade: TaskGrade, reason: str = "") -> None:
        self.book.finish(work.key, grade, reason=reason)
        self.watcher.finished(work, grade)


def _first_fault(grade: TaskGrade) -> str:
    first = next((check for check in grade.checks if check.status is Status.BROKEN), None)
    return f"{first.title}: {first.message}" if first else "the grader failed"


def _fault_outcome(reason: str) -> Outcome:
    return Outcome("grader", "the grader works", "robustness", "cpu", Status.BROKEN, 0.0, 0.0, message=reason)
