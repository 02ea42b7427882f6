"""``mark`` and ``extend``: points and comments that people give, and more time for a student."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.intake.sheets import read_records
from torchgrade.batch.run import policy_of
from torchgrade.classes.anonymous import masked, pseudonyms
from torchgrade.classes.marking_sheet import COLUMNS, NONE, HandedIn, Markable, part_named, parts, sheet, sheet_csv
from torchgrade.classes.publish import publish, write
from torchgrade.classes.standing import Standing, standing
from torchgrade.commands.batch import existing_gradebook, say
from torchgrade.commands.people import People, read_points, tell, user
from torchgrade.course import Course, Task
from torchgrade.errors import TorchGradeError, UnknownTask, UsageError
from torchgrade.i18n import plural, translate_built
from torchgrade.i18n import translate as _
from torchgrade.marks import UNMARKED, Remark, Row
from torchgrade.model import ExitCode
from torchgrade.policy import duration, extended, moment, past
from torchgrade.report.escape import folder_name, uncelled
from torchgrade.report.workbook import workbook

WHOLE = "all"  # in place of a task: the whole hand-in
_SHOWN = 40  # lines that a screen bears
_READ = ("student", "task", "part", "points", "comment")
EXTENSION = ("student", "what", "until", "why")


@dataclass(frozen=True)
class Marking:
    """What is to be given and said: blank points and a comment of None leave what is there.

    ``meant`` are those of the students who were named one by one, not as part of a group of equal answers.
    """

    students: tuple[str, ...]
    task: Task | None
    part: Markable
    points: str
    comment: str | None
    meant: tuple[str, ...] = ()


class HandMark(NamedTuple):
    """What holds from now on; ``task`` and ``part`` are blank for the whole."""

    student: str
    task: str
    part: str
    points: float | None
    comment: str


class _Desk:
    """A gradebook on which somebody marks, with what is looked up for every line."""

    def __init__(self, book: Gradebook, course: Course) -> None:
        self.book, self.course, self.found = book, course, standing(book, course)
        self.shown = masked(self.found, pseudonyms(book))
        self.people = People.of(book)
        self.remarks = book.remarks()
        self.overrides = _overrides(self.found)
        self.lost: list[HandMark] = []  # what a mark for a group takes from some of it, whose marks were their own
        self._parts: dict[str, dict[str, Markable]] = {}

    def rows(self, task: Task) -> list[Row]:
        return [mine[task.stem] for mine in self.found.table.values()]

    def part(self, said: str, part: str) -> tuple[Task | None, Markable]:
        """The task, None for the whole hand-in, and what of it is meant."""
        if said == WHOLE:
            if part:
                raise UsageError(_("a part belongs to one task, not to the whole hand-in"))
            return None, Markable("", _("the whole hand-in"), None)
        task = self.course.find(said)
        if task.stem not in {info.task for info in self.found.tasks}:
            raise UsageError(_("{task} is not in the gradebook").format(task=task.stem))
        if task.stem not in self._parts:
            self._parts[task.stem] = parts(task, self.rows(task))
        return task, part_named(part, self._parts[task.stem])

    def held(self, entry: Marking, student: str) -> HandMark:
        """What the student has at this part, after the entries before."""
        stem, part = entry.task.stem if entry.task else "", entry.part.name
        remark = self.remarks.get((student, stem), {}).get(part) or Remark(part, None, "", "", "")
        points = self.overrides.get((student, stem)) if entry.task and not part else remark.points
        return HandMark(student, stem, part, points, remark.comment)

    def changes(self, entry: Marking) -> list[HandMark]:
        """What the entry changes, after the entries before it."""
        changes = []
        every = [self.held(entry, student) for student in entry.students]
        points_differ = len({held.points for held in every}) > 1
        comments_differ = len({held.comment for held in every}) > 1
        for held in every:
            student, stem, part, before, _comment = held
            points = before if not entry.points else None if entry.points == NONE else read_points(entry.points)
            comment = held.comment if entry.comment is None else " ".join(entry.comment.split())
            lost = (points_differ and before is not None and points != before) or (
                comments_differ and held.comment and comment != held.comment
            )
            if lost and student not in entry.meant:
                self.lost.append(held)
            if (points, comment) != (before, held.comment):
                changes.append(HandMark(student, stem, part, points, comment))
                mine = self.remarks.setdefault((student, stem), {})
                mine[part] = Remark(part, points if part else None, comment, "", "")
                if entry.task and not part:
                    self.overrides[student, stem] = points
        return changes

    def keep(self, changes: Sequence[HandMark]) -> None:
        """The points of a whole task are an override; everything else is a remark."""
        who, remarks, held = user(), [], _overrides(self.found)
        for student, task, part, points, comment in changes:
            if task and not part:
                if points != held.get((student, task)):
                    before, why = self.found.table[student][task].earned, comment or _("marked by hand")
                    self.book.override(student, task, points, why=why, who=who, before=before)
                held[student, task] = points
                points = None
            remarks.append((student, task, part, points, comment))
        self.book.remark(remarks, who=who)


def _overrides(found: Standing) -> dict[tuple[str, str], float | None]:
    return {(row.student, row.task): row.override.points for row in found.rows if row.override}


# mark


def mark(options: argparse.Namespace, course: Course) -> int:
    """Mark one part by hand, or write a sheet for many and read it back; regrades keep all of it."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        desk = _Desk(book, course)
        if options.write:
            return _write_sheet(desk, options)
        entries = _read_sheet(desk, options.read) if options.read else [_said(desk, options)]
        changed = [change for entry in entries for change in desk.changes(entry)]
        names = desk.shown.pseudonyms
        if desk.lost and not options.yes:
            for lost in desk.lost[:_SHOWN]:
                say(_("would be replaced: {mark}").format(mark=_told(lost, names)))
        if options.plan:
            for change in changed[:_SHOWN]:
                say(_told(change, names))
            say(_("these would be new: {count}; nothing is kept").format(count=len(changed)))
            return int(ExitCode.PASSED)
        if desk.lost and not options.yes:
            words = _("students with equal answers have different marks or comments already, named above; nothing is "
                      "kept: mark them one by one, or replace what they have with --yes")  # fmt: skip
            raise UsageError(words)
        desk.keep(changed)
        found = publish(book, course, options.out)
        students = list(dict.fromkeys(change.student for change in changed))
        if not options.read:
            tell(found, students, entries[0].task)
        waiting = sum(row.status == UNMARKED for row in found.rows)
        say(_("new marks and comments: {count}, of students: {students}; still to be marked: {waiting}").format(
            count=len(changed), students=len(students), waiting=waiting))  # fmt: skip
    return int(ExitCode.PASSED)


def _told(change: HandMark, names: Mapping[str, str]) -> str:
    points = "" if change.points is None else f"{change.points:g}"
    student = names.get(change.student, change.student)
    return " ".join(filter(None, (student, change.task or WHOLE, change.part, points, change.comment)))


def _said(desk: _Desk, options: argparse.Namespace) -> Marking:
    """What the call asks for."""
    if not options.student or not options.task:
        raise UsageError(_("say whom and what: mark STUDENT TASK [PART], or --write or --read a sheet"))
    if options.points is None and options.comment is None:
        raise UsageError(_("give --points, --comment or both"))
    task, part = desk.part(options.task, options.part or "")
    students = meant = desk.people.named(options.student)
    if options.alike:
        if task is None:
            raise UsageError(_("--alike compares the answers to one task"))
        answers = HandedIn(desk.book, desk.course, task)
        keys = {row.student: answers.key(row, part.name) for row in desk.rows(task)}
        wanted = {keys[student] for student in students}
        students = [student for student, key in keys.items() if key in wanted]
        say(_("alike: {students}").format(students=", ".join(desk.shown.pseudonyms.get(key, key) for key in students)))
    return _checked(Marking(tuple(students), task, part, options.points or "", options.comment, tuple(meant)))


def _checked(entry: Marking) -> Marking:
    if entry.points and entry.points != NONE:
        most = entry.part.max_points
        if most is None:
            raise UsageError(_("{part} takes a comment; points belong to a task, or to the items of a rubric").format(
                part=entry.part.title))  # fmt: skip
        if not 0 <= read_points(entry.points) <= most:
            raise UsageError(_("points lie between 0 and {most:g}").format(most=most))
    return entry


# mark --write, mark --read


def _write_sheet(desk: _Desk, options: argparse.Namespace) -> int:
    known = {info.task for info in desk.found.tasks}
    asked = [task for task in desk.course.select(options.tasks or ()) if task.stem in known]
    asked = asked if options.tasks else [task for task in asked if task.manifest.manual]
    if not asked:
        raise UsageError(_("no task here has questions that people mark; name one with --task"))
    unread = len(_unread(desk, options.write)) if options.write.exists() else 0
    if unread:
        words = _("{file} holds {count} marks that are not read yet: --read it first, or give another name")
        raise UsageError(words.format(file=options.write, count=unread))
    folder = options.write.with_name(options.write.stem if options.write.suffix else f"{options.write.name}_answers")
    lines: list[dict[str, object]] = []
    for task in asked:
        answers = HandedIn(desk.book, desk.course, task)
        lines += sheet(desk.shown, task, answers, checks=options.checks, alike=options.alike)
        rows = [mine[task.stem] for mine in desk.shown.table.values()]
        _write_files(folder, task, answers, rows)
    content: str | bytes | None = sheet_csv(lines)
    if options.write.suffix.lower() == ".xlsx":
        content = workbook({"marking": sheet_csv(lines)})
    if content is None:
        raise UsageError(_("a workbook needs: pip install 'torchgrade[xlsx]'; or write a .csv"))
    write(options.write, content)
    words = _("{file}: {lines} lines; fill in points and comment, then `mark --read {file}`; answers are in {folder}")
    say(words.format(file=options.write, lines=len(lines), folder=folder))
    return int(ExitCode.PASSED)


def _write_files(folder: Path, task: Task, answers: HandedIn, rows: Iterable[Row]) -> None:
    """What everybody wrote, as text, under names of our own."""
    for row in rows:
        if row.submission_hash:
            place = folder / task.short / f"{folder_name(row.student)}.py"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(answers.bundle(row).main)


def _unread(desk: _Desk, place: Path) -> list[HandMark]:
    """What a sheet holds that the gradebook does not."""
    return [change for entry in _read_sheet(desk, place) for change in desk.changes(entry)]


def _read_sheet(desk: _Desk, place: Path) -> list[Marking]:
    """The lines that say something. UsageError tells every line that cannot be, and then nothing is kept."""
    entries, wrong = [], []
    for number, line in read_records(place, COLUMNS, _READ):
        who, said, name, points, comment = (uncelled(line.get(column, "")) for column in _READ)
        if not points and not comment:
            continue
        try:
            task, part = desk.part(said, name)
            students = [key for one in who.split(";") for key in desk.people.named(one.strip())]
            entries.append(_checked(Marking(tuple(students), task, part, points, comment or None)))
        except TorchGradeError as error:
            reason = translate_built(str(error))
            wrong.append(_("{file}, line {number}: {reason}").format(file=place, number=number, reason=reason))
    if wrong:
        raise UsageError("\n".join(wrong))
    return entries


# extend


def extend(options: argparse.Namespace, course: Course) -> int:
    """Give a student, a team or a whole table of them more time; what being late costs is counted anew."""
    with Gradebook(existing_gradebook(options.out), writer=True) as book:
        people = People.of(book)
        given = _from_table(people, course, options.read) if options.read else [_one(people, course, options)]
        for students, what, until, why in given:
            for student in students:
                book.extend(student, what, until, why=why, who=user())
        found = publish(book, course, options.out)
        students = list(dict.fromkeys(student for keys, *_rest in given for student in keys))
        if not options.read:
            tell(found, students)
        given_now = sum(len(keys) for keys, _what, until, _why in given if until)
        withdrawn = sum(len(keys) for keys, _what, until, _why in given if not until)
        if given_now:
            say(plural("{count} extension is kept", "{count} extensions are kept", given_now))
        if withdrawn:
            say(plural("{count} extension is withdrawn", "{count} extensions are withdrawn", withdrawn))
    return int(ExitCode.PASSED)


Extension = tuple[Sequence[str], str, str, str]


def _one(people: People, course: Course, options: argparse.Namespace) -> Extension:
    if not options.student or not options.what or not options.until:
        raise UsageError(_("say who, what and until when: extend STUDENT TASK UNTIL, or --read a table"))
    return _extension(people, course, options.student, options.what, options.until, options.why)


def _from_table(people: People, course: Course, place: Path) -> list[Extension]:
    given, wrong = [], []
    for number, line in read_records(place, EXTENSION, EXTENSION[:3]):
        try:
            given.append(_extension(people, course, *(uncelled(line.get(name, "")) for name in EXTENSION)))
        except TorchGradeError as error:
            reason = translate_built(str(error))
            wrong.append(_("{file}, line {number}: {reason}").format(file=place, number=number, reason=reason))
    if wrong:
        raise UsageError("\n".join(wrong))
    return given


def _extension(people: People, course: Course, student: str, said: str, until: str, why: str) -> Extension:
    """Checked, with the task or homework that is meant; blank until withdraws."""
    keys, policy = people.named(student), policy_of(course)
    homework = next((homework for homework in policy.homeworks if homework.name == said), None)
    try:
        what = said if homework else course.find(said).stem
    except UnknownTask as unknown:
        words = _("there is no task and no homework {name!r}").format(name=said)
        raise UnknownTask(words, said, [*unknown.near, *(one.name for one in policy.homeworks)]) from None
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
