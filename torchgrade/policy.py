"""How points become marks: ``Policy`` is ``marks`` and ``homeworks`` of ``course.yaml``. Pure; ``sums`` applies it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import cached_property
from typing import Any

from torchgrade.errors import CourseError
from torchgrade.i18n import noop
from torchgrade.model import short_name

UNITS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_MODES = {"half up": ROUND_HALF_UP, "half even": ROUND_HALF_EVEN, "up": ROUND_CEILING, "down": ROUND_FLOOR}


@dataclass(frozen=True)
class LateRule:
    """What late work costs: ``cost`` (a share) for each started ``per``, ``cap`` at most.

    The share is ``of`` the possible points of the task, or of those earned. Time is counted from the end of ``grace``.
    """

    cost: float
    per: str = "day"
    cap: float = 1.0
    grace: timedelta = timedelta()
    of: str = "possible"

    def units(self, over: timedelta) -> int:
        """How many days or hours have been started."""
        return -(-over // UNITS[self.per])

    def share(self, over: timedelta) -> float:
        """What so much time over the deadline costs."""
        return min(self.units(over) * self.cost, self.cap)


@dataclass(frozen=True)
class Rounding:
    """Of the total, in per cent."""

    places: int = 2
    mode: str = "half up"

    def __call__(self, value: float) -> float:
        step = Decimal(1).scaleb(-self.places)
        exact = Decimal(repr(round(value, 9)))  # what binary fractions add is no reason to round up
        return float(exact.quantize(step, rounding=_MODES[self.mode]))


@dataclass(frozen=True)
class Homework:
    """Tasks that are asked for together, with the rules that are theirs: None is the course's."""

    name: str
    tasks: tuple[str, ...]
    weight: float | None = None
    deadline: datetime | None = None
    late: LateRule | None = None
    attempt: str | None = None
    best_of: int | None = None
    drop_lowest: int = 0


@dataclass(frozen=True)
class Policy:
    """How the marks of tasks become one total.

    ``weights`` maps a task to its weight (default: its points); ``best_of`` counts the n best tasks, ``drop_lowest``
    leaves out the n worst, ``drop_homeworks`` whole homeworks. ``passing`` is the share of the total that passes and
    ``passing_each`` the share that every counted task needs. ``deadlines`` maps a task to a date (its whole day) or a
    time, with a zone or in that of the hand-ins. ``grace_days`` are each student's. ``bonus`` names tasks, and checks
    as ``task/check``, whose points come on top of 100 %.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    best_of: int | None = None
    drop_lowest: int = 0
    drop_homeworks: int = 0
    passing: float | None = None
    passing_each: float | None = None
    deadlines: Mapping[str, datetime] = field(default_factory=dict)
    late: LateRule | None = None
    grace_days: int = 0
    attempt: str = "last"
    bonus: frozenset[str] = frozenset()
    rounding: Rounding = Rounding()
    homeworks: tuple[Homework, ...] = ()

    @classmethod
    def from_mapping(
        cls,
        data: Mapping[str, Any] | None,
        tasks: Sequence[str],
        homeworks: Mapping[str, tuple[Sequence[str], Mapping[str, Any]]] | None = None,
    ) -> Policy:
        """Read ``marks:`` of course.yaml, and the tasks and rules of each homework.

        Raises CourseError naming the entry that cannot be right.
        """
        table = _Table("marks", data or {}, tuple(sorted({f.name for f in fields(cls)} - {"homeworks"})))
        policy = cls(
            weights={task: table.number("weights", value, low=0) for task, value in table.by_task("weights", tasks)},
            best_of=table.count("best_of", low=1),
            drop_lowest=table.count("drop_lowest") or 0,
            drop_homeworks=table.count("drop_homeworks") or 0,
            passing=table.share("passing"),
            passing_each=table.share("passing_each"),
            deadlines={
                task: table.moment("deadlines", value, task) for task, value in table.by_task("deadlines", tasks)
            },
            late=_late(table),
            grace_days=table.count("grace_days") or 0,
            attempt=table.choice("attempt", ("last", "best")) or "last",
            bonus=frozenset(_bonus(table, tasks)),
            rounding=_rounding(table),
            homeworks=_homeworks(homeworks or {}),
        )
        if policy.grace_days and not any([policy.late, *(homework.late for homework in policy.homeworks)]):
            raise CourseError(
                "course.yaml: marks.grace_days does nothing while late work costs nothing; add marks.late"
            )
        if policy.drop_homeworks and not policy.homeworks:
            raise CourseError("course.yaml: marks.drop_homeworks needs homeworks")
        return policy

    def homework(self, task: str) -> Homework | None:
        """The homework that the task is of."""
        return self._owners.get(task)

    @cached_property
    def _owners(self) -> dict[str, Homework]:
        return {task: homework for homework in self.homeworks for task in homework.tasks}

    def deadline(self, task: str) -> datetime | None:
        own = self.homework(task)
        return self.deadlines.get(task) or (own.deadline if own else None)

    def late_rule(self, task: str) -> LateRule | None:
        own = self.homework(task)
        return (own.late if own else None) or self.late

    def attempt_at(self, task: str) -> str:
        own = self.homework(task)
        return (own.attempt if own else None) or self.attempt

    def is_bonus(self, task: str, check: str = "") -> bool:
        """Whether a task, or one of its checks or questions, is worth points on top."""
        names = {task} if not check else {f"{task}/{check}", f"{task}/{check.removeprefix('test_')}"}
        return bool(names & self.bonus)


def _homeworks(found: Mapping[str, tuple[Sequence[str], Mapping[str, Any]]]) -> tuple[Homework, ...]:
    homeworks = []
    owner: dict[str, str] = {}
    for name, (tasks, rules) in found.items():
        table = _Table(f"homeworks.{name}", rules, ("weight", "deadline", "late", "attempt", "best_of", "drop_lowest"))
        for task in tasks:
            if task in owner:
                raise CourseError(
                    f"course.yaml: {task} stands in the homeworks {owner[task]} and {name}; a task has one deadline"
                )
            owner[task] = name
        weight, deadline = table.data.get("weight"), table.data.get("deadline")
        homeworks.append(
            Homework(
                name,
                tuple(tasks),
                weight=None if weight is None else table.number("weight", weight, low=0),
                deadline=None if deadline is None else table.moment("deadline", deadline, "it"),
                late=_late(table),
                attempt=table.choice("attempt", ("last", "best")),
                best_of=table.count("best_of", low=1),
                drop_lowest=table.count("drop_lowest") or 0,
            )
        )
    return tuple(homeworks)


def _late(table: _Table) -> LateRule | None:
    data = table.data.get("late")
    if data is None:
        return None
    own = _Table(f"{table.place}.late", data, tuple(f.name for f in fields(LateRule)))
    if "cost" not in own.data:
        raise CourseError(f"course.yaml: {own.place} needs cost, such as 0.1 for 10 % of a task's points")
    grace = own.data.get("grace")
    return LateRule(
        cost=own.number("cost", own.data["cost"], low=0, high=1),
        per=own.choice("per", tuple(UNITS)) or "day",
        cap=1.0 if own.data.get("cap") is None else own.number("cap", own.data["cap"], low=0, high=1),
        grace=timedelta() if grace is None else own.duration("grace", grace),
        of=own.choice("of", ("possible", "earned")) or "possible",
    )


def _rounding(table: _Table) -> Rounding:
    data = table.data.get("rounding")
    if data is None:
        return Rounding()
    own = _Table(f"{table.place}.rounding", data, ("places", "mode"))
    places = own.count("places", high=4)
    return Rounding(2 if places is None else places, own.choice("mode", tuple(_MODES)) or "half up")


def _bonus(table: _Table, tasks: Sequence[str]) -> list[str]:
    names = table.data.get("bonus") or []
    if not isinstance(names, list) or any(not isinstance(name, str) for name in names):
        raise CourseError(
            f"course.yaml: {table.place}.bonus is a list of tasks, and of checks such as task07/max_pool_dilation"
        )
    parts = [name.partition("/") for name in names]
    return [table.task("bonus", task, tasks) + slash + check for task, slash, check in parts]


class _Table:
    """One mapping of course.yaml, read entry by entry; every complaint names the entry."""

    def __init__(self, place: str, data: Any, known: Sequence[str]) -> None:
        self.place = place
        if not isinstance(data, Mapping):
            raise CourseError(f"course.yaml: {place} must map names to values")
        unknown = [name for name in data if name not in known]
        if unknown:
            raise CourseError(f"course.yaml: {place} has no entry `{unknown[0]}`; there are {', '.join(known)}")
        self.data = data

    def by_task(self, name: str, tasks: Sequence[str]) -> list[tuple[str, Any]]:
        table = self.data.get(name) or {}
        if not isinstance(table, Mapping):
            raise CourseError(f"course.yaml: {self.place}.{name} must map tasks to values")
        return [(self.task(name, task, tasks), value) for task, value in table.items()]

    def task(self, name: str, said: Any, tasks: Sequence[str]) -> str:
        """The task of this stem or short name."""
        found = [task for task in tasks if said in (task, short_name(task))]
        if not found:
            raise CourseError(f"course.yaml: {self.place}.{name} names `{said}`, which is no task")
        return found[0]

    def number(self, name: str, value: Any, low: float, high: float = 1e9, whole: bool = False) -> float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not low <= value <= high or (whole and value != int(value)):
            kind, entry = noop("a whole number") if whole else noop("a number"), f"{self.place}.{name}"
            if high == 1e9:
                raise CourseError(f"course.yaml: {entry} must be {kind}, at least {low:g}; got {value!r}")
            raise CourseError(f"course.yaml: {entry} must be {kind} from {low:g} to {high:g}; got {value!r}")
        return float(value)

    def count(self, name: str, low: int = 0, high: float = 1e9) -> int | None:
        value = self.data.get(name)
        return None if value is None else int(self.number(name, value, low, high, whole=True))

    def share(self, name: str) -> float | None:
        value = self.data.get(name)
        return None if value is None else self.number(name, value, low=0, high=1)

    def choice(self, name: str, words: Sequence[str]) -> str | None:
        value = self.data.get(name)
        if value is not None and value not in words:
            raise CourseError(f"course.yaml: {self.place}.{name} is one of {', '.join(words)}, not {value!r}")
        return value

    def moment(self, name: str, value: Any, task: str) -> datetime:
        found = moment(value.isoformat() if isinstance(value, date) else str(value))
        if found is None:
            raise CourseError(f"course.yaml: {self.place}.{name}: {task} needs a date or a time, not {value!r}")
        return found

    def duration(self, name: str, value: Any) -> timedelta:
        found = duration(str(value))
        if found is None:
            raise CourseError(
                f"course.yaml: {self.place}.{name} is a time such as 30 minutes or 2 hours, not {value!r}"
            )
        return found


def moment(text: str, *, begins: bool = False) -> datetime | None:
    """A time or date in ISO 8601, of a date its last second, or where it ``begins``; None when it is neither."""
    text = re.sub(r"\s*(?:Z|UTC)$", "+00:00", text.strip())
    text = re.sub(r"\s+(?=[+-]\d\d:?\d\d$)", "", text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    is_date = re.fullmatch(r"\d{4}-\d\d-\d\d", text)
    return found.replace(hour=23, minute=59, second=59) if is_date and not begins else found


def duration(text: str) -> timedelta | None:
    """``2 days``, ``36 hours``, ``30 minutes``; None when it is nothing of that kind."""
    found = re.fullmatch(r"(\d{1,5}(?:\.\d{1,3})?)\s*(minute|hour|day)s?", text.strip().lower())
    return timedelta(**{f"{found[2]}s": float(found[1])}) if found else None


def past(when: datetime, deadline: datetime) -> timedelta:
    """How long after it; where one of them says no zone the other's is meant."""
    if when.tzinfo is None or deadline.tzinfo is None:
        when, deadline = when.replace(tzinfo=None), deadline.replace(tzinfo=None)
    return when - deadline


def extended(deadline: datetime, until: str) -> datetime:
    """The deadline of a student who has an extension: the moment that ``until`` says, or so much longer."""
    more = duration(until)
    return deadline + more if more is not None else moment(until) or deadline
