"""One student's rows as a ``Result``, the model that every rendering of results understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchgrade.i18n import noop, translate_built
from torchgrade.i18n import translate as _
from torchgrade.marking import gone
from torchgrade.marks import MISSING, OPEN, PENDING, UNMARKED, UNREADABLE, HandPart, Remark, Row, Student, TaskInfo
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report.sum_text import late_words, number, points_of
from torchgrade.sums import TaskSum, Total


@dataclass(frozen=True)
class About:
    """What all results of a class share."""

    course: str
    engine: str
    torch: str
    devices: tuple[str, ...] = ("cpu",)
    seed: int = 0


# What has no outcome of the grader's still has a status that a reader of results knows.
_STATUS = {MISSING: Status.FAILED, UNREADABLE: Status.FAILED, PENDING: Status.UNAVAILABLE, UNMARKED: Status.UNAVAILABLE}


PEOPLE = noop("people")  # the category of what is no check of the grader's
LATE = "late"  # the name of what tells the cost of being late


def student_result(
    student: Student, rows: Mapping[str, Row], tasks: Sequence[TaskInfo], mark: Total, about: About
) -> Result:
    """The whole class result of one student, hidden checks included; see ``learner_view`` before handing it out.

    The points of a task are those of the ``mark``: what being late costs is off.
    """
    grades = tuple(task_grade(rows[task.task], task, mark.line(task.task)) for task in tasks)
    name = student.id or student.key
    return Result(about.course, about.engine, about.torch, about.seed, name, about.devices, grades)


def task_grade(row: Row, task: TaskInfo, line: TaskSum) -> TaskGrade:
    """A row as a grade: what was not graded gets one check that says why.

    What people marked, said and decided, and what being late costs, are told in outcomes of the category ``PEOPLE``.
    """
    known = row.status in Status._value2member_map_
    status = Status(row.status) if known else _STATUS[row.status]
    if row.override and str(status) in OPEN:  # a person decided where the grader could not
        status = Status.PASSED if (line.points or 0.0) >= line.max_points else Status.FAILED
    checks = [told for check in row.checks for told in (check, *_remark(row, check))]
    checks += [told for part in row.by_hand for told in _answers(row, part)]
    if row.override:
        checks.append(_override_outcome(row))
    if not checks:
        checks.append(_file_outcome(row, task, status))
    if line.late and line.late.cost:
        checks.append(_told(LATE, _("handed in late"), f"-{line.late.cost:g}: {late_words(line.late)}"))
    if "" in row.remarks:
        checks.append(_told("comment", _("comment"), row.remarks[""].comment))
    checks += [
        _told(f"{old.part}.comment", _("on {part}, which the task has no more").format(part=old.part), _said(old))
        for old in gone(row)
    ]
    return TaskGrade(
        task.task, task.title, status, line.points or 0.0, line.max_points, row.seconds, row.grader_hash,
        row.submission_hash[:16], tuple(checks), row.isolation or "none", row.memory_bound or "none",
        notes=row.notes,
    )  # fmt: skip


def _remark(row: Row, check: Outcome) -> list[Outcome]:
    """What a person said about a check, once for all devices."""
    said = row.remarks.get(check.id)
    last = [other for other in row.checks if other.id == check.id][-1]
    if said is None or check is not last:
        return []
    return [_told(f"{check.id}.comment", _("comment"), _said(said))]


def _said(remark: Remark) -> str:
    points = "" if remark.points is None else _("set by hand: {points}").format(points=number(remark.points))
    return "; ".join(part for part in (points, remark.comment) if part)


def _answers(row: Row, part: HandPart) -> list[Outcome]:
    """A question that people mark, with its items and comments as the message."""
    points = _("open") if part.points is None else ""
    items = [f"{item.title}: {points_of(item)}" for item in part.items]
    comments = [row.remarks[one.name].comment for one in (part, *part.items) if one.name in row.remarks]
    message = "\n".join(text for text in (points, *items, *comments) if text)
    full = part.points is not None and part.points >= part.max_points
    status = Status.UNAVAILABLE if part.points is None else Status.PASSED if full else Status.FAILED
    return [Outcome(part.name, part.title, PEOPLE, "cpu", status, part.points or 0.0, part.max_points, message=message)]


def _file_outcome(row: Row, task: TaskInfo, status: Status) -> Outcome:
    title = f"{task.task}.py is handed in and can be read"
    return Outcome("file", title, "robustness", "cpu", status, 0.0, row.max_points, message=translate_built(row.reason))


def _override_outcome(row: Row) -> Outcome:
    decision = row.override
    assert decision is not None
    graded = "nothing" if row.earned is None else f"{row.earned:g}"
    graded += "" if row.checks or not row.reason else f" ({translate_built(row.reason)})"
    message = f"{decision.points:g} of {row.max_points:g} points instead of {graded}: {decision.why}"
    told = f"{message} ({decision.who}, {decision.made})"
    return _told("override", "the points were set by hand", told)


def _told(name: str, title: str, message: str) -> Outcome:
    """What is no check of the grader's, and says why the points are others than theirs."""
    return Outcome(name, title, PEOPLE, "cpu", Status.PASSED, 0.0, 0.0, message=message)
