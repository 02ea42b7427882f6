"""One student's rows as a ``Result``, the model that every rendering of results understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchgrade.marks import MISSING, PENDING, UNMARKED, UNREADABLE, Row, Student, TaskInfo
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report.sum_text import late_words
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
    """A row as a grade: what was not graded gets one check that says why; an override and what being late costs are
    told in others.
    """
    known = row.status in Status._value2member_map_
    status = Status(row.status) if known else _STATUS[row.status]
    checks = row.checks
    if row.override:
        checks = (*checks, _override_outcome(row, task))
    checks = checks or (_file_outcome(row, task, status),)
    if line.late and line.late.cost:
        checks = (*checks, _told("late", "it was handed in late", f"{late_words(line.late)} -{line.late.cost:g}"))
    return TaskGrade(
        task.task, task.title, status, line.points or 0.0, line.max_points, row.seconds, row.grader_hash,
        row.submission_hash[:16], checks, row.isolation or "none", row.memory_bound or "none",
        notes=row.notes,
    )  # fmt: skip


def _file_outcome(row: Row, task: TaskInfo, status: Status) -> Outcome:
    title = f"{task.task}.py is handed in and can be read"
    return Outcome("file", title, "robustness", "cpu", status, 0.0, row.max_points, message=row.reason)


def _override_outcome(row: Row, task: TaskInfo) -> Outcome:
    decision = row.override
    assert decision is not None
    graded = "nothing" if row.earned is None else f"{row.earned:g}"
    graded += "" if row.checks or not row.reason else f" ({row.reason})"
    message = f"{decision.points:g} of {row.max_points:g} points instead of {graded}: {decision.why}"
    told = f"{message} ({decision.who}, {decision.made})"
    return _told("override", "the points were set by hand", told)


def _told(name: str, title: str, message: str) -> Outcome:
    """What is no check of the grader's, and says why the points are others than theirs."""
    return Outcome(name, title, "robustness", "cpu", Status.PASSED, 0.0, 0.0, message=message)
