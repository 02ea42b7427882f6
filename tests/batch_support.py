"""A class without torch: an executor that answers from the text itself, for everything but the graders."""

from __future__ import annotations

import random
import sys
import time
from collections import deque
from pathlib import Path

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.gradebook import Gradebook, Handin, Seed, Target, source_hash
from torchgrade.batch.scheduler import Scheduler, TaskPlan, plan
from torchgrade.grading.events import CheckEnded, Event, Fault, Graded
from torchgrade.grading.job import Job, Options
from torchgrade.grading.pool import Pool
from torchgrade.marks import Student, TaskInfo
from torchgrade.model import Outcome, Status, TaskGrade
from torchgrade.scoring import award, task_status, total

CHECKS = ("test_a", "test_b", "test_c", "test_d")
PLANS = {
    "task01_short": TaskPlan(TaskInfo("task01_short", "Short", 8.0), 100, 1.0),
    "task02_long": TaskPlan(TaskInfo("task02_long", "Long", 8.0), 1000, 9.0),
}
TARGETS = {task: Target("suite", "env", Seed(7)) for task in PLANS}


def answer(job: Job, check: str) -> Outcome:
    """Depends on the submission and the seed alone, as a real check does."""
    text = job.source.files[job.source.main]
    good = random.Random(f"{text!r}{check}{job.seed}").random() < 0.6
    status = Status.PASSED if good else Status.FAILED
    return Outcome(check, check, "values", "cpu", status, 0.0, 2.0, message="" if good else "off by 1")


class FakeExecutor:
    """``slots`` jobs at a time; every call of ``events`` moves each by one check. ``faults`` maps a text to a count."""

    def __init__(
        self, slots: int = 2, memory_mb: float = 1e9, pause: float = 0.0, faults: dict[bytes, int] | None = None
    ):
        self.slots, self.memory, self.pause = slots, memory_mb, pause
        self.faults = faults or {}
        self.running: dict[int, tuple[Job, deque[str], list[Outcome]]] = {}
        self.submitted: list[Job] = []
        self.closed = ""
        self.most = 0.0

    def room(self, memory_mb: float) -> bool:
        used = sum(entry[0].memory_mb for entry in self.running.values())
        return not self.running or (len(self.running) < self.slots and used + memory_mb <= self.memory)

    def submit(self, job: Job) -> None:
        checks = deque(job.only or CHECKS)
        self.running[job.id] = (job, checks, [])
        self.submitted.append(job)
        self.most = max(self.most, sum(entry[0].memory_mb for entry in self.running.values()))

    def events(self, timeout: float) -> list[Event]:
        time.sleep(self.pause)
        found: list[Event] = []
        for number, (job, checks, seen) in list(self.running.items()):
            text = job.source.files[job.source.main]
            if self.faults.get(text, 0) > 0 and len(seen) == 2:
                self.faults[text] -= 1
                del self.running[number]
                found.append(Fault(number, "the suite raised KeyError"))
                continue
            if checks:
                seen.append(answer(job, checks.popleft()))
                found.append(CheckEnded(number, seen[-1]))
            else:
                done = award(seen)
                points, possible = total(done)
                grade = TaskGrade(
                    job.task, "T", task_status(done), points, possible, 0.1, "suite", "x", done, "fake", "fake"
                )
                del self.running[number]
                found.append(Graded(number, grade))
        return found

    def close(self, *, now: bool = False) -> None:
        self.closed = "now" if now else "orderly"


class Silent:
    """A watcher that counts."""

    def __init__(self) -> None:
        self.started_work: list[str] = []
        self.retries: list[str] = []

    def started(self, work: object) -> None:
        self.started_work.append(work.label)  # type: ignore[attr-defined]

    def finished(self, work: object, grade: object) -> None:
        pass

    def retried(self, work: object, reason: str) -> None:
        self.retries.append(reason)


def text_of(student: int, task: str) -> bytes:
    return f"# {student % 150} {task}\n".encode()  # some work is equal


def fill(book: Gradebook, size: int) -> None:
    """A class of ``size`` students, two tasks each."""
    students = [Student(f"s{i:03d}") for i in range(size)]
    packed = {(i, task): Bundle(text_of(i, task)).pack() for i in range(size) for task in PLANS}
    book.set_class(students, [entry.info for entry in PLANS.values()])
    book.add_sources((f"{task}.py", text) for (_, task), text in packed.items())
    handins = [Handin(f"s{i:03d}", task, 1, "f.py", source_hash(text)) for (i, task), text in packed.items()]
    book.set_handins(handins, [], list(PLANS))
    book.set_environment("env", {})
    book.set_targets(TARGETS)


def coordinate(place: str, size: int, pages: int) -> None:
    """What ``batch`` does, with the executor that needs no torch; ``pages`` > 0 makes the disk small."""
    with Gradebook(Path(place), writer=True) as book:
        if not book.handins():
            fill(book, size)
        if pages:
            book.db.execute(f"PRAGMA max_page_count = {pages}")
        with Pool(FakeExecutor(4, pause=0.002)) as pool:
            Scheduler(book, pool, PLANS, Options(), Silent()).run(plan(book, TARGETS, PLANS))


if __name__ == "__main__":
    coordinate(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
