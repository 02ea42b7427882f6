"""Item analysis: what a class's outcomes say about the checks. Pure functions, the standard library only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torchgrade.marks import OPEN, Row
from torchgrade.model import Outcome, Status

# No verdict about the learner: neither a pass nor a failure.
_NO_VERDICT = (Status.BROKEN, Status.UNAVAILABLE)


@dataclass(frozen=True)
class Misconception:
    """A sentence that a check told as likely, and the students whom it was told."""

    sentence: str
    students: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """One check over the class.

    ``rate`` is the share of verdicts that are passes, None without verdicts. ``discrimination`` is the
    point-biserial correlation of passing with the rest of the score; None where either does not vary.
    """

    task: str
    check: str
    title: str
    category: str
    device: str
    hidden: bool
    verdicts: int
    passes: int
    discrimination: float | None
    misconceptions: tuple[Misconception, ...]  # the most frequent first
    faults: int

    @property
    def rate(self) -> float | None:
        return self.passes / self.verdicts if self.verdicts else None


@dataclass(frozen=True)
class Outlier:
    """A row far from the others of its task. ``value`` and ``usual`` (the median) have the same unit."""

    student: str
    task: str
    value: float
    usual: float


def once(rows: Iterable[Row], teams: Mapping[str, str]) -> list[Row]:
    """The rows, of those of one team's hand-in the first alone: it was graded once, and counts once.

    ``teams`` maps a student to the team, blank without one.
    """
    found: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        team = teams.get(row.student, "") if row.submission_hash else ""
        found.setdefault((row.task, team, row.submission_hash if team else row.student), row)
    return list(found.values())


def items(rows: Sequence[Row]) -> list[Item]:
    """Every check that some row has, in the order of the rows."""
    scores: dict[str, float] = {}
    for row in rows:
        scores[row.student] = scores.get(row.student, 0.0) + (row.points or 0.0)
    groups: dict[tuple[str, str, str], list[tuple[str, Outcome]]] = {}
    for row in rows:
        for check in row.checks:
            groups.setdefault((row.task, check.id, check.device), []).append((row.student, check))
    return [_item(key[0], group, scores) for key, group in groups.items()]


def _item(task: str, group: Sequence[tuple[str, Outcome]], scores: dict[str, float]) -> Item:
    judged = [(student, check) for student, check in group if check.status not in _NO_VERDICT]
    passed = [check.status is Status.PASSED for _, check in judged]
    rest = [scores[student] - check.points for student, check in judged]
    told: dict[str, list[str]] = {}
    for student, check in judged:
        if check.likely:
            told.setdefault(check.likely, []).append(student)
    misconceptions = (Misconception(sentence, tuple(students)) for sentence, students in told.items())
    first = group[0][1]
    return Item(
        task, first.id, first.title, first.category, first.device, first.hidden, len(judged), sum(passed),
        point_biserial(passed, rest), tuple(sorted(misconceptions, key=lambda one: -len(one.students))),
        sum(c.status is Status.BROKEN for _, c in group),
    )  # fmt: skip


def to_teach(items: Iterable[Item]) -> list[tuple[Item, Misconception]]:
    """What most students have misunderstood, the most frequent first; what one student alone did is not among it.

    A sentence that several checks of a task tell stands once, with the check that told it to most students.
    """
    widest: dict[tuple[str, str], tuple[Item, Misconception]] = {}
    for item in items:
        for one in item.misconceptions:
            held = widest.get((item.task, one.sentence))
            if held is None or len(one.students) > len(held[1].students):
                widest[item.task, one.sentence] = item, one
    return sorted((pair for pair in widest.values() if len(pair[1].students) > 1), key=lambda p: -len(p[1].students))


def zeros(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """By status, the rows that are worth nothing, and to which nobody gave points by hand."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if row.points == 0 and row.override is None:
            found.setdefault(row.status, []).append(row)
    return found


def point_biserial(passed: Sequence[bool], rest: Sequence[float]) -> float | None:
    """Pearson's correlation of a yes-or-no with a number, in [-1, 1]; None where one of them is constant."""
    yes = [value for value, good in zip(rest, passed, strict=True) if good]
    no = [value for value, good in zip(rest, passed, strict=True) if not good]
    spread = statistics.pstdev(rest) if len(rest) > 1 else 0.0
    if not yes or not no or spread <= 1e-12:
        return None
    share = len(yes) / len(passed)
    return (statistics.fmean(yes) - statistics.fmean(no)) / spread * math.sqrt(share * (1 - share))


def outliers(rows: Iterable[Row], field: str) -> list[Outlier]:
    """Rows whose ``seconds`` or ``peak_mb`` lies far beyond those of the others of its task; see ``fence``."""
    by_task: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        value = getattr(row, field)
        if value and row.status not in OPEN:
            by_task.setdefault(row.task, []).append((float(value), row.student))
    found = []
    for task, values in by_task.items():
        numbers = [value for value, _ in values]
        limit, usual = fence(numbers), statistics.median(numbers)
        found += [Outlier(who, task, value, usual) for value, who in values if value > limit]
    return sorted(found, key=lambda outlier: outlier.usual / outlier.value)


def fence(values: Sequence[float], reach: float = 3.0) -> float:
    """What lies beyond stands out: Tukey's fence, upper quartile + ``reach`` IQR (3: outer, 1.5: inner),
    and twice the median at least.

    Where all are much the same, the fence itself is a hair away. Infinite for fewer than 8 values, whose quartiles say
    nothing.
    """
    if len(values) < 8:
        return math.inf
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return max(high + reach * (high - low), 2 * middle)


def histogram(values: Iterable[float], bins: int = 10, top: float = 100.0) -> list[int]:
    """Counts in equal bins of [0, top]; ``top`` itself belongs to the last one."""
    counts = [0] * bins
    for value in values:
        counts[min(max(int(value / top * bins), 0), bins - 1)] += 1
    return counts
