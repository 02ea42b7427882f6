"""``mark`` and ``extend``: points and comments that people give, and more time for a student."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.intake.sheets import read_records
from torchgrade.batch.run import policy_of
from torchgrade.classes.marking_sheet import COLUMNS, NONE, HandedIn, Markable, part_named, parts, sheet, sheet_csv
from torchgrade.classes.publish import publish, write
from torchgrade.classes.standing import Standing, standing
from torchgrade.commands.batch import existing_gradebook, say
from torchgrade.commands.people import students_of, tell, user
from torchgrade.course import Course, Task
from torchgrade.errors import TorchGradeError, UsageError
from torchgrade.i18n import plural
from torchgrade.i18n import translate as _
from torchgrade.marks import UNMARKED, Remark, Row
from torchgrade.model import ExitCode
from torchgrade.policy import duration, extended, moment, past
from torchgrade.report.escape import folder_name, uncelled

WHOLE = "all"  # in place of a task: the whole hand-in
_READ = ("student", "task", "part", "points", "comment")
EXTENSION = ("student", "what", "until", "why")


@dataclass(frozen=True)
class Marking:
    """What is to be given and said: blank points and a comment of None leave what is there."""

    students: tuple[str, ...]
    task: Task | None
    part: Markable
    points: str
    comment: str | None


# mark


def mark(options: argparse.Namespace, course: Course) -> int:
    """Mark one part by hand, or write a sheet for many and read it back; regrades keep all of it."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        found = standing(book, course)
        if options.write:
            return _write_sheet(book, course, found, options)
        if options.read:
            entries = _read_sheet(book, course, found, options.read)
        else:
            entries = [_said(book, course, found, options)]
        changed = [change for entry in entries for change in _changes(book, found, entry)]
        for student, task, part, points, comment in changed:
            _keep(book, found, student, task, part, points, comment)
        found = publish(book, course, options.out)
        students = list(dict.fromkeys(student for student, *_rest in changed))
        if not options.read:
            tell(found, students, entries[0].task)
        waiting = sum(row.status == UNMARKED for row in found.rows)
        say(_("new marks and comments: {count}, of students: {students}; still to be marked: {waiting}").format(
            count=len(changed), students=len(students), waiting=waiting))  # fmt: skip
    return int(ExitCode.PASSED)


def _said(book: Gradebook, course: Course, found: Standing, options: argparse.Namespace) -> Marking:
    """What the call asks for."""
    if not options.student or not options.task:
        raise UsageError(_("say whom and what: mark STUDENT TASK [PART], or --write or --read a sheet"))
    if options.points is None and options.comment is None:
        raise UsageError(_("give --points, --comment or both"))
    task, part = _part(course, found, options.task, options.part or "")
    students = students_of(book, options.student)
    if options.alike:
        if task is None:
            raise UsageError(_("--alike compares the answers to one task"))
        answers = HandedIn(book, course, task)
        rows = [mine[task.stem] for mine in found.table.values()]
        wanted = {answers.key(row, part.name) for row in rows if row.student in students}
        students = [row.student for row in rows if answers.key(row, part.name) in wanted]
        say(_("alike: {students}").format(students=", ".join(students)))
    return _checked(Marking(tuple(students), task, part, options.points or "", options.comment))


def _part(course: Course, found: Standing, said: str, part: str) -> tuple[Task | None, Markable]:
    if said == WHOLE:
        if part:
            raise UsageError(_("a part belongs to one task, not to the whole hand-in"))
        return None, Markable("", _("the whole hand-in"), None)
    task = course.find(said)
    if task.stem not in {info.task for info in found.tasks}:
        raise UsageError(_("{task} is not in the gradebook").format(task=task.stem))
    return task, part_named(part, parts(task, [mine[task.stem] for mine in found.table.values()]))


def _checked(entry: Marking) -> Marking:
    if entry.points and entry.points != NONE:
        most = entry.part.max_points
        if most is None:
            raise UsageError(_("{part} takes a comment; points belong to a task, or to the items of a rubric").format(
                part=entry.part.title))  # fmt: skip
        if not 0 <= _number(entry.points) <= most:
            raise UsageError(_("points lie between 0 and {most:g}").format(most=most))
    return entry


def _number(text: str) -> float:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise UsageError(_("points are a number or `none`, not {text!r}").format(text=text)) from None


Change = tuple[str, Task | None, str, float | None, str]


def _changes(book: Gradebook, found: Standing, entry: Marking) -> list[Change]:
    """What the entry changes: student, task, part, points and comment from now on."""
    stem, part, changes = entry.task.stem if entry.task else "", entry.part.name, []
    for student in entry.students:
        held = book.remarks().get((student, stem), {}).get(part) or Remark(part, None, "", "", "")
        before = held.points
        if entry.task and not part:
            override = found.table[student][stem].override
            before = override.points if override else None
        points = before if not entry.points else None if entry.points == NONE else _number(entry.points)
        comment = held.comment if entry.comment is None else " ".join(entry.comment.split())
        if (points, comment) != (before, held.comment):
            changes.append((student, entry.task, part, points, comment))
    return changes


def _keep(
    book: Gradebook, found: Standing, student: str, task: Task | None, part: str, points: float | None, comment: str
) -> None:
    """The points of a whole task are an override; everything else is a remark."""
    if task is not None and not part:
        row = found.table[student][task.stem]
        if points != (row.override.points if row.override else None):
            why = comment or _("marked by hand")
            book.override(student, task.stem, points, why=why, who=user(), before=row.earned)
        points = None
    book.remark(student, task.stem if task else "", part, points=points, comment=comment, who=user())


# mark --write, mark --read


def _write_sheet(book: Gradebook, course: Course, found: Standing, options: argparse.Namespace) -> int:
    present = [task for task in course.tasks if task.stem in {info.task for info in found.tasks}]
    asked = [task for task in course.select(options.tasks or ()) if task in present]
    asked = asked if options.tasks else [task for task in asked if task.manifest.manual]
    if not asked:
        raise UsageError(_("no task here has questions that people mark; name one with --task"))
    if options.write.exists() and (unread := _unread(book, course, found, options.write)):
        words = _("{file} holds {count} marks that are not read yet: --read it first, or give another name")
        raise UsageError(words.format(file=options.write, count=unread))
    lines: list[dict[str, object]] = []
    for task in asked:
        answers = HandedIn(book, course, task)
        lines += sheet(found, task, answers, checks=options.checks, alike=options.alike)
        _write_files(options.write.with_suffix(""), task, answers, [mine[task.stem] for mine in found.table.values()])
    write(options.write, sheet_csv(lines))
    words = _("{file}: {lines} lines; fill in points and comment, then `mark --read {file}`; answers are in {folder}")
    say(words.format(file=options.write, lines=len(lines), folder=options.write.with_suffix("")))
    return int(ExitCode.PASSED)


def _write_files(folder: Path, task: Task, answers: HandedIn, rows: Iterable[Row]) -> None:
    """What everybody wrote, as text, under names of our own."""
    for row in rows:
        if row.submission_hash:
            place = folder / task.short / f"{folder_name(row.student)}.py"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(answers.bundle(row).main)


def _unread(book: Gradebook, course: Course, found: Standing, place: Path) -> int:
    """How many marks a sheet holds that the gradebook does not."""
    return sum(len(_changes(book, found, entry)) for entry in _read_sheet(book, course, found, place))


def _read_sheet(book: Gradebook, course: Course, found: Standing, place: Path) -> list[Marking]:
    """The lines that say something. UsageError tells every line that cannot be, and then nothing is kept."""
    entries, wrong = [], []
    for number, line in read_records(place, COLUMNS, _READ):
        who, said, name, points, comment = (uncelled(line.get(column, "")) for column in _READ)
        if not points and not comment:
            continue
        try:
            task, part = _part(course, found, said, name)
            students = [key for one in who.split(";") for key in students_of(book, one.strip())]
            entries.append(_checked(Marking(tuple(students), task, part, points, comment or None)))
        except TorchGradeError as error:
            wrong.append(_("{file}, line {number}: {reason}").format(file=place, number=number, reason=error))
    if wrong:
        raise UsageError("\n".join(wrong))
    return entries


# extend


def extend(options: argparse.Namespace, course: Course) -> int:
    """Give a student, a team or a whole table of them more time; what being late costs is counted anew."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        given = _from_table(book, course, options.read) if options.read else [_one(book, course, options)]
        for students, what, until, why in given:
            for student in students:
                book.extend(student, what, until, why=why, who=user())
        found = publish(book, course, options.out)
        students = list(dict.fromkeys(student for keys, *_rest in given for student in keys))
        if not options.read:
            tell(found, students)
        count = sum(len(keys) for keys, *_rest in given)
        say(plural("{count} extension is kept", "{count} extensions are kept", count))
    return int(ExitCode.PASSED)


Extension = tuple[Sequence[str], str, str, str]


def _one(book: Gradebook, course: Course, options: argparse.Namespace) -> Extension:
    if not options.student or not options.what or not options.until:
        raise UsageError(_("say who, what and until when: extend STUDENT TASK UNTIL, or --read a table"))
    return _extension(book, course, options.student, options.what, options.until, options.why)


def _from_table(book: Gradebook, course: Course, place: Path) -> list[Extension]:
    given, wrong = [], []
    for number, line in read_records(place, EXTENSION, EXTENSION[:3]):
        try:
            given.append(_extension(book, course, *(uncelled(line.get(name, "")) for name in EXTENSION)))
        except TorchGradeError as error:
            wrong.append(_("{file}, line {number}: {reason}").format(file=place, number=number, reason=error))
    if wrong:
        raise UsageError("\n".join(wrong))
    return given


def _extension(book: Gradebook, course: Course, student: str, said: str, until: str, why: str) -> Extension:
    """Checked, with the task or homework that is meant; blank until withdraws."""
    keys, policy = students_of(book, student), policy_of(course)
    homework = next((homework for homework in policy.homeworks if homework.name == said), None)
    what = said if homework else course.find(said).stem
    deadlines = [policy.deadline(task) for task in (homework.tasks if homework else (what,))]
    known = [deadline for deadline in deadlines if deadline]
    if not known:
        raise UsageError(_("{what} has no deadline in course.yaml").format(what=what))
    if until == NONE:
        return keys, what, "", why
    if moment(until) is None and duration(until) is None:
        raise UsageError(_("UNTIL is a date, a time, `2 days`, `12 hours` or `none`, not {text!r}").format(text=until))
    if all(past(extended(deadline, until), deadline) <= timedelta() for deadline in known):
        words = _("{until} is no later than the deadline, {deadline}")
        raise UsageError(words.format(until=until, deadline=max(known)))
    return keys, what, until, why
