"""What learning platforms import: Gradescope's results.json, a Canvas gradebook CSV, a Moodle grade CSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from torchgrade.marks import OPEN, Student, TaskInfo
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report.escape import plain
from torchgrade.report.feedback_text import details
from torchgrade.report.learner_view import learner_result
from torchgrade.report.tables import Marks, to_csv


def gradescope_json(result: Result) -> str:
    """One student's results for Gradescope, hidden checks by sentence, category and size of the error only.

    A task without a verdict has no scores, and then there is no total either: an absent score is no zero.
    """
    seen = learner_result(result)
    tests = [_test(task, check) for task in seen.tasks for check in task.checks]
    is_open = any(str(task.status) in OPEN for task in seen.tasks)
    document: dict[str, Any] = {
        "output": "Some tasks could not be graded yet; their points are missing." if is_open else "",
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "execution_time": round(sum(task.seconds for task in seen.tasks)),
        "tests": tests,
        "extra_data": {"schema": seen.schema, "course": plain(seen.course, lines=False), "engine": seen.engine},
    }
    if not is_open:
        document["score"] = seen.points
    return json.dumps(document, ensure_ascii=False)


def _test(task: TaskGrade, check: Outcome) -> dict[str, Any]:
    name = check.title if check.device == "cpu" else f"{check.title} [{check.device}]"
    test: dict[str, Any] = {
        "name": plain(f"{task.title}: {name}", lines=False),
        "number": f"{task.short.removeprefix('task')}.{check.id}",
        "max_score": check.max_points,
        "output": plain("\n".join(details(check))),
        "output_format": "text",
        "tags": [task.task, check.category, str(check.status)],
        "visibility": "visible",
    }
    if str(check.status) not in OPEN:
        test["score"] = check.points
        test["status"] = "passed" if check.status is Status.PASSED else "failed"
    return test


def canvas_csv(students: Sequence[Student], tasks: Sequence[TaskInfo], marks: Marks) -> str:
    """Canvas' gradebook import: its five columns, a line of possible points, an assignment for each task.

    The ids come from a roster that is Canvas' own export, or from the names of the downloaded files.
    """
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *(_column(task) for task in tasks)]
    lines: list[list[object]] = [["    Points Possible", "", "", "", "", *(task.max_points for task in tasks)]]
    for student in students:
        ids = student.ids
        number = ids.get("platform") or ids.get("id") or (student.id if student.id.isdigit() else "")
        front = [student.name or student.key, number, ids.get("sis user id", "")]
        front += [ids.get("sis login id", "") or student.email, student.section]
        lines.append([*front, *(marks[student.key].line(task.task).points for task in tasks)])
    return to_csv(head, lines).removeprefix("\ufeff")  # Canvas would read the mark as part of the first heading


def moodle_csv(students: Sequence[Student], tasks: Sequence[TaskInfo], marks: Marks) -> str:
    """Moodle's grade import: people by id number, e-mail or participant number, a column for each task."""
    head = ["Identifier", "ID number", "Full name", "Email address", *(_column(task) for task in tasks), "Total (%)"]
    lines = []
    for student in students:
        ids = student.ids
        participant = ids.get("identifier", "") or ids.get("platform", "")
        participant = participant or (student.key if student.key.startswith("Participant ") else "")
        number = ids.get("id number") or ("" if participant == student.id else student.id)
        front: list[object] = [participant, number, student.name or student.key, student.email]
        points = [marks[student.key].line(task.task).points for task in tasks]
        lines.append([*front, *points, marks[student.key].percent])
    return to_csv(head, lines).removeprefix("\ufeff")


def _column(task: TaskInfo) -> str:
    return f"{task.short.replace('task', 'Task ')} {task.title}"
