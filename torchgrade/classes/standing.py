"""A class as it stands: its people and tasks, the rows that count, and every mark with its sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.gradebook.ledger import rows
from torchgrade.batch.run import policy_of
from torchgrade.course import Course, Task
from torchgrade.errors import CourseError
from torchgrade.marks import Row, Student, TaskInfo, counting
from torchgrade.policy import Policy
from torchgrade.suites import read_suite
from torchgrade.sums import Total, dated, task_sum, total


@dataclass(frozen=True)
class Standing:
    """``every`` attempt has a row; ``table`` holds those that count, by student and task, ``marks`` what they come to.

    The points of ``tasks`` are their 100 %. ``asked``: which attempt the last batch asked for, blank for the course's.
    """

    policy: Policy
    asked: str
    students: Sequence[Student]
    tasks: Sequence[TaskInfo]
    every: Sequence[Row]
    table: Mapping[str, Mapping[str, Row]]
    marks: Mapping[str, Total]

    @property
    def rows(self) -> list[Row]:
        """Those that count."""
        return [row for mine in self.table.values() for row in mine.values()]

    def attempt_at(self, task: str) -> str:
        """Which attempt at a task counts: last, best or (shown all, counting the last) all."""
        return self.asked or self.policy.attempt_at(task)


def standing(book: Gradebook, course: Course, student: str | None = None) -> Standing:
    """Everything that a gradebook and the rules of its course come to, for the class or for one ``student``."""
    policy = policy_of(course)
    kept = {info.task: info for info in book.tasks()}
    tasks = [_without_bonus(kept[task.stem], task, policy) for task in course.tasks if task.stem in kept]
    infos = {info.task: info for info in tasks}
    every = dated((row for row in rows(book, student=student) if row.task in infos), policy, book.extensions())
    found = Standing(policy, book.setting("attempt") or "", book.students(), tasks, every, {}, {})

    def worth(row: Row) -> float:
        return task_sum(row, infos[row.task], policy).points or 0.0

    table: dict[str, dict[str, Row]] = {}
    for row in counting(every, found.attempt_at, worth):
        table.setdefault(row.student, {})[row.task] = row
    return replace(found, table=table, marks={key: total(mine.values(), tasks, policy) for key, mine in table.items()})


def _without_bonus(info: TaskInfo, task: Task, policy: Policy) -> TaskInfo:
    """The task with the points that are its 100 %; CourseError where ``bonus`` names a check that it lacks."""
    named = {name.partition("/")[2] for name in policy.bonus if name.startswith(f"{task.stem}/")}
    if not named:
        return info
    checks = [check for check in read_suite(task).checks if policy.is_bonus(task.stem, check.name)]
    if strangers := named - {name for check in checks for name in (check.name, check.name.removeprefix("test_"))}:
        raise CourseError(f"course.yaml: marks.bonus names {task.stem}/{min(strangers)}, which is no check of the task")
    return replace(info, max_points=info.max_points - sum(check.points for check in checks))
