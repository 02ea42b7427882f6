"""How points become marks: ``Policy`` is the ``marks`` section of ``course.yaml``, ``total`` applies it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from torchgrade.errors import CourseError
from torchgrade.marks import Row, TaskInfo


@dataclass(frozen=True)
class Policy:
    """How the marks of tasks become one total.

    ``weights`` maps a task to its weight (default: its points); ``best_of`` counts the n best tasks,
    ``drop_lowest`` leaves out the n worst; ``passing`` is the share of the total that passes and
    ``passing_each`` the share that every counted task needs. ``deadlines`` maps a task to a date (its whole day)
    or a time, with a zone or in that of the hand-ins.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    best_of: int | None = None
    drop_lowest: int = 0
    passing: float | None = None
    passing_each: float | None = None
    deadlines: Mapping[str, datetime] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any] | None, tasks: Sequence[str]) -> Policy:
        """Read ``marks:`` of course.yaml; raises CourseError naming the entry that cannot be right."""
        data = dict(data or {})
        unknown = sorted(set(data) - set(cls.__dataclass_fields__))
        if unknown:
            raise CourseError(f"course.yaml: marks has no entry `{unknown[0]}`")
        policy = cls(**data)
        for name in ("weights", "deadlines"):
            table = getattr(policy, name)
            if not isinstance(table, Mapping):
                raise CourseError(f"course.yaml: marks.{name} must map tasks to values")
            strangers = [task for task in table if task not in tasks]
            if strangers:
                raise CourseError(f"course.yaml: marks.{name} names `{strangers[0]}`, which is no task")
        policy = replace(policy, deadlines={task: _deadline(task, when) for task, when in policy.deadlines.items()})
        _check_number("weights", *policy.weights.values(), low=0)
        _check_number("best_of", policy.best_of, low=1, whole=True)
        _check_number("drop_lowest", policy.drop_lowest, low=0, whole=True)
        _check_number("passing", policy.passing, low=0, high=1)
        _check_number("passing_each", policy.passing_each, low=0, high=1)
        return policy


def _deadline(task: str, when: Any) -> datetime:
    found = moment(when.isoformat() if isinstance(when, date) else str(when))
    if found is None:
        raise CourseError(f"course.yaml: marks.deadlines: {task} needs a date or a time, not {when!r}")
    return found


def moment(text: str) -> datetime | None:
    """A date (its last second) or time in ISO 8601; None when it is neither."""
    text = re.sub(r"\s*(?:Z|UTC)$", "+00:00", text.strip())
    text = re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.replace(hour=23, minute=59, second=59) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else found


def dated(rows: Iterable[Row], deadlines: Mapping[str, datetime]) -> list[Row]:
    """The rows with ``late`` filled in where the time of the hand-in is known and the platform did not say it."""
    return [replace(row, late=_is_late(row, deadlines.get(row.task))) for row in rows]


def _is_late(row: Row, deadline: datetime | None) -> bool | None:
    when = moment(row.submitted) if row.submitted else None
    if row.late is not None or deadline is None or when is None:
        return row.late
    if when.tzinfo is None or deadline.tzinfo is None:  # one of them says no zone: the other's is meant
        when, deadline = when.replace(tzinfo=None), deadline.replace(tzinfo=None)
    return when > deadline


def _check_number(name: str, *values: Any, low: float, high: float = 1e9, whole: bool = False) -> None:
    for value in values:
        if value is None:
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high or (whole and value != int(value)):
            kind = "a whole number" if whole else "a number"
            top = "" if high == 1e9 else f" and at most {high:g}"
            raise CourseError(f"course.yaml: marks.{name} must be {kind}, at least {low:g}{top}; got {value!r}")


@dataclass(frozen=True)
class Total:
    """A student's mark. ``percent`` is None while a counted task is open; ``open_tasks`` names those."""

    percent: float | None
    points: float
    max_points: float
    counted: tuple[str, ...]
    dropped: tuple[str, ...]
    open_tasks: tuple[str, ...]
    passed: bool | None


def total(rows: Iterable[Row], tasks: Sequence[TaskInfo], policy: Policy) -> Total:
    """Apply the policy to one student's rows, one for each task (see ``counting``)."""
    by_task = {row.task: row for row in rows}
    weights = {task.task: float(policy.weights.get(task.task, task.max_points)) for task in tasks}
    open_tasks = tuple(task.task for task in tasks if weights[task.task] and by_task[task.task].open)
    counted, dropped = _choose([by_task[task.task] for task in tasks if weights[task.task]], weights, policy)
    mass = sum(weights[row.task] for row in counted)
    share = sum(weights[row.task] * row.share for row in counted) / mass if mass else 0.0
    enough = _passed(share, counted, policy)
    return Total(
        percent=None if open_tasks else round(100 * share, 4),
        points=round(sum(row.points or 0.0 for row in counted), 6),
        max_points=round(sum(row.max_points for row in counted), 6),
        counted=tuple(row.task for row in counted),
        dropped=dropped,
        open_tasks=open_tasks,
        passed=None if open_tasks else enough,
    )


def _choose(rows: Sequence[Row], weights: Mapping[str, float], policy: Policy) -> tuple[list[Row], tuple[str, ...]]:
    """The rows that count, in order, and the tasks left out: lowest shares first, then the lighter ones."""
    keep = max(len(rows) - policy.drop_lowest, 1) if rows else 0
    if policy.best_of is not None:
        keep = min(keep, policy.best_of)
    worst_first = sorted(rows, key=lambda row: (row.share, weights[row.task], row.task))
    dropped = {row.task for row in worst_first[: len(rows) - keep]}
    return [row for row in rows if row.task not in dropped], tuple(r.task for r in rows if r.task in dropped)


def _passed(share: float, counted: Sequence[Row], policy: Policy) -> bool | None:
    if policy.passing is None and policy.passing_each is None:
        return None
    slack = 1e-9  # a share of 0.6 may arrive as 0.5999999999999999
    whole = policy.passing is None or share + slack >= policy.passing
    each = policy.passing_each
    return whole and (each is None or all(row.share + slack >= each for row in counted))
