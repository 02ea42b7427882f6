"""``batch`` and ``regrade``: grade a class."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from torchgrade.batch.gradebook.gradebook import Gradebook, cannot_be_written
from torchgrade.batch.gradebook.ledger import Change
from torchgrade.batch.intake.intake import Intake, PlanLine, table
from torchgrade.batch.intake.roster_file import read_exported, read_roster, read_teams
from torchgrade.batch.run import BatchSummary, Submissions, grade_class, listed_before, read_in, take_in, task_plans
from torchgrade.classes.anonymous import hidden, pseudonyms, set_anonymous
from torchgrade.classes.publish import publish
from torchgrade.commands.batch_progress import BatchProgress
from torchgrade.commands.places import try_folder
from torchgrade.commands.stop import Stop
from torchgrade.course import Course, Task
from torchgrade.errors import UsageError
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.handin.kinds import split_suffix
from torchgrade.handin.naming import OUTPUTS
from torchgrade.hardware import cores, devices, need_open_files
from torchgrade.i18n import translate as _
from torchgrade.i18n import translate_built
from torchgrade.isolation.launch.canaries import demand
from torchgrade.isolation.launch.launcher import open_launcher
from torchgrade.isolation.launch.openers import Openers
from torchgrade.marking import gone
from torchgrade.marks import MISSING, PENDING, UNMARKED, UNREADABLE, Row, Student
from torchgrade.model import ExitCode
from torchgrade.platform_sheet import Sheet, columns_for
from torchgrade.report.escape import plain

GRADEBOOK = "gradebook.sqlite"
_SHOWN = 40  # lines of a table that a screen bears


def batch(options: argparse.Namespace, course: Course) -> int:
    """Read a class, grade what has no verdict yet, write marks and pages."""
    place = options.out / GRADEBOOK
    if options.plan:
        with Gradebook(place) if place.is_file() else contextlib.nullcontext() as known:
            asked = _asked(options, course, known)
            listed = _listed(options, known)
            with Openers(isolation(options), course.secret) as openers:
                intake = read_in(
                    _submissions(options, course, asked, listed, openers), known, lambda name, content: None
                )
            names = {} if known is None or options.anonymous is False else pseudonyms(known, _keys(intake))
        show(intake, names, most=None)
        return int(ExitCode.PASSED)
    with new_gradebook(options.out) as book:
        asked = _asked(options, course, book)
        listed = _listed(options, book)
        _keep_sheet(options, book, asked)
        with Openers(isolation(options), course.secret) as openers:
            submissions = _submissions(options, course, asked, listed, openers)
            intake, followed = take_in(book, submissions, lambda intake: options.yes or not intake.doubts)
        if intake.doubts and not options.yes:
            show(intake, pseudonyms(book, _keys(intake)), most=_SHOWN)
            say(_("nothing is graded yet: mend what is named above, or go on as it is with --yes; --plan shows all"))
            return int(ExitCode.USAGE)
        _name_people(book, options)
        tell_intake(book, intake, followed)
        return grade(book, course, asked, options)


def _listed(options: argparse.Namespace, book: Gradebook | None) -> list[Student]:
    """The class list and the teams of the call; of what it does not name, that of the last time."""
    listed = read_roster(options.roster) if options.roster else listed_before(book)
    return read_teams(options.teams, listed) if options.teams else listed


def _keep_sheet(options: argparse.Namespace, book: Gradebook, asked: Sequence[Task]) -> None:
    """Keep the platform's own gradebook and the columns to fill; raises UsageError where they do not fit."""
    sheet = read_exported(options.roster) if options.roster else Sheet.from_kept(book.setting("sheet") or "")
    columns = json.loads(book.setting("columns") or "[]") if options.columns is None else options.columns
    found = columns_for(sheet, columns, [plan.info for plan in task_plans(asked).values()])
    book.set_setting("sheet", sheet.kept() if sheet else "")
    book.set_setting("columns", json.dumps(columns))
    for column in found if columns else ():
        if column.points is None:
            say(_("{column}: how many points are possible there is not known; the platform's own export as --roster "
                  "tells").format(column=column.heading))  # fmt: skip


def _submissions(
    options: argparse.Namespace, course: Course, asked: Sequence[Task], listed: Sequence[Student], openers: Openers
) -> Submissions:
    return Submissions(
        options.submissions, course, asked, openers, listed, options.pattern, options.attempt,
    )  # fmt: skip


def _asked(options: argparse.Namespace, course: Course, book: Gradebook | None) -> Sequence[Task]:
    """The tasks to grade: as the call says, else as the last time, else all of the course."""
    if options.homework:
        return course.homework(options.homework)
    if options.tasks:
        return course.tasks if options.tasks == ["all"] else course.select(options.tasks)
    kept = {info.task for info in book.tasks()} if book else set()
    asked = [task for task in course.tasks if task.stem in kept]
    if not asked or len(asked) == len(course.tasks):
        return course.tasks
    say(_("the tasks of the last time: {tasks}; --task all takes the whole course").format(
        tasks=", ".join(task.short for task in asked)))  # fmt: skip
    return asked


@contextlib.contextmanager
def new_gradebook(out: Path) -> Iterator[Gradebook]:
    """The gradebook to write; where nothing comes of it, neither the file nor the folder stays."""
    fresh = [folder for folder in (out, *out.parents) if not folder.exists()]
    place = out / GRADEBOOK
    known = place.exists()
    try_folder(out, "--out")
    book = Gradebook(place, writer=True)
    try:
        yield book
    except sqlite3.OperationalError as error:
        raise cannot_be_written(error) from None
    finally:
        if known or book.everybody():
            book.close()
        else:
            book.discard()
            for folder in fresh:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _keys(intake: Intake) -> list[str]:
    return [student.key for student in intake.students]


def tell_intake(book: Gradebook, intake: Intake, followed: Mapping[str, str]) -> None:
    say(_("{layout}: {students} students, {handins} hand-ins, {unmatched} files listed in unmatched.csv").format(
        layout=_(intake.layout), students=len(intake.students), handins=len(intake.handins),
        unmatched=len(intake.unmatched)))  # fmt: skip
    if teams := {student.team for student in intake.students} - {""}:
        say(_("teams: {teams}; what one member handed in is everybody's").format(teams=len(teams)))
    names = pseudonyms(book, followed)
    for former, present in followed.items():
        words = _("{former} is {present} now; decisions follow")
        say(words.format(former=names.get(former, former), present=names.get(present, present)))
    for doubt in intake.doubts:
        say(_("to be looked at: {doubt}").format(doubt=translate_built(doubt)))


def show(intake: Intake, names: Mapping[str, str], most: int | None) -> None:
    """The table file, person, task, and what is in doubt about it; under the pseudonyms ``names``, if any."""
    people = {student.key: student for student in intake.students}
    lines = [_shown(line, people.get(line.person), names.get(line.person, "")) for line in table(intake)]
    if names:  # no longer in the order of the names
        lines.sort(key=lambda line: line.person)
    head = PlanLine(_("file"), _("person"), _("task"), "")
    widths = [max(cell_len(plain(line[i], lines=False)) for line in (head, *lines)) for i in range(3)]
    widths = [min(width, limit) for width, limit in zip(widths, (60, 30, 32), strict=True)]
    for line in (head, *lines[:most]):
        cells = [set_cell_size(plain(text, lines=False), width) for text, width in zip(line, widths, strict=False)]
        say("  ".join([*cells, translate_built(line.note)]).rstrip(), spaces=True)
    if most is not None and len(lines) > most:
        say(_("… and {count} more lines").format(count=len(lines) - most))
    say(_("{layout}: {students} students, {handins} hand-ins, {unmatched} other files").format(
        layout=_(intake.layout), students=len(intake.students), handins=len(intake.handins),
        unmatched=len(intake.unmatched)))  # fmt: skip
    for doubt in intake.doubts:
        say(_("in doubt: {doubt}").format(doubt=translate_built(doubt)))


def _shown(line: PlanLine, student: Student | None, name: str) -> PlanLine:
    """The line for people; under a pseudonym nothing of the file but its kind."""
    if student is None or not name:
        return line._replace(person=student.called if student else line.person)
    return PlanLine(f"…{split_suffix(line.file)[1]}", name, line.task, hidden(line.note, student, name, line.file))


def regrade(options: argparse.Namespace, course: Course) -> int:
    """Grade again what a mended grader, another seed or another environment puts in doubt; list what changed."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        known = {info.task for info in book.tasks()}
        tasks = [task for task in course.select(options.tasks or ()) if task.stem in known]
        return grade(book, course, tasks, options)


def existing_gradebook(out: Path) -> Path:
    place = out / GRADEBOOK
    if not place.is_file():
        raise UsageError(_("there is no gradebook in {out}; `batch` makes one").format(out=out))
    return place


# Grading


def grade(book: Gradebook, course: Course, tasks: Sequence[Task], options: argparse.Namespace) -> int:
    need_open_files()
    _name_people(book, options)
    settings = Options(
        devices=devices(options.device),
        timeout_scale=options.timeout_scale,
        isolation=isolation(options),
        data=options.data,
        jobs=options.jobs or cores(),
    )
    console = Console(highlight=False, markup=False, soft_wrap=True)
    stop = Stop(console)
    with contextlib.ExitStack() as stack:
        stack.enter_context(stop)

        def watcher(total: int) -> BatchProgress:
            say(_("to grade: {total} submissions; equal and known ones are not graded again").format(total=total))
            return stack.enter_context(BatchProgress(console, total, pseudonyms(book)))

        def pool(works: int) -> Pool:
            _demand(settings, course)
            return _pool(course, options, settings, works)

        graded = grade_class(
            book, tasks, pool, settings, watcher, seed=options.seed, fresh=options.fresh, stopping=stop.asked
        )
    found = publish(book, course, options.out, graded.changes)
    rows, known = found.rows, {*course.homeworks, *(task.stem for task in course.tasks)}
    for student, what in sorted(key for key in book.extensions() if key[1] not in known):
        words = _("the extension of {student} for {what} does nothing: course.yaml has no such task or homework")
        say(words.format(student=found.pseudonyms.get(student, student), what=what))
    names = {student.key: student.called for student in (*book.students(), *found.students)}
    _tell(graded, rows, {**names, **found.pseudonyms}, options.out)
    return _code(graded, rows)


def _name_people(book: Gradebook, options: argparse.Namespace) -> None:
    """By name or by pseudonym, as the call says; who wrote alike was told as it was before."""
    if options.anonymous is not None and set_anonymous(book, options.anonymous):
        for name in ("similar.html", "similar.csv"):
            (options.out / name).unlink(missing_ok=True)


def _demand(settings: Options, course: Course) -> None:
    """Refuse to grade a class where the isolation that is asked for does not hold."""
    if settings.isolation == "process":
        return  # nothing is promised
    with open_launcher(settings.isolation, settings.devices[0], hidden=course.secret, torch=False) as launcher:
        demand(launcher)


def _pool(course: Course, options: argparse.Namespace, settings: Options, works: int) -> Pool:
    on_gpu = "cuda" in settings.devices
    jobs = options.gpu_jobs if on_gpu else settings.jobs
    if options.ray is not None:
        from torchgrade.batch.ray_executor import RayExecutor

        return Pool(RayExecutor(course.root, options.ray, gpu_share=1 / jobs if on_gpu else 0.0))
    return Pool.local(course.root, min(jobs, works))


def isolation(options: argparse.Namespace) -> str:
    """A class demands the strict level; less is a choice that has to be spelled out."""
    if options.i_trust_these_submissions:
        return "process"
    return str(options.isolation)


# What is said at the end


def _tell(graded: BatchSummary, rows: Sequence[Row], names: Mapping[str, str], out: Path) -> None:
    if not graded.complete:
        say(_("stopped; give the same command again to continue"))
    for line in _changes(graded.changes, names):
        say(line)
    counts = {status: sum(row.status == status for row in rows) for status in (MISSING, UNREADABLE, PENDING, "broken")}
    say(_("{rows} rows: {missing} missing, {unreadable} unreadable, {pending} pending, {broken} broken; "
          "{graded} graded now").format(
        rows=len(rows), missing=counts[MISSING], unreadable=counts[UNREADABLE], pending=counts[PENDING],
        broken=counts["broken"], graded=graded.graded))  # fmt: skip
    if waiting := sum(row.status == UNMARKED for row in rows):
        say(_("{count} rows wait for people to mark them: mark --write marking.csv").format(count=waiting))
    for (task, part), count in Counter((row.task, remark.part) for row in rows for remark in gone(row)).items():
        words = _("{count} marks or comments are about {part} of {task}, which is gone; they are kept and still shown")
        say(words.format(count=count, part=part, task=task))
    unreadable = [row for row in rows if row.status == UNREADABLE]
    for row in unreadable[:_SHOWN]:
        say(_("unreadable: {student} {task}: {reason}").format(
            student=names[row.student], task=row.task, reason=translate_built(row.reason)))  # fmt: skip
    if len(unreadable) > _SHOWN:
        say(_("… and {count} more, in checks.csv").format(count=len(unreadable) - _SHOWN))
    for row in rows:
        if row.status == "broken":
            say(_("our own fault: {student} {task}: {reason}").format(
                student=names[row.student], task=row.task, reason=translate_built(row.reason)))  # fmt: skip
    written = [name for name in (*OUTPUTS, "students/") if (out / name).exists()]
    say(_("written to {out}: {files}").format(out=out, files=", ".join(written)))


def _changes(changed: Sequence[Change], names: Mapping[str, str], most: int = 40) -> Iterator[str]:
    for change in changed[:most]:
        before, after = (f"{p:g}" if p is not None else "-" for p in (change.points_before, change.points_after))
        if None not in (change.of_before, change.of_after) and change.of_before != change.of_after:
            before, after = f"{before}/{change.of_before:g}", f"{after}/{change.of_after:g}"
        what = f" {change.check}" if change.check else ""
        yield f"{names[change.student]} {change.task}{what}: {change.before} {before} -> {change.after} {after}"
    if len(changed) > most:
        yield _("… and {count} more changes, in changes.csv").format(count=len(changed) - most)


def _code(graded: BatchSummary, rows: Sequence[Row]) -> int:
    if any(row.status == "broken" for row in rows):
        return int(ExitCode.BROKEN)
    return int(ExitCode.PASSED if graded.complete else ExitCode.INTERRUPTED)


def say(text: str, *, spaces: bool = False) -> None:
    """One line; whatever names are in it cannot move the cursor. ``spaces`` keeps columns in their places."""
    width = shutil.get_terminal_size().columns if os.isatty(1) else 10_000
    shown = plain(text.replace("\n", " ")) if spaces else plain(text, lines=False)
    print(shown[: max(width * 4, 400)], flush=True)
