"""The class as tables: marks, checks, leftovers, changes. Pure functions from rows to CSV text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from torchgrade.marks import Row, Student, TaskInfo
from torchgrade.report.escape import cell
from torchgrade.report.sum_text import COUNTS, late_words, points_of
from torchgrade.sums import Total

Class = Mapping[str, Mapping[str, Row]]
Marks = Mapping[str, Total]


def by_student(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    """student -> task -> row, for rows of which each student and task has one."""
    table: dict[str, dict[str, Row]] = {}
    for row in rows:
        table.setdefault(row.student, {})[row.task] = row
    return table


def to_csv(head: Sequence[str], lines: Iterable[Sequence[object]], *, quoted: bool = False) -> str:
    """RFC 4180 text, every cell made harmless, and in quotes if ``quoted``. Begins with a byte order mark, without
    which Excel takes UTF-8 for Latin 1."""
    target = io.StringIO()
    target.write("\ufeff")
    writer = csv.writer(target, lineterminator="\r\n", quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writerow([cell(name) for name in head])
    for line in lines:
        writer.writerow([cell(value) for value in line])
    return target.getvalue()


def grades_csv(students: Sequence[Student], table: Class, tasks: Sequence[TaskInfo], marks: Marks) -> str:
    """One line for each student: points by task (what being late costs is off), the total, what is open, overridden,
    late or left out.

    A task without a verdict (our own fault, a device that is not there) is empty and named under ``open``;
    the total is then empty too. The ``late`` column is there when dates are known.
    """
    dated = any(row.late is not None for rows in table.values() for row in rows.values())
    graded = any(mark.passed is not None for mark in marks.values())
    teams = any(student.team for student in students)
    head = ["id", "name", "email", "section", *(["team"] if teams else []), *(task.task for task in tasks)]
    head += ["points", "max_points", "percent"]
    head += [*(["passed"] if graded else []), "open", "overridden", "not counted", *(["late"] if dated else [])]
    lines = []
    for student in students:
        rows, mark = table[student.key], marks[student.key]
        listed = [rows[task.task] for task in tasks]
        line: list[object] = [student.id or student.key, student.name, student.email, student.section]
        line += [student.team] if teams else []
        line += [mark.line(task.task).points for task in tasks]
        line += [None if mark.open_tasks else mark.points, mark.max_points, mark.percent]
        line += [mark.passed] if graded else []
        line.append("; ".join(f"{row.task}: {row.status}" for row in listed if row.open))
        line.append("; ".join(f"{row.task}: {row.override.why}" for row in listed if row.override))
        line.append("; ".join(mark.dropped))
        line += ["; ".join(row.task for row in listed if row.late)] if dated else []
        lines.append(line)
    return to_csv(head, lines)


def sums_csv(students: Sequence[Student], marks: Marks) -> str:
    """The sum behind every mark: a line for each student and task, and one (without a task) for the total."""
    head = ("id", "name", "task", "checks", "by people", "bonus", "set by hand", "late", "points", "of", "percent",
            "weight", "counts", "why late")  # fmt: skip
    lines: list[list[object]] = []
    for student in students:
        who, mark = [student.id or student.key, student.name], marks[student.key]
        for line in mark.lines:
            late, share = line.late, None if line.points is None else round(100 * line.share, 4)
            terms = [
                line.checks,
                line.by_hand,
                line.bonus or None,
                line.override,
                -late.cost if late and late.cost else None,
            ]
            counts = [line.weight, COUNTS[line.counts] or line.counts, late_words(late) if late else ""]
            lines.append([*who, line.task, *terms, line.points, line.max_points, share, *counts])
        points = None if mark.open_tasks else mark.points
        lines.append([*who, "", *[None] * 5, points, mark.max_points, mark.percent, mark.weight, "total", ""])
    return to_csv(head, lines)


_CHECK_HEAD = (
    "id", "name", "task", "attempt", "task_status", "check", "title", "category", "device", "hidden", "status",
    "points", "max_points", "seconds", "message", "given", "expected", "got", "likely", "where", "comment", "reason",
    "override", "late", "file", "submitted", "submission_hash", "grader_hash", "seed", "isolation",
)  # fmt: skip


def checks_csv(students: Sequence[Student], rows: Iterable[Row]) -> str:
    """One line for each check of each row; a row without checks has one line, with its reason. For instructors."""
    names = {student.key: student for student in students}
    lines: list[list[object]] = []
    for row in rows:
        who = names[row.student]
        decided = f"{row.override.points:g} by {row.override.who}: {row.override.why}" if row.override else ""
        front: list[object] = [who.id or who.key, who.name, row.task, row.attempt or None, row.status]
        back: list[object] = [
            row.reason, decided, row.late, row.label, row.submitted, row.submission_hash[:16], row.grader_hash,
            row.seed or None, row.isolation,
        ]  # fmt: skip
        comments = {part: remark.comment for part, remark in row.remarks.items()}
        if not row.checks:
            lines.append([*front, *[None] * 6, row.earned, row.max_points, row.seconds, *[None] * 6, None, *back])
        for c in row.checks:
            middle = [c.id, c.title, c.category, c.device, c.hidden, str(c.status), c.points, c.max_points, c.seconds]
            evidence = [c.message, c.given, c.expected, c.got, c.likely, c.where]
            lines.append([*front, *middle, *evidence, comments.get(c.id), *back])
        for part in row.by_hand:
            middle = [part.name, part.title, "people", None, False, None, part.points, part.max_points, None]
            said = "; ".join(comments[one.name] for one in (part, *part.items) if comments.get(one.name))
            told = "; ".join(f"{item.title}: {points_of(item)}" for item in part.items)
            lines.append([*front, *middle, told, *[None] * 5, said, *back])
        if comments.get(""):
            lines.append([*front, *[None] * 15, comments[""], *back])
    return to_csv(_CHECK_HEAD, lines)


def unmatched_csv(entries: Iterable[Sequence[str]]) -> str:
    """Every file that belongs to no student or no task, and why."""
    return to_csv(("file", "student", "reason"), entries)
