"""What a class is made of, and how points become marks: frozen values and pure functions.

A ``Row`` is one student's work on one task. There is exactly one for each student, task and attempt, whatever
happened to the files. ``Policy`` is the ``marks`` section of ``course.yaml``; ``total`` applies it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from torchgrade.errors import CourseError
from torchgrade.model import Outcome, Status

MISSING = "missing"  # nothing was handed in
UNREADABLE = "unreadable"  # something was, and it is not a submission
PENDING = "pending"  # not graded yet

# The submission is not to blame and earns neither points nor a zero.
OPEN = (PENDING, Status.BROKEN.value, Status.UNAVAILABLE.value)


@dataclass(frozen=True)
class Student:
    """A member of the class. ``key`` is unique; ``ids`` are the names that a learning platform uses."""

    key: str
    id: str = ""
    name: str = ""
    email: str = ""
    section: str = ""
    listed: bool = False
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        return self.name or self.key


@dataclass(frozen=True)
class TaskInfo:
    """A task as the marks know it; ``max_points`` is the sum of its checks' points."""

    task: str
    title: str
    max_points: float


@dataclass(frozen=True)
class Override:
    """Points set by hand. ``before`` are the points of the grader at that time, None when there were none."""

    student: str
    task: str
    points: float
    why: str
    who: str
    made: str
    before: float | None = None


@dataclass(frozen=True)
class Row:
    """One student's work on one task. ``earned`` is None where the grader has no verdict (see ``OPEN``)."""

    student: str
    task: str
    status: str
    earned: float | None
    max_points: float
    attempt: int = 0
    attempts: int = 0
    label: str = ""
    reason: str = ""
    submitted: str = ""
    late: bool | None = None
    seconds: float = 0.0
    peak_mb: float | None = None
    grader_hash: str = ""
    submission_hash: str = ""
    seed: int = 0
    environment: str = ""
    isolation: str = ""
    memory_bound: str = ""
    override: Override | None = None
    checks: tuple[Outcome, ...] = ()

    @property
    def points(self) -> float | None:
        """What counts: the override if there is one, else what the grader gave."""
        return self.override.points if self.override else self.earned

    @property
    def open(self) -> bool:
        """Whether no points can be named yet."""
        return self.points is None

    @property
    def share(self) -> float:
        """Points of the possible ones, 0 where none are possible or known."""
        return (self.points or 0.0) / self.max_points if self.max_points else 0.0


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


def counting(rows: Iterable[Row], attempt: str) -> list[Row]:
    """One row for each student and task: the ``last`` attempt, or the ``best`` one (the last of equals).

    An attempt without a verdict is preferred to a worse one with it, for it may still become the best.
    """
    chosen: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row.student, row.task)
        held = chosen.get(key)
        if held is None or _preferred(row, held, attempt):
            chosen[key] = row
    return list(chosen.values())


def _preferred(row: Row, held: Row, attempt: str) -> bool:
    if attempt != "best":
        return row.attempt > held.attempt
    return (_worth(row), row.attempt) > (_worth(held), held.attempt)


def _worth(row: Row) -> float:
    return float("inf") if row.open else (row.points or 0.0)
