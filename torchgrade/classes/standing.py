"""A class as it stands: its people and tasks, the rows that count, and every mark with its sum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.gradebook.ledger import rows
from torchgrade.batch.run import policy_of
from torchgrade.course import Course, Task
from torchgrade.marking import marked
from torchgrade.marks import Row, Student, TaskInfo, counting
from torchgrade.policy import Policy
from torchgrade.suites import read_suite
from torchgrade.sums import Total, dated, task_sum, total


@dataclass(frozen=True)
class Standing:
    """``every`` attempt has a row; ``table`` holds those that count, by student and task, ``marks`` what they come to.

    The points of ``tasks`` are their 100 %. ``asked``: which attempt the last batch asked for, blank for the course's.
    ``comments`` are those about a student's whole hand-in. ``pseudonyms``: by which keys it shows people instead.
    """

    policy: Policy
    asked: str
    students: Sequence[Student]
    tasks: Sequence[TaskInfo]
    every: Sequence[Row]
    table: Mapping[str, Mapping[str, Row]]
    marks: Mapping[str, Total]
    comments: Mapping[str, str]
    pseudonyms: Mapping[str, str] = field(default_factory=dict)

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
    present = [task for task in course.tasks if task.stem in kept]
    questions = {task.stem: task.manifest.manual for task in present}
    remarks = book.remarks()
    tasks = [_hundred_percent(kept[task.stem], task, policy) for task in present]
    infos = {info.task: info for info in tasks}
    marked_rows = [
        marked(row, questions[row.task], remarks.get((row.student, row.task), {}))
        for row in rows(book, student=student)
        if row.task in infos
    ]
    every = dated(marked_rows, policy, book.extensions())
    comments = {who: said[""].comment for (who, task), said in remarks.items() if not task}
    found = Standing(policy, book.setting("attempt") or "", book.students(), tasks, every, {}, {}, comments)

    def worth(row: Row) -> float:
        return task_sum(row, infos[row.task], policy).points or 0.0

    table: dict[str, dict[str, Row]] = {}
    for row in counting(every, found.attempt_at, worth):
        table.setdefault(row.student, {})[row.task] = row
    return replace(found, table=table, marks={key: total(mine.values(), tasks, policy) for key, mine in table.items()})


def _hundred_percent(info: TaskInfo, task: Task, policy: Policy) -> TaskInfo:
    """The task with the points that are its 100 %: with the questions that people mark, without bonus."""
    asked = {question.name: question.points for question in task.manifest.manual}
    has_bonus = any(name.startswith(f"{task.stem}/") for name in policy.bonus)
    checks = {check.name: check.points for check in read_suite(task).checks} if has_bonus else {}
    on_top = [points for name, points in {**asked, **checks}.items() if policy.is_bonus(task.stem, name)]
    return replace(info, max_points=info.max_points + sum(asked.values()) - sum(on_top))
