"""``batch``, ``regrade`` and ``override``: grade a class and keep its marks."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.gradebook.ledger import Change
from torchgrade.batch.intake.roster import read_roster
from torchgrade.batch.intake.unfold import ConfinedUnfolder
from torchgrade.batch.run import Graded, class_rows, grade_class, take_in
from torchgrade.classes.publish import publish
from torchgrade.commands.batch_progress import BatchProgress
from torchgrade.commands.here import cores, devices
from torchgrade.commands.stop import Stop
from torchgrade.course import Course, Task
from torchgrade.errors import TorchGradeError, UsageError
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.i18n import translate as _
from torchgrade.isolation.launch.canaries import demand
from torchgrade.isolation.launch.launcher import Launcher, Limits, WorkerProcess
from torchgrade.marks import MISSING, UNREADABLE, Row
from torchgrade.model import ExitCode
from torchgrade.report.escape import plain

GRADEBOOK = "gradebook.sqlite"


def batch(options: argparse.Namespace, course: Course) -> int:
    """Read a class, grade what has no verdict yet, write marks and pages."""
    tasks = course.select(options.tasks or ())
    listed = read_roster(options.roster) if options.roster else []
    options.out.mkdir(parents=True, exist_ok=True)
    with Gradebook(options.out / GRADEBOOK, writer=True) as book:
        with Openers(_isolation(options)) as openers:
            intake = take_in(
                book, options.submissions, tasks, listed, pattern=options.pattern, attempt=options.attempt,
                unfold=lambda: ConfinedUnfolder(openers),
            )  # fmt: skip
        say(_("{layout}: {students} students, {handins} hand-ins, {unmatched} files listed in unmatched.csv").format(
            layout=intake.layout, students=len(intake.students), handins=len(intake.handins),
            unmatched=len(intake.unmatched)))  # fmt: skip
        return _grade(book, course, tasks, options)


def regrade(options: argparse.Namespace, course: Course) -> int:
    """Grade again what a mended grader, another seed or another environment puts in doubt; list what changed."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        known = {info.task for info in book.tasks()}
        tasks = [task for task in course.select(options.tasks or ()) if task.stem in known]
        return _grade(book, course, tasks, options)


def override(options: argparse.Namespace, course: Course) -> int:
    """Set a student's points by hand, or withdraw that; the reason is kept and shown in every output."""
    task = course.find(options.task)
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        row = _row_of(book, options.student, task)
        points = None if options.points == "none" else _points(options.points, row.max_points)
        book.override(row.student, task.stem, points, why=options.why, who=_user(), before=row.earned)
        publish(book, course, options.out)
        text = _("withdrawn") if points is None else f"{points:g} / {row.max_points:g}"
        say(f"{row.student} {task.stem}: {text}")
    return int(ExitCode.PASSED)


def _row_of(book: Gradebook, student: str, task: Task) -> Row:
    signs = {s.key: {s.key, s.id, s.email, s.name} for s in book.students()}
    keys = [key for key, names in signs.items() if student in names]
    if len(keys) != 1:
        raise UsageError(
            _("{count} students are called {name!r} in the gradebook").format(count=len(keys), name=student)
        )
    for row in class_rows(book):
        if (row.student, row.task) == (keys[0], task.stem):
            return row
    raise UsageError(_("{task} is not in the gradebook").format(task=task.stem))


def _points(text: str, most: float) -> float:
    try:
        points = float(text)
    except ValueError:
        raise UsageError(_("points are a number or `none`, not {text!r}").format(text=text)) from None
    if not 0 <= points <= most:
        raise UsageError(_("points lie between 0 and {most:g}").format(most=most))
    return points


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def existing_gradebook(out: Path) -> Path:
    place = out / GRADEBOOK
    if not place.is_file():
        raise UsageError(_("there is no gradebook in {out}; `batch` makes one").format(out=out))
    return place


# Grading


def _grade(book: Gradebook, course: Course, tasks: Sequence[Task], options: argparse.Namespace) -> int:
    settings = Options(
        devices=devices(options.device),
        timeout_scale=options.timeout_scale,
        isolation=_isolation(options),
        data=options.data,
        jobs=options.jobs or cores(),
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    stop = Stop(console)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop)

        def watcher(total: int) -> BatchProgress:
            return stack.enter_context(BatchProgress(console, total))

        def pool(works: int) -> Pool:
            _demand(settings)
            return _pool(course, options, settings, works)

        try:
            graded = grade_class(
                book, tasks, pool, settings, watcher, seed=options.seed, fresh=options.fresh, stopping=stop.asked
            )
        except sqlite3.OperationalError as error:
            raise TorchGradeError(
                _("the gradebook cannot be written: {error}; make room, then give the same command again").format(
                    error=error)) from None  # fmt: skip
    rows = publish(book, course, options.out, graded.changes)
    _tell(graded, rows, options.out)
    return _code(graded, rows)


def _demand(settings: Options) -> None:
    """Refuse to grade a class where the isolation that is asked for does not hold."""
    if settings.isolation == "process":
        return  # nothing is promised
    with Launcher(settings.isolation, settings.devices[0], torch=False) as launcher:
        demand(launcher)


class Openers:
    """Starts a confined worker for each archive or notebook of a student; the zygote only when there is one."""

    LIMITS = Limits(memory_mb=1024, wall_seconds=60, file_mb=1, processes=4)

    def __init__(self, isolation: str) -> None:
        self._isolation = isolation
        self._launcher: Launcher | None = None

    def __call__(self) -> WorkerProcess:
        self._launcher = self._launcher or Launcher(self._isolation, torch=False)
        return self._launcher.start(self.LIMITS, serve="torchgrade.isolation.worker.unpacker:serve")

    def __enter__(self) -> Openers:
        return self

    def __exit__(self, *_unused: object) -> None:
        if self._launcher is not None:
            self._launcher.close()


def _pool(course: Course, options: argparse.Namespace, settings: Options, works: int) -> Pool:
    on_gpu = "cuda" in settings.devices
    jobs = options.gpu_jobs if on_gpu else settings.jobs
    if options.ray is not None:
        from torchgrade.batch.ray_executor import RayExecutor

        return Pool(RayExecutor(course.root, options.ray, gpu_share=1 / jobs if on_gpu else 0.0))
    return Pool.local(course.root, min(jobs, works))


def _isolation(options: argparse.Namespace) -> str:
    """A class demands the strict level; less is a choice that has to be spelled out."""
    if options.i_trust_these_submissions:
        return "process"
    return str(options.isolation)


# What is said at the end


def _tell(graded: Graded, rows: Sequence[Row], out: Path) -> None:
    if not graded.complete:
        say(_("stopped; give the same command again to continue"))
    for line in _changes(graded.changes):
        say(line)
    counts = {status: sum(row.status == status for row in rows) for status in (MISSING, UNREADABLE, "broken")}
    say(_("{rows} rows: {missing} missing, {unreadable} unreadable, {broken} broken; {graded} graded now").format(
        rows=len(rows), missing=counts[MISSING], unreadable=counts[UNREADABLE], broken=counts["broken"],
        graded=graded.graded))  # fmt: skip
    for row in rows:
        if row.status == "broken":
            say(_("our own fault: {student} {task}: {reason}").format(
                student=row.student, task=row.task, reason=row.reason))  # fmt: skip
    say(_("written to {out}: report.html, grades.csv, checks.csv, canvas.csv, moodle.csv, students/").format(out=out))


def _changes(changed: Sequence[Change], most: int = 40) -> Iterator[str]:
    for change in changed[:most]:
        before, after = (f"{p:g}" if p is not None else "-" for p in (change.points_before, change.points_after))
        what = f" {change.check}" if change.check else ""
        yield f"{change.student} {change.task}{what}: {change.before} {before} -> {change.after} {after}"
    if len(changed) > most:
        yield _("… and {count} more changes, in changes.csv").format(count=len(changed) - most)


def _code(graded: Graded, rows: Sequence[Row]) -> int:
    if any(row.status == "broken" for row in rows):
        return int(ExitCode.BROKEN)
    return int(ExitCode.PASSED if graded.complete else ExitCode.INTERRUPTED)


def say(text: str) -> None:
    """One line; whatever names are in it cannot move the cursor."""
    width = shutil.get_terminal_size().columns if os.isatty(1) else 10_000
    print(plain(text, lines=False)[: max(width * 4, 400)], flush=True)
