"""A made-up class: students of every kind, tasks, rows, hostile text. Seeded."""

from __future__ import annotations

import random

from torchgrade.marks import MISSING, PENDING, UNREADABLE, Override, Row, Student, TaskInfo
from torchgrade.model import Outcome, Status
from torchgrade.policy import Policy
from torchgrade.sums import Total, total

TASKS = (
    TaskInfo("task01_numbers", "Numbers & <shapes>", 6.0),
    TaskInfo("task02_pooling", "Pooling", 6.0),
    TaskInfo("task03_training", "Training", 6.0),
)
EVIL = "=HYPERLINK(\"http://x\",1)</script><script>alert('x')</script>\x1b[31m\x00\u202e\ud800]]>&amp;`*_"
SECRET = "tensor([[41.7, 0.25]])"  # stands for what only a hidden check knows


def outcome(name: str, passed: bool, *, hidden: bool = False, **more: object) -> Outcome:
    status = Status.PASSED if passed else Status.FAILED
    told = {} if passed else {
        "message": "3 of 4 values differ, by 0.5 at most", "expected": f"1.5 {SECRET if hidden else ''}",
        "got": "2.5", "given": f"x = {SECRET if hidden else '[1, 2]'}", "where": "task01_numbers.py:3  add()",
        "likely": SECRET if hidden else "the mean divides by N - 1, not by N",
        "output": SECRET if hidden else "printed",
    }  # fmt: skip
    values = {"hidden": hidden, "seconds": 0.01, **told, **more}
    points = 2.0 if passed else 0.0
    head = (name, f"{name} works", "values", "cpu", status, points, 2.0)
    return Outcome(*head, **values)  # type: ignore[arg-type]


def graded(student: str, task: TaskInfo, skill: float, rng: random.Random, **more: object) -> Row:
    checks = tuple(
        outcome(f"test_{word}", rng.random() < skill + ease, hidden=word == "secret")
        for word, ease in (("easy", 1.0), ("middle", 0.0), ("secret", -0.3))
    )
    points = sum(check.points for check in checks)
    status = Status.PASSED if points == 6 else Status.FAILED
    values = {
        "label": f"{student}/{task.task}.py", "seconds": 0.2 + rng.random() / 10, "grader_hash": "suite",
        "submission_hash": "f" * 64, "seed": 4711, "isolation": "level 3", "attempt": 1, "attempts": 1, **more,
    }  # fmt: skip
    return Row(student, task.task, str(status), points, task.max_points, checks=checks, **values)  # type: ignore[arg-type]


def marks_of(rows: list[Row], policy: Policy) -> dict[str, Total]:
    """Every student's mark in ``TASKS``."""
    students = dict.fromkeys(row.student for row in rows)
    return {key: total([row for row in rows if row.student == key], TASKS, policy) for key in students}


def make_class(size: int = 12, seed: int = 1) -> tuple[list[Student], list[Row]]:
    """Students with all kinds of rows; the first ones are odd, the others ordinary."""
    rng = random.Random(seed)
    students = [
        Student(f"s{i:04d}", f"s{i:04d}", f"Student {i}", f"s{i}@x.edu", "AB"[i % 2], True) for i in range(size)
    ]
    students[0] = Student("evil", "evil", EVIL, "@evil", "=A1", True, {"platform": "Participant 7", "id": "901"})
    rows = [graded(s.key, task, rng.random(), rng, late=False) for s in students for task in TASKS]
    by_key = {(row.student, row.task): row for row in rows}
    first, second, third = (students[i].key for i in (0, 1, 2))
    crash = outcome("test_easy", False, message=EVIL, output=EVIL, got=EVIL, where=EVIL)
    by_key[first, TASKS[0].task] = Row(
        first, TASKS[0].task, "failed", 0.0, 6.0, 1, 1, label=EVIL, checks=(crash,), late=True, seconds=9.0,
    )  # fmt: skip
    by_key[first, TASKS[1].task] = Row(first, TASKS[1].task, UNREADABLE, 0.0, 6.0, 1, 1, reason=f"damaged {EVIL}")
    broken = Outcome("test_easy", "easy works", "values", "cpu", Status.BROKEN, 0.0, 2.0, message="KeyError: 'x'")
    by_key[second, TASKS[0].task] = Row(
        second, TASKS[0].task, "broken", None, 6.0, 1, 1, reason="KeyError: 'x'", checks=(broken,)
    )
    by_key[second, TASKS[1].task] = Row(second, TASKS[1].task, PENDING, None, 6.0, 1, 1, reason="not graded yet")
    by_key[third, TASKS[0].task] = Row(third, TASKS[0].task, MISSING, 0.0, 6.0, reason="nothing was handed in")
    held = by_key[third, TASKS[1].task]
    decision = Override(third, TASKS[1].task, 5.5, "a fair <try>", "prof", "2025-01-01", held.earned)
    by_key[third, TASKS[1].task] = graded(third, TASKS[1], 0.2, rng, override=decision)
    return students, list(by_key.values())
