"""Marking by hand, in bulk: the parts of a task that people mark, equal answers together, and the sheet for them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.classes.standing import Standing
from torchgrade.course import Course, Task
from torchgrade.errors import UsageError
from torchgrade.handin.source import Unreadable, decode
from torchgrade.i18n import translate as _
from torchgrade.marks import MISSING, Row
from torchgrade.report.parts import parts_of
from torchgrade.report.tables import to_csv
from torchgrade.submission import wanted_names
from torchgrade.suites import read_suite

COLUMNS = ("student", "name", "task", "part", "title", "status", "graded", "of", "points", "comment", "file")
NONE = "none"  # takes points back


@dataclass(frozen=True)
class Markable:
    """What can be marked by itself: a check, a question or an item of its rubric; without a name the whole task."""

    name: str
    title: str
    max_points: float | None  # None where only a comment is possible


def parts(task: Task, rows: Iterable[Row]) -> dict[str, Markable]:
    """All parts of a task by name: its questions and their items, its checks, and the whole of it."""
    found = {}
    for question in task.manifest.manual:
        most = None if question.rubric else question.points  # a rubric is marked item by item
        found[question.name] = Markable(question.name, question.title, most)
        for title, points in question.rubric:
            found[f"{question.name}/{title}"] = Markable(
                f"{question.name}/{title}", f"{question.title}: {title}", points
            )
    found |= {check.name: Markable(check.name, check.title, check.points) for check in read_suite(task).checks}
    for row in rows:  # a suite may make checks that its text hides
        for check in row.checks:
            most = sum(other.max_points for other in row.checks if other.id == check.id)
            found.setdefault(check.id, Markable(check.id, check.title, most))
    most = max((row.max_points for row in rows), default=None)
    return {**found, "": Markable("", _("the whole task"), most)}


def part_named(said: str, known: Mapping[str, Markable]) -> Markable:
    """The part that is meant: by its name, that of the function which a check is about, ``question/2``."""
    question, slash, place = said.partition("/")
    items = [name for name in known if slash and name.startswith(f"{question}/")]
    numbered = [name for number, name in enumerate(items, 1) if place == str(number)]
    for name in (said, f"test_{said}", *numbered):
        if name in known:
            return known[name]
    near = difflib.get_close_matches(said, [name for name in known if name], n=3, cutoff=0.4)
    meant = _("; is it {names}?").format(names=_(" or ").join(near)) if near else ""
    raise UsageError(_("nothing is called {said!r} in this task").format(said=said) + meant)


# Equal answers


class HandedIn:
    """What students handed in for one task, to be compared by parts."""

    def __init__(self, book: Gradebook, course: Course, task: Task) -> None:
        self._book = book
        self._subjects = read_suite(task).subjects(wanted_names(course.tasks)[task.stem])
        self._bundles: dict[str, Bundle] = {}

    def bundle(self, row: Row) -> Bundle:
        """What the row is about; only of one that has a hash."""
        if row.submission_hash not in self._bundles:
            self._bundles[row.submission_hash] = Bundle.unpack(self._book.source(row.submission_hash))
        return self._bundles[row.submission_hash]

    def key(self, row: Row, part: str) -> object:
        """Equal for equal answers: the text that the part is about, but for layout, and what the checks found.

        For a check that is the text of what it is about, without comments; else the whole, comments included.
        """
        if not row.submission_hash:
            return row.student
        bundle, subjects = self.bundle(row), self._subjects.get(part, ())
        try:
            text = decode(bundle.main)
        except Unreadable:
            return row.submission_hash
        checks = [check for check in row.checks if not subjects or check.id == part]
        found = tuple((check.id, check.device, check.status) for check in checks)
        written = parts_of(text) if subjects else {}
        helpers = tuple(sorted(bundle.helpers.items()))
        if subjects and all(name in written for name in subjects):
            return helpers, found, tuple(_bare(written[name], comments=False) for name in subjects)
        return helpers, found, _bare(text, comments=True)


def _bare(text: str, comments: bool) -> str:
    lines = (line.rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and (comments or not re.match(r"\s*#", line)))


def groups(rows: Sequence[Row], same: Mapping[str, object]) -> list[list[Row]]:
    """The rows of students of whom ``same`` holds one value, in the order of the first of each."""
    found: dict[object, list[Row]] = {}
    for row in rows:
        found.setdefault(same[row.student], []).append(row)
    return list(found.values())


# The sheet


def sheet(found: Standing, task: Task, answers: HandedIn, *, checks: bool, alike: bool) -> Iterator[dict[str, object]]:
    """The lines for one task: each question, with ``checks`` each check that cost points, and the whole task.

    A line is for one student or team, or for all whose answers are ``alike``. Who handed in nothing has none.
    """
    rows = [mine[task.stem] for mine in found.table.values() if mine[task.stem].status != MISSING]
    teams = {student.key: student.team for student in found.students}
    names = {student.key: student.shown for student in found.students}

    def same(row: Row, part: str) -> object:
        return answers.key(row, part) if alike else (teams[row.student], teams[row.student] or row.student)

    for part in parts(task, rows).values():
        asked = [row for row in rows if _is_asked(row, part, task, checks)]
        for group in groups(asked, {row.student: same(row, part.name) for row in asked}):
            first = group[0]
            check = [check for check in first.checks if check.id == part.name]
            given = {row.remarks[part.name].points if part.name in row.remarks else None for row in group}
            said = {row.remarks[part.name].comment if part.name in row.remarks else "" for row in group}
            yield {
                "student": "; ".join(row.student for row in group),
                "name": "; ".join(names[row.student] for row in group),
                "task": task.short,
                "part": part.name,
                "title": part.title,
                "status": str(check[0].status) if check else first.status,
                "graded": sum(one.points for one in check) if check else None if part.name else first.points,
                "of": part.max_points,
                "points": given.pop() if len(given) == 1 and part.name else None,
                "comment": said.pop() if len(said) == 1 else "",
                "file": first.label,
            }


def _is_asked(row: Row, part: Markable, task: Task, checks: bool) -> bool:
    if not part.name:
        return True
    mine = [check for check in row.checks if check.id == part.name]
    if mine:
        return checks and (part.name in row.remarks or any(check.points < check.max_points for check in mine))
    questions = {question.name for question in task.manifest.manual}
    return part.max_points is not None and part.name.partition("/")[0] in questions


def sheet_csv(lines: Iterable[Mapping[str, object]]) -> str:
    return to_csv(COLUMNS, ([line[name] for name in COLUMNS] for line in lines))
