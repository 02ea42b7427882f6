"""A class as it stands: its people and tasks, the rows that count, and every mark with its sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.gradebook.ledger import rows
from torchgrade.batch.run import policy_of
from torchgrade.course import Course
from torchgrade.marks import Row, Student, TaskInfo, counting
from torchgrade.policy import Policy
from torchgrade.sums import Total, dated, task_sum, total


@dataclass(frozen=True)
class Standing:
    """``every`` attempt has a row; ``table`` holds those that count, by student and task, ``marks`` what they come to.

    The points of ``tasks`` are their 100 %.
    """

    policy: Policy
    students: Sequence[Student]
    tasks: Sequence[TaskInfo]
    every: Sequence[Row]
    table: Mapping[str, Mapping[str, Row]]
    marks: Mapping[str, Total]

    @property
    def rows(self) -> list[Row]:
        """Those that count."""
        return [row for mine in self.table.values() for row in mine.values()]


def standing(book: Gradebook, course: Course) -> Standing:
    """Everything that a gradebook and the rules of its course come to."""
    policy = policy_of(course)
    infos = {info.task: info for info in book.tasks()}
    present = [infos[task.stem] for task in course.tasks if task.stem in infos]
    found = [row for row in rows(book) if row.task in infos]
    every = dated(found, policy, book.extensions())
    tasks = [_without_bonus(info, every, policy) for info in present]
    possible = {info.task: info for info in tasks}
    asked = book.setting("attempt")

    def attempt(task: str) -> str:
        return asked or policy.attempt_at(task)

    def worth(row: Row) -> float:
        return task_sum(row, possible[row.task], policy).points or 0.0

    table: dict[str, dict[str, Row]] = {}
    for row in counting((row for row in every if row.task in possible), attempt, worth):
        table.setdefault(row.student, {})[row.task] = row
    marks = {student: total(mine.values(), tasks, policy) for student, mine in table.items()}
    return Standing(policy, book.students(), tasks, every, table, marks)


def _without_bonus(info: TaskInfo, every: Sequence[Row], policy: Policy) -> TaskInfo:
    """The task with the points that are 100 %: checks that are bonus, known from whoever handed in, are none of it."""
    on_top: dict[str, float] = {}
    for row in every:
        if row.task == info.task and not on_top:
            for check in row.checks:
                if policy.is_bonus(info.task, check.id):
                    on_top[check.id] = on_top.get(check.id, 0.0) + check.max_points
    return replace(info, max_points=info.max_points - sum(on_top.values()))
