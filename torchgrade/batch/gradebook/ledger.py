"""Reading a gradebook: exactly one row for every student, task and attempt, and what a regrade changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torchgrade.batch.gradebook.gradebook import Gradebook, Handin, Target
from torchgrade.marks import MISSING, OPEN, PENDING, UNREADABLE, Override, Row, TaskInfo
from torchgrade.model import Outcome


def rows(
    book: Gradebook, *, checks: bool = True, targets: Mapping[str, Target] | None = None,
    student: str | None = None,
) -> Iterator[Row]:  # fmt: skip
    """Every row of the class, by student, task order and attempt; or those of one student.

    ``targets`` defaults to those in force.
    """
    force = book.targets() if targets is None else targets
    overrides = book.overrides()
    handed: dict[tuple[str, str], list[Handin]] = {}
    for handin in book.handins():
        handed.setdefault((handin.student, handin.task), []).append(handin)
    for key in [one.key for one in book.students() if student in (None, one.key)]:
        for task in book.tasks():
            override = overrides.get((key, task.task))
            attempts = handed.get((key, task.task), [])
            if not attempts:
                yield Row(key, task.task, MISSING, 0.0, task.max_points, override=override,
                          reason="nothing was handed in")  # fmt: skip
            for handin in attempts:
                yield _row(book, task, handin, len(attempts), override, force.get(task.task), checks)


def _row(
    book: Gradebook, task: TaskInfo, handin: Handin, attempts: int, override: Override | None,
    target: Target | None, checks: bool,
) -> Row:  # fmt: skip
    head: dict[str, Any] = {
        "student": handin.student, "task": task.task, "attempt": handin.attempt, "attempts": attempts,
        "label": handin.label, "submitted": handin.submitted, "late": handin.late, "override": override,
        "submission_hash": handin.source or "",
    }  # fmt: skip
    if handin.source is None:
        return Row(**head, status=UNREADABLE, earned=0.0, max_points=task.max_points, reason=handin.reason)
    found = book.graded(target.key(task.task, handin.source)) if target else None
    if found is None or target is None:
        return Row(**head, status=PENDING, earned=None, max_points=task.max_points, reason="not graded yet")
    return Row(
        **head, status=found.status, earned=None if found.status in OPEN else found.points,
        max_points=found.max_points or task.max_points, seconds=found.seconds, peak_mb=found.peak_mb,
        isolation=found.isolation, memory_bound=found.memory_bound, reason=found.reason or handin.reason,
        grader_hash=target.suite, environment=target.environment, seed=target.seed,
        checks=book.outcomes(found) if checks else (), notes=found.notes,
    )  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What a regrade changed for one student: one check, or the whole task when ``check`` is empty."""

    student: str
    task: str
    check: str
    title: str
    before: str
    after: str
    points_before: float | None
    points_after: float | None
    of_before: float | None
    of_after: float | None


def changes(before: Iterable[Row], after: Iterable[Row]) -> list[Change]:
    """Compare two readings of a class: rows whose points, share or status differ, then their checks, one by one.

    Attempts are compared one with one; what had no verdict yet is none that changed. A check that is new or gone is
    compared with "absent".
    """
    old = {(row.student, row.task, row.attempt): row for row in before}
    found: list[Change] = []
    for row in after:
        held = old.get((row.student, row.task, row.attempt))
        if held is None or held.status == PENDING:
            continue
        of = (held.max_points, row.max_points)
        if (held.status, held.points) != (row.status, row.points) or (row.points and of[0] != of[1]):
            both = (held.status, row.status, held.points, row.points)
            found.append(Change(row.student, row.task, "", "", *both, *of))
        found += _check_changes(held, row)
    return found


def _check_changes(held: Row, row: Row) -> list[Change]:
    was = {(check.id, check.device): check for check in held.checks}
    now = {(check.id, check.device): check for check in row.checks}
    found = []
    for key in [*now, *(key for key in was if key not in now)]:
        a, b = was.get(key), now.get(key)
        (old, earned), (new, earns) = _state(a), _state(b)
        if (old, earned) != (new, earns):
            either = b or a
            title = either.title if either else ""
            of = tuple(check.max_points if check else None for check in (a, b))
            found.append(Change(row.student, row.task, key[0], title, old, new, earned, earns, *of))
    return found


def _state(check: Outcome | None) -> tuple[str, float | None]:
    return (str(check.status), check.points) if check else ("absent", None)
