"""The sum behind every mark: each step from a task's points to the total, as values that every output prints. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from torchgrade.marks import Row, TaskInfo
from torchgrade.policy import LateRule, Policy, Rounding, extended, moment, past

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Late:
    """What being late came to: ``over`` (None: nobody knows how much) past the deadline and its grace, of which
    ``days`` were covered by grace days; ``units`` of the rule are left to pay for, ``share`` of the points, ``cost``.
    """

    rule: LateRule | None
    over: timedelta | None
    days: int = 0
    units: int = 0
    share: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True)
class TaskSum:
    """One task in a mark. ``points`` (None while open) = ``checks`` + ``by_hand`` + ``bonus``, or ``override`` in
    their place, less the cost of being late, never below zero. Of ``max_points``, which are 100 %.

    ``weight`` is what the task weighs in the total; ``counts`` says how: counted, dropped, bonus or not at all (no).
    """

    task: str
    checks: float | None
    by_hand: float | None
    bonus: float
    override: float | None
    late: Late | None
    points: float | None
    max_points: float
    weight: float = 0.0
    counts: str = "counted"

    @property
    def share(self) -> float:
        """Of 100 %; 0 where no points are possible or known."""
        return (self.points or 0.0) / self.max_points if self.max_points else 0.0


@dataclass(frozen=True)
class Total:
    """A student's mark: ``percent`` is the mean of the lines' shares by weight, with bonus lines on top, rounded.

    It is None while a counted task is open; ``open_tasks`` names those. ``points`` and ``max_points`` are those of
    what counts. ``days_left`` of the grace days, None where there are none.
    """

    lines: tuple[TaskSum, ...]
    percent: float | None
    points: float
    max_points: float
    open_tasks: tuple[str, ...]
    passed: bool | None
    days_left: int | None = None

    @property
    def counted(self) -> tuple[str, ...]:
        return tuple(line.task for line in self.lines if line.counts == "counted")

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(line.task for line in self.lines if line.counts == "dropped")

    @property
    def weight(self) -> float:
        """Of all that counts, bonus apart."""
        return sum(line.weight for line in self.lines if line.counts == "counted")

    def line(self, task: str) -> TaskSum:
        return next(line for line in self.lines if line.task == task)


def dated(rows: Iterable[Row], policy: Policy, extensions: Mapping[tuple[str, str], str] | None = None) -> list[Row]:
    """The rows with ``late`` and ``over`` filled in where the time of the hand-in is known.

    ``extensions`` maps a student and a task or homework to what extends the deadline; the longer of two holds. A
    platform that says "in time" is believed; one that says "late" knows nothing of extensions.
    """
    return [_dated(row, policy, extensions or {}) for row in rows]


def _dated(row: Row, policy: Policy, extensions: Mapping[tuple[str, str], str]) -> Row:
    deadline = policy.deadline(row.task)
    when = moment(row.submitted, begins=True) if row.submitted else None  # in doubt for the student
    if row.late is False or deadline is None or when is None:
        return row
    homework, rule = policy.homework(row.task), policy.late_rule(row.task)
    names = [row.task, *([homework.name] if homework else [])]
    later = [extended(deadline, extensions[row.student, name]) for name in names if (row.student, name) in extensions]
    when = when.replace(microsecond=0)  # a day's last second is all of it still that day
    over = min(past(when, until) for until in (deadline, *later)) - (rule.grace if rule else timedelta())
    if over > timedelta():
        return replace(row, late=True, over=over)
    return replace(row, late=row.late is True and not later, over=None)


def total(rows: Iterable[Row], tasks: Sequence[TaskInfo], policy: Policy) -> Total:
    """One student's mark, of one row for each task (see ``marks.counting``).

    ``max_points`` of a task are its 100 %, without bonus.
    """
    by_task = {row.task: row for row in rows}
    possible = {task.task: _possible(by_task[task.task], task, policy) for task in tasks}
    chosen = [by_task[task.task] for task in tasks]
    days = _spend(chosen, possible, policy)
    lines = [_line(row, possible[row.task], policy, days.get(_unit(row.task, policy), 0)) for row in chosen]
    lines = _weighted(_choose(lines, policy), policy)
    counted = [line for line in lines if line.counts == "counted"]
    on_top = [line for line in lines if line.counts == "bonus"]
    mass = sum(line.weight for line in counted)
    share = sum(line.weight * line.share for line in (*counted, *on_top)) / mass if mass else 0.0
    percent = policy.rounding(100 * share)
    open_tasks = tuple(line.task for line in lines if line.points is None and line.counts != "no")
    return Total(
        lines=tuple(lines),
        percent=None if open_tasks else percent,
        points=round(sum(line.points or 0.0 for line in (*counted, *on_top)), 6),
        max_points=round(sum(line.max_points for line in counted), 6),
        open_tasks=open_tasks,
        passed=None if open_tasks else _passed(percent, counted, policy),
        days_left=policy.grace_days - sum(days.values()) if policy.grace_days else None,
    )


def of_one(line: TaskSum) -> Total:
    """What a task would be as the whole of a mark."""
    line = replace(line, weight=line.max_points, counts="counted")
    percent = None if line.points is None else Rounding()(100 * line.share)
    return Total((line,), percent, line.points or 0.0, line.max_points, (line.task,) * (percent is None), None)


def task_sum(row: Row, task: TaskInfo, policy: Policy) -> TaskSum:
    """The part of one attempt, without grace days and not weighed."""
    return _line(row, _possible(row, task, policy), policy, 0)


def _possible(row: Row, task: TaskInfo, policy: Policy) -> float:
    """The points that are 100 % of this row: those of the task where no check has run."""
    if not row.checks:
        return task.max_points
    on_top = [check.max_points for check in row.checks if policy.is_bonus(row.task, check.id)]
    on_top += [part.max_points for part in row.by_hand if policy.is_bonus(row.task, part.name)]
    return _sum(row.max_points, -sum(on_top))


def _line(row: Row, possible: float, policy: Policy, days: int) -> TaskSum:
    """The task's part, not weighed yet, with so many grace days."""
    extra = sum(check.points for check in row.checks if policy.is_bonus(row.task, check.id))
    on_top = [part for part in row.by_hand if policy.is_bonus(row.task, part.name)]
    by_hand = [part.points for part in row.by_hand if part not in on_top]
    late = _late(row, policy, days, possible) if row.late and not row.override else None
    return TaskSum(
        row.task,
        checks=None if row.earned is None else _sum(row.earned, -extra),
        by_hand=None if not by_hand or None in by_hand else _sum(*(points or 0.0 for points in by_hand)),
        bonus=_sum(extra, *(part.points or 0.0 for part in on_top)),
        override=row.override.points if row.override else None,
        late=late,
        points=None if row.points is None else _sum(row.points, -late.cost if late else 0.0),
        max_points=possible,
    )


def _sum(*points: float) -> float:
    return round(sum(points), 6)


def _late(row: Row, policy: Policy, days: int, possible: float) -> Late:
    rule = policy.late_rule(row.task)
    if rule is None or row.over is None:
        return Late(rule, row.over)
    needed = min(days, -(-row.over // DAY))
    left = max(row.over - needed * DAY, timedelta())
    share = rule.share(left)
    earned = possible if row.points is None else row.points
    cost = min(share * (possible if rule.of == "possible" else earned), earned)
    return Late(rule, row.over, needed, rule.units(left), share, round(cost, 6))


# Grace days


def _unit(task: str, policy: Policy) -> str:
    """For what a grace day counts: a whole homework, or a task that is of none."""
    homework = policy.homework(task)
    return homework.name if homework else task


def _spend(rows: Sequence[Row], possible: Mapping[str, float], policy: Policy) -> dict[str, int]:
    """The grace days of each unit: in order of deadlines, and only as many as lessen what being late costs."""
    units: dict[str, list[Row]] = {}
    for row in rows:
        if row.over and not row.override:
            units.setdefault(_unit(row.task, policy), []).append(row)
    left, spent = policy.grace_days, {}
    for unit, late in sorted(units.items(), key=lambda entry: _earliest(entry[1], policy)):
        most = min(left, max(-(-row.over // DAY) for row in late if row.over))
        costs = [sum(_late(row, policy, days, possible[row.task]).cost for row in late) for days in range(most + 1)]
        spent[unit] = costs.index(min(costs))
        left -= spent[unit]
    return spent


def _earliest(rows: Sequence[Row], policy: Policy) -> datetime:
    deadlines = [policy.deadline(row.task) for row in rows]
    return min(deadline.replace(tzinfo=None) for deadline in deadlines if deadline)


# What counts, and for how much


def _choose(lines: Sequence[TaskSum], policy: Policy) -> list[TaskSum]:
    """Say of each line how it counts: each homework leaves out its worst, then the course its worst, then homeworks."""
    weights = {line.task: policy.weights.get(line.task, line.max_points) for line in lines}
    lines = [replace(line, weight=float(weights[line.task]), counts=_kind(line, weights, policy)) for line in lines]
    for homework in policy.homeworks:
        own = [line for line in lines if line.task in homework.tasks]
        lines = _drop(lines, _worst(own, homework.drop_lowest, homework.best_of))
    lines = _drop(lines, _worst(lines, policy.drop_lowest, policy.best_of))
    if policy.drop_homeworks:
        lines = _drop(lines, _worst_homeworks(lines, policy))
    return lines


def _kind(line: TaskSum, weights: Mapping[str, float], policy: Policy) -> str:
    if not weights[line.task]:
        return "no"
    return "bonus" if policy.is_bonus(line.task) else "counted"


def _drop(lines: Sequence[TaskSum], tasks: set[str]) -> list[TaskSum]:
    return [replace(line, counts="dropped") if line.task in tasks else line for line in lines]


def _worst(lines: Sequence[TaskSum], drop: int, best_of: int | None) -> set[str]:
    """The tasks to leave out: lowest shares first, then the lighter ones. One is always kept."""
    counted = [line for line in lines if line.counts == "counted"]
    keep = min(max(len(counted) - drop, 1), best_of or len(counted))
    worst_first = sorted(counted, key=lambda line: (line.share, line.weight, line.task))
    return {line.task for line in worst_first[: max(len(counted) - keep, 0)]}


def _worst_homeworks(lines: Sequence[TaskSum], policy: Policy) -> set[str]:
    """The tasks of the homeworks to leave out: lowest shares first. One is always kept."""
    parts = [[line for line in lines if line.task in h.tasks and line.counts == "counted"] for h in policy.homeworks]
    parts = sorted((part for part in parts if part), key=_mean)
    return {line.task for part in parts[: max(min(policy.drop_homeworks, len(parts) - 1), 0)] for line in part}


def _mean(lines: Sequence[TaskSum]) -> float:
    return sum(line.weight * line.share for line in lines) / sum(line.weight for line in lines)


def _weighted(lines: Sequence[TaskSum], policy: Policy) -> list[TaskSum]:
    """The lines with what each weighs in the total: a homework's own weight is shared out among what counts of it."""
    scale: dict[str, float] = {}
    for homework in policy.homeworks:
        own = sum(line.weight for line in lines if line.task in homework.tasks and line.counts == "counted")
        if homework.weight is not None and own:
            scale |= dict.fromkeys(homework.tasks, homework.weight / own)
    return [replace(line, weight=_sum(line.weight * scale.get(line.task, 1.0))) for line in lines]


def _passed(percent: float, counted: Sequence[TaskSum], policy: Policy) -> bool | None:
    """By the total as it is printed."""
    if policy.passing is None and policy.passing_each is None:
        return None
    slack = 1e-9  # a share of 0.6 may arrive as 0.5999999999999999
    whole = policy.passing is None or percent + slack >= 100 * policy.passing
    each = policy.passing_each
    return whole and (each is None or all(line.share + slack >= each for line in counted))
