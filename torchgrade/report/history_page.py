"""The page of one student's whole history, for the instructor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torchgrade.marks import Student
from torchgrade.report.feedback import environment


@dataclass(frozen=True)
class TaskHistory:
    """A task's part: ``mark`` is a sentence, ``facts`` are (label, text), ``lost`` the checks that cost points."""

    task: str
    title: str
    mark: str
    facts: Sequence[tuple[str, str]]
    lost: Sequence[str]


def history_html(course: str, student: Student, tasks: Sequence[TaskHistory]) -> str:
    """One self-contained page."""
    return environment().get_template("history.html.j2").render(course=course, student=student, tasks=tasks)
