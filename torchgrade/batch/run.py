"""A batch from beginning to end: read the class, grade what is not known, put the new verdicts in force."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torchgrade import __version__
from torchgrade.batch.gradebook.gradebook import Gradebook, Seed, Target, now
from torchgrade.batch.gradebook.ledger import Change, changes, rows
from torchgrade.batch.intake.intake import Decided, Intake, read_class
from torchgrade.batch.intake.roster import Identity, Roster
from torchgrade.batch.scheduler import Scheduler, TaskPlan, Watcher, plan
from torchgrade.course import Course, Task
from torchgrade.errors import CourseError
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.grading.seeds import secret
from torchgrade.handin.files import open_files
from torchgrade.handin.opener import Opener
from torchgrade.marks import Student, TaskInfo
from torchgrade.policy import Policy
from torchgrade.submission import wanted_names
from torchgrade.suites import read_suite


@dataclass(frozen=True)
class BatchSummary:
    """What a run came to: whether everything was graded, how many verdicts are new, our own faults, what changed."""

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
        plans[task.stem] = TaskPlan(info, float(facts.memory_mb), float(facts.check_seconds))
    return plans


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


def policy_of(course: Course) -> Policy:
    """The rules of the course's marks; CourseError names the entry of course.yaml that cannot be right."""
    stems = [task.stem for task in course.tasks]
    homeworks = {name: ([task.stem for task in tasks], rules) for name, (tasks, rules) in course.homeworks.items()}
    policy = Policy.from_mapping(course.settings.get("marks"), stems, homeworks)
    for name in policy.bonus:
        task, _, part = name.partition("/")
        if part and part not in _parts(course.find(task)):
            raise CourseError(f"course.yaml: marks.bonus names {name}, which is no check of the task")
    return policy


def _parts(task: Task) -> set[str]:
    """The names of a task's checks, with and without what every check's begins with, and of its questions."""
    names = {name for check in read_suite(task).checks for name in (check.name, check.name.removeprefix("test_"))}
    return names | {question.name for question in task.manifest.manual}


@dataclass(frozen=True)
class Submissions:
    """Where the class's files lie and how they are read; of the course's tasks those in ``asked`` are graded.

    ``attempt`` is last, best or all; blank where the course says it for each homework.
    """

    path: Path
    course: Course
    asked: Sequence[Task]
    opener: Callable[[], Opener]
    listed: Sequence[Student] = ()
    pattern: str | None = None
    attempt: str = ""


def read_in(submissions: Submissions, book: Gradebook | None, keep: Callable[[str, bytes], None]) -> Intake:
    """Read the class, and change nothing. Without a roster the one of the last time is used; what people decided
    about names and files holds."""
    everybody = book.everybody() if book else []
    decided = Decided(book.labels(), book.given(), everybody) if book else Decided()
    listed = _as_decided(submissions.listed or listed_before(book), decided)
    policy = policy_of(submissions.course)
    best = {
        task.stem for task in submissions.asked if not submissions.attempt and policy.attempt_at(task.stem) == "best"
    }
    with open_files(submissions.path) as files:
        return read_class(
            files, wanted_names(submissions.course.tasks), submissions.opener, listed, keep=keep,
            tasks=[task.stem for task in submissions.asked], pattern=submissions.pattern,
            attempt=submissions.attempt or "last", best=best, decided=decided, ignore=submissions.course.ignore,
        )  # fmt: skip


def listed_before(book: Gradebook | None) -> list[Student]:
    """The class list of the last time."""
    return [student for student in (book.students() if book else ()) if student.listed]


def _as_decided(listed: Sequence[Student], decided: Decided) -> list[Student]:
    """The class list without those who were removed, and with the new entries of those who were renamed."""
    past = {student.key: student for student in decided.past}
    kept: dict[str, Student] = {}
    for student in listed:
        key = decided.labels.get(student.key, student.key)
        if key == student.key:
            kept[key] = student
        elif key in past:
            kept.setdefault(
                key,
                replace(past[key], listed=True, section=student.section, team=student.team, language=student.language),
            )
    return list(kept.values())


def take_in(
    book: Gradebook, submissions: Submissions, accept: Callable[[Intake], bool] = lambda intake: True
) -> tuple[Intake, dict[str, str]]:
    """Read the class into the gradebook, where ``accept`` agrees with what was read; verdicts are not touched.

    Also returns whose decisions follow whom: former key -> present key.
    """
    pending: list[tuple[str, bytes]] = []

    def keep(name: str, content: bytes) -> None:
        pending.append((name, content))
        if len(pending) >= 200:  # a few at a time: a class need not fit into memory
            book.add_sources(pending)
            pending.clear()

    intake = read_in(submissions, book, keep)
    if not accept(intake):
        return intake, {}
    book.add_sources(pending)
    followed = _follow(book, intake)
    book.set_class(intake.students, [entry.info for entry in task_plans(submissions.asked).values()])
    followed = {former: present for former, present in followed.items() if book.follow(former, present)}
    book.set_handins(intake.handins, intake.unmatched, [task.stem for task in submissions.asked])
    book.set_read_as({who.label: found.keys for who, found in intake.found.items()})
    book.set_setting("layout", intake.layout)
    book.set_setting("attempt", submissions.attempt)
    book.set_setting("submissions", str(submissions.path.absolute()))
    book.set_setting("pattern", submissions.pattern or "")
    return intake, followed


def _follow(book: Gradebook, intake: Intake) -> dict[str, str]:
    """Who of the former students is somebody of the present class under another key.

    That is told by the class list (a roster came later, or was corrected), or by the work: all that the former one
    handed in is now that of one newcomer (a folder was renamed).
    """
    present = {student.key for student in intake.students}
    everybody = book.everybody()
    former = [student for student in everybody if student.key not in present]
    newcomers = present - {student.key for student in everybody}
    works: dict[tuple[str, str], set[str]] = {}
    for handin in intake.handins:
        if handin.source:
            works.setdefault((handin.task, handin.source), set()).add(handin.student)
    before = book.works()
    roster = Roster([replace(student, listed=True) for student in intake.students])
    found: dict[str, str] = {}
    for student in former:
        who = Identity(student.key, student.name, student.email)
        keys = set(roster.find([who])[who].keys) & present
        mine = [work for work, owners in before.items() if student.key in owners]
        heirs = [works[work] & newcomers for work in mine if work in works]
        if not keys and heirs and all(len(owners) == 1 for owners in (*heirs, *(before[work] for work in mine))):
            keys = set().union(*heirs)
        if len(keys) == 1:
            found[student.key] = keys.pop()
    return found


def new_targets(book: Gradebook, tasks: Sequence[Task], options: Options, seed: int | None) -> dict[str, Target]:
    """The suites as they are now, in this environment, with the class's secret seed (drawn once, then kept)."""
    if seed is None:
        kept = book.setting("seed")
        seed = int(kept) if kept is not None else secret()
    book.set_setting("seed", str(seed))
    document = environment(options.devices)
    name = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
    book.set_environment(name, document)
    return {task.stem: Target(task.grader_hash, name, Seed(seed)) for task in tasks}


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
) -> BatchSummary:
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
    done = book.done()
    graded = sum(work.key in done for work in works)
    return BatchSummary(complete, graded, broken, tuple(changes(old, rows(book))) if complete and old else ())
