"""A batch from beginning to end: read the class, grade what is not known, put the new verdicts in force."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchgrade import __version__
from torchgrade.batch.gradebook.gradebook import Gradebook, Target
from torchgrade.batch.gradebook.ledger import Change, changes, rows
from torchgrade.batch.gradebook.storage import now
from torchgrade.batch.intake.folder import open_class
from torchgrade.batch.intake.intake import Intake, read_class
from torchgrade.batch.intake.unfold import Unfolder
from torchgrade.batch.scheduler import Scheduler, TaskPlan, Watcher, plan
from torchgrade.course import Course, Task
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.grading.seeds import secret
from torchgrade.handin.matching import definitions
from torchgrade.marks import Row, Student, TaskInfo, counting
from torchgrade.suites import read_suite


@dataclass(frozen=True)
class Graded:
    """What a run came to: whether everything was graded, our own faults, and what changed against before."""

    complete: bool
    graded: int
    broken: int
    changes: tuple[Change, ...] = field(default=())


def task_plans(tasks: Sequence[Task]) -> dict[str, TaskPlan]:
    """What is known of each task before anything ran, from its manifest and the text of its suite."""
    plans = {}
    for task in tasks:
        suite, facts = read_suite(task), task.manifest
        info = TaskInfo(task.stem, facts.title, suite.points)
        plans[task.stem] = TaskPlan(info, float(facts.memory_mb), float(facts.check_seconds), suite.names)
    return plans


def wanted_names(tasks: Sequence[Task]) -> dict[str, frozenset[str]]:
    """The functions and classes that a learner writes in each task, from its stub or solution."""
    found = {}
    for task in tasks:
        place = task.stub if task.stub.is_file() else task.solution
        names = definitions(place.read_bytes()) if place.is_file() else set()
        found[task.stem] = frozenset(name for name in names if not name.startswith("_"))
    return found


def environment(devices: Sequence[str]) -> dict[str, Any]:
    """What verdicts depend on besides texts and seed; read without importing torch."""
    return {
        "torch": _version("torch"), "torchvision": _version("torchvision"), "numpy": _version("numpy"),
        "python": platform.python_version(), "machine": platform.machine(), "system": platform.system(),
        "devices": list(devices), "cuda": _gpus() if "cuda" in devices else [], "engine": __version__,
    }  # fmt: skip


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _gpus() -> list[str]:
    places = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    texts = (place.read_text(encoding="utf-8", errors="replace") for place in places)
    return [line.split(":", 1)[1].strip() for text in texts for line in text.splitlines() if line.startswith("Model")]


def take_in(
    book: Gradebook,
    path: Path,
    tasks: Sequence[Task],
    listed: Sequence[Student],
    *,
    pattern: str | None,
    attempt: str,
    unfold: Callable[[], Unfolder] = Unfolder,
) -> Intake:
    """Read the class into the gradebook; hand-ins of these tasks are replaced, verdicts are not touched.

    Without a roster the one of the last time is used.
    """
    listed = listed or [student for student in book.students() if student.listed]
    pending: list[tuple[str, bytes]] = []

    def keep(name: str, content: bytes) -> None:
        pending.append((name, content))
        if len(pending) >= 200:  # a few at a time: a class need not fit into memory
            book.add_sources(pending)
            pending.clear()

    with open_class(path) as files:
        intake = read_class(
            files, wanted_names(tasks), listed, keep=keep, pattern=pattern, attempt=attempt, unfold=unfold
        )
    book.add_sources(pending)
    book.set_class(intake.students, [entry.info for entry in task_plans(tasks).values()])
    book.set_handins(intake.handins, intake.unmatched, [task.stem for task in tasks])
    book.set_setting("attempt", attempt)
    return intake


def new_targets(book: Gradebook, tasks: Sequence[Task], options: Options, seed: int | None) -> dict[str, Target]:
    """The suites as they are now, in this environment, with the class's secret seed (drawn once, then kept)."""
    if seed is None:
        kept = book.setting("seed")
        seed = int(kept) if kept is not None else secret()
    book.set_setting("seed", str(seed))
    document = environment(options.devices)
    name = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
    book.set_environment(name, document)
    return {task.stem: Target(task.grader_hash, name, seed) for task in tasks}


def grade_class(
    book: Gradebook,
    tasks: Sequence[Task],
    pool: Callable[[int], Pool],
    options: Options,
    watcher: Callable[[int], Watcher],
    *,
    seed: int | None = None,
    fresh: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Graded:
    """Grade all hand-ins that have no verdict yet, and put the verdicts in force when all of a task are
    there.

    Until then the older verdicts count, so that half a regrade never shows. ``pool`` is made for so many jobs, and
    only when there are any.
    """
    before = book.targets()
    targets = new_targets(book, tasks, options, seed)
    first = {task: target for task, target in targets.items() if task not in before}
    book.set_targets(first)
    old = list(rows(book)) if any(before.get(task) not in (None, target) for task, target in targets.items()) else []
    plans = task_plans(tasks)
    works = plan(book, targets, plans, fresh=fresh)
    run = book.begin_run({"jobs": len(works), "settings": vars(options), "at": now()})
    complete, broken = True, 0
    if works:
        with pool(len(works)) as running:
            scheduler = Scheduler(book, running, plans, options, watcher(len(works)))
            complete = scheduler.run(works, stopping)
        broken = len(scheduler.broken)
    book.end_run(run, "complete" if complete else "stopped")
    if complete:
        book.set_targets(targets)
        book.learn_points(targets)
    return Graded(complete, len(works), broken, tuple(changes(old, rows(book))) if complete and old else ())


def class_rows(book: Gradebook, every: Iterable[Row] | None = None) -> list[Row]:
    """One row for each student and task: the attempt that counts, of ``every`` row or of those in the gradebook."""
    return counting(rows(book) if every is None else every, book.setting("attempt", "last") or "last")


def counted_titles(course: Course, infos: Mapping[str, TaskInfo]) -> list[TaskInfo]:
    """The tasks of the gradebook in the order of the course."""
    return [infos[task.stem] for task in course.tasks if task.stem in infos]
