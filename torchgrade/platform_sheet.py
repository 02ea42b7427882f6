"""A gradebook that a learning platform exported, to be given back with marks in it: its kind and its columns. Pure.

Canvas      Student, ID, …, Section, then columns ``Homework 1 (34567)``; a line of possible points
Moodle      the grading worksheet: Identifier, Full name, …, Grade, Maximum Grade, …, in the site's language
Blackboard  Last Name, First Name, Username, … and columns ``Homework 1 [Total Pts: 30 Score] |34567``
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torchgrade.errors import UsageError
from torchgrade.handin.matching import by_name
from torchgrade.marks import TaskInfo

CANVAS, MOODLE, BLACKBOARD = "Canvas", "Moodle", "Blackboard"
POSSIBLE = "points possible"
_ID = {CANVAS: re.compile(r"(.*)\s\((\d+)\)"), BLACKBOARD: re.compile(r"(.*?)\s*(?:\[[^\]]*\])?\s*\|(\d+)")}
_TOTAL = re.compile(r"\[Total Pts: (?:up to )?([\d.,]+)")
_OWN = re.compile(r"(?:current|final) (?:score|points|grade)|override (?:score|grade|status)", re.IGNORECASE)
_PARTICIPANT = re.compile(r"(\D{3,}?)\s*([1-9]\d*)")
_WORKSHEET = 7  # Identifier, name, status, grade, maximum, whether it can be changed, when it was


class Column(NamedTuple):
    """A column of a platform's gradebook: ``points`` are the possible ones there, None where nobody told them.

    Into it go the marks of ``task``, or where that is empty the total.
    """

    heading: str
    points: float | None
    task: str = ""


@dataclass(frozen=True)
class Sheet:
    """What was exported, cell by cell; ``rows`` are all lines below the headings."""

    kind: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, table: Sequence[Sequence[str]]) -> Sheet | None:
        """None for a table that is no platform's gradebook."""
        head, *rows = [tuple(line) for line in table] or [()]
        kind = _kind(head, rows)
        return cls(kind, head, tuple(row for row in rows if any(map(str.strip, row)))) if kind else None

    @classmethod
    def from_kept(cls, text: str) -> Sheet | None:
        if not text:
            return None
        kind, head, rows = json.loads(text)
        return cls(kind, tuple(head), tuple(map(tuple, rows)))

    def kept(self) -> str:
        """As one text, for ``from_kept``."""
        return json.dumps([self.kind, self.head, self.rows], ensure_ascii=False)

    @property
    def front(self) -> int:
        """How many columns tell the person; those behind are marks."""
        if self.kind == CANVAS:
            return next(i for i, name in enumerate(self.head) if "Section" in name) + 1
        return next((i for i, name in enumerate(self.head) if _ID[BLACKBOARD].fullmatch(name)), len(self.head))

    def points(self) -> dict[str, float | None]:
        """The headings of the columns for marks, and how many points are possible in each."""
        headings = self.head[self.front :]
        if self.kind == BLACKBOARD:
            found = {name: _TOTAL.search(name) for name in headings if _ID[BLACKBOARD].fullmatch(name)}
            return {name: number(total[1]) if total else None for name, total in found.items()}
        possible = next((row for row in self.rows if POSSIBLE in row[0].lower()), ())
        return dict(
            zip(headings, [number(cell) for cell in possible[self.front :]] + [None] * len(headings), strict=False)
        )

    def frozen(self) -> set[str]:
        """The columns that Canvas fills itself."""
        possible = next((row for row in self.rows if POSSIBLE in row[0].lower()), ())
        marked = {name for name, cell in zip(self.head, possible, strict=False) if "(read only)" in cell.lower()}
        return marked | {name for name in self.head if _OWN.search(name)}


def _kind(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if len(head) > 2 and "Student" in head[0] and head[1].strip() == "ID" and any("Section" in n for n in head[2:7]):
        return CANVAS
    if "Username" in head and any(_ID[BLACKBOARD].fullmatch(name) for name in head):
        return BLACKBOARD
    return MOODLE if grade_places([head, *rows]) else ""


def grade_places(table: Sequence[Sequence[str]]) -> tuple[int, int] | None:
    """The places of grade and maximum in Moodle's worksheet, by its shape: the words are those of the site.

    Every line begins with the word for a participant and a number; the maximum is the same in all of them.
    """
    head, *rows = table
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    people = [_PARTICIPANT.fullmatch(row[0].strip()) for row in rows if row]
    words = {found[1] for found in people if found}
    if len(head) < _WORKSHEET or not rows or len(people) != len(rows) or None in people or len(words) > 1:
        return None
    if any(len(row) != len(head) for row in rows):
        return None
    for place in range(3, len(head)):
        most = {number(row[place]) for row in rows}
        grades = [number(row[place - 1]) if row[place - 1].strip(" -") else 0.0 for row in rows]
        top = next(iter(most))
        if len(most) == 1 and top and all(grade is not None and grade <= top for grade in grades):
            return place - 1, place
    return None


def participant(identifier: str) -> str:
    """The number in ``Participant 71``; empty where there is none."""
    found = _PARTICIPANT.fullmatch(identifier.strip())
    return found[2] if found else ""


def number(text: str) -> float | None:
    """A number with a point or a comma."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def columns_for(sheet: Sheet | None, asked: Sequence[str], tasks: Sequence[TaskInfo]) -> list[Column]:
    """The columns to fill. ``asked`` are headings, for the total, or ``task07=heading``; without them a column for
    each task, the one of the export that names it where there is one.

    Raises UsageError for a column that the export lacks, or that its platform fills itself.
    """
    there: Mapping[str, float | None] = sheet.points() if sheet and sheet.kind != MOODLE else {}
    frozen = sheet.frozen() if sheet and sheet.kind == CANVAS else set()
    if asked:
        return [_asked(text, there, frozen, sheet.kind if sheet else CANVAS, tasks) for text in asked]
    stems = [task.task for task in tasks]
    named = {task: name for name in there if name not in frozen and (task := by_name(f"{name}.", stems))}
    return [
        Column(named[task.task], there[named[task.task]], task.task) if task.task in named
        else Column(f"{task.short.replace('task', 'Task ')} {task.title}", task.max_points, task.task)
        for task in tasks
    ]  # fmt: skip


def _asked(
    text: str, there: Mapping[str, float | None], frozen: set[str], kind: str, tasks: Sequence[TaskInfo]
) -> Column:
    before, equals, behind = text.partition("=")
    task = by_name(before, [task.task for task in tasks]) if equals else None
    wanted = behind.strip() if task else text.strip()
    if not there:
        if _OWN.search(wanted):
            raise UsageError(f"Canvas fills {wanted!r} itself and drops what is imported; name another column")
        return Column(wanted, None, task or "")
    parts = {name: _ID[kind].fullmatch(name) for name in there}
    by_id = [name for name, found in parts.items() if found and wanted == found[2]]
    by_title = [name for name, found in parts.items() if found and wanted == found[1]]
    same = [name for name in there if name == wanted] or by_id or by_title
    if len(same) != 1:
        near = same or difflib.get_close_matches(wanted, there, n=3, cutoff=0.4)
        meant = f"; is it {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(f"the export of {kind} has {'no' if not same else 'more than one'} column {wanted!r}{meant}")
    if same[0] in frozen:
        raise UsageError(f"{kind} fills {same[0]!r} itself and drops what is imported; name another column")
    return Column(same[0], there[same[0]], task or "")
