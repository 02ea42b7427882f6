"""What a class is made of: frozen values, and which of several attempts counts.

A ``Row`` is one student's work on one task. There is exactly one for each student, task and attempt, whatever
happened to the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from torchgrade.model import Outcome, Status, short_name

MISSING = "missing"  # nothing was handed in
UNREADABLE = "unreadable"  # something was, and it is not a submission
PENDING = "pending"  # not graded yet
UNMARKED = "unmarked"  # graded, but people have not marked all questions

GROUP = "group"  # among a student's ids: the groups that a platform put them in, separated by commas
TEST_STUDENT = "test student"  # among a student's ids: the platform's own, who counts in no statistics

# The submission is not to blame and earns neither points nor a zero.
OPEN = (PENDING, UNMARKED, Status.BROKEN.value, Status.UNAVAILABLE.value)


@dataclass(frozen=True)
class Student:
    """A member of the class. ``key`` is unique; ``ids`` are the names that a learning platform uses.

    Who shares a ``team`` shares every hand-in. ``language`` is that of the feedback; blank for the course's.
    """

    key: str
    id: str = ""
    name: str = ""
    email: str = ""
    section: str = ""
    listed: bool = False
    ids: Mapping[str, str] = field(default_factory=dict)
    team: str = ""
    language: str = ""

    @property
    def shown(self) -> str:
        return self.name or self.key

    @property
    def called(self) -> str:
        """Name and key, for people who must tell students apart."""
        return self.key if self.name in ("", self.key) else f"{self.name} ({self.key})"


@dataclass(frozen=True)
class TaskInfo:
    """A task as the marks know it; ``max_points`` is the sum of its checks' points."""

    task: str
    title: str
    max_points: float

    @property
    def short(self) -> str:
        return short_name(self.task)


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
class Remark:
    """What a person gave and said about a ``part``: the id of a check, a question, ``question/item``, or (blank) all.

    ``points`` are None where only something was said.
    """

    part: str
    points: float | None
    comment: str
    who: str
    made: str


@dataclass(frozen=True)
class HandPart:
    """What one student earned at a question that people mark, and at its rubric's ``items``.

    ``points`` are None while nobody has marked all of it.
    """

    name: str
    title: str
    max_points: float
    points: float | None = None
    items: tuple[HandPart, ...] = ()


@dataclass(frozen=True)
class Row:
    """One student's work on one task. ``earned`` is None where the grader has no verdict (see ``OPEN``).

    ``over`` is how long after the deadline it came, where that is known. ``by_hand`` are questions that people mark;
    their points are part of ``max_points``.
    """

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
    over: timedelta | None = None
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
    by_hand: tuple[HandPart, ...] = ()
    remarks: Mapping[str, Remark] = field(default_factory=dict)  # by part
    notes: tuple[str, ...] = ()  # what was left out of the file, and why

    @property
    def points(self) -> float | None:
        """What counts before being late costs: the override if there is one, else what checks and people gave."""
        if self.override:
            return self.override.points
        given = [self.earned, *(part.points for part in self.by_hand)]
        return None if None in given else sum(points for points in given if points is not None)

    @property
    def open(self) -> bool:
        """Whether no points can be named yet."""
        return self.points is None

    @property
    def share(self) -> float:
        """Points of the possible ones, 0 where none are possible or known."""
        return (self.points or 0.0) / self.max_points if self.max_points else 0.0


def counting(rows: Iterable[Row], attempt: Callable[[str], str], worth: Callable[[Row], float]) -> list[Row]:
    """One row for each student and task: by ``attempt`` of the task the ``last``, or the ``best`` (the last of equals).

    ``worth`` is what a row's points are worth. An attempt without a verdict is preferred to a worse one with it, for
    it may still become the best.
    """
    chosen: dict[tuple[str, str], Row] = {}
    for row in rows:
        key = (row.student, row.task)
        held = chosen.get(key)
        if held is None or _preferred(row, held, attempt(row.task), worth):
            chosen[key] = row
    return list(chosen.values())


def _preferred(row: Row, held: Row, attempt: str, worth: Callable[[Row], float]) -> bool:
    if attempt != "best":
        return row.attempt > held.attempt
    first, second = (float("inf") if one.open else worth(one) for one in (row, held))
    return (first, row.attempt) > (second, held.attempt)
