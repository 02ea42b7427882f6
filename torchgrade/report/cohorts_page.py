"""Cohorts side by side: the sections of a class, or the classes of several years. Pure functions of their rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchgrade.marks import MISSING, Row, TaskInfo
from torchgrade.report.feedback import environment
from torchgrade.report.statistics import Item, items
from torchgrade.report.tables import to_csv

Cohorts = Mapping[str, Sequence[Row]]  # what a cohort is called -> the rows that count, one of each student and task


@dataclass(frozen=True)
class Rate:
    """How many of so many passed; ``low`` and ``high`` bound the rate of the cohort's kind with 95 % confidence."""

    passes: int
    verdicts: int

    @property
    def value(self) -> float | None:
        return self.passes / self.verdicts if self.verdicts else None

    @property
    def low(self) -> float:
        return _wilson(self.passes, self.verdicts)[0]

    @property
    def high(self) -> float:
        return _wilson(self.passes, self.verdicts)[1]


@dataclass(frozen=True)
class CheckRates:
    """A check in each cohort, None where it was not asked. ``gap`` is the largest difference of two rates.

    ``apart``: the intervals of two cohorts do not meet.
    """

    task: str
    title: str
    rates: tuple[Rate | None, ...]

    @property
    def gap(self) -> float:
        known = [rate.value for rate in self.rates if rate is not None and rate.value is not None]
        return max(known) - min(known) if known else 0.0

    @property
    def apart(self) -> bool:
        known = [rate for rate in self.rates if rate is not None and rate.verdicts]
        return bool(known) and max(rate.low for rate in known) > min(rate.high for rate in known)


@dataclass(frozen=True)
class TaskShares:
    """A task in each cohort: how many have it, who handed in nothing, and the mean share of its points."""

    task: str
    title: str
    people: tuple[int, ...]
    missing: tuple[int, ...]
    means: tuple[float | None, ...]


def _wilson(passes: int, verdicts: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval (Wilson 1927) for a rate; all of [0, 1] where there is no verdict."""
    if not verdicts:
        return 0.0, 1.0
    rate, square = passes / verdicts, z * z / verdicts
    centre = (rate + square / 2) / (1 + square)
    reach = z * math.sqrt(rate * (1 - rate) / verdicts + square / (4 * verdicts)) / (1 + square)
    return max(centre - reach, 0.0), min(centre + reach, 1.0)


def check_rates(cohorts: Cohorts) -> list[CheckRates]:
    """Every check that some cohort was asked, the largest difference first.

    The rows are those of works: of a team's hand-in one (see ``statistics.once``), or the intervals are too narrow.
    """
    found: list[dict[tuple[str, str, str], Item]] = [
        {(item.task, item.check, item.device): item for item in items(rows)} for rows in cohorts.values()
    ]
    keys = {key: None for one in found for key in one}
    rates = []
    for key in keys:
        mine = [one.get(key) for one in found]
        first = next(item for item in mine if item is not None)
        told = tuple(None if item is None else Rate(item.passes, item.verdicts) for item in mine)
        rates.append(CheckRates(first.task, first.title, told))
    return sorted(rates, key=lambda rate: -rate.gap)


def task_shares(cohorts: Cohorts, tasks: Sequence[TaskInfo]) -> list[TaskShares]:
    """Every task, over the rows that have points."""
    found = []
    for task in tasks:
        parts = [[row for row in rows if row.task == task.task] for rows in cohorts.values()]
        shares = [[row.share for row in part if row.points is not None] for part in parts]
        people = tuple(map(len, parts))
        missing = tuple(sum(row.status == MISSING for row in part) for part in parts)
        means = tuple(sum(part) / len(part) if part else None for part in shares)
        found.append(TaskShares(task.task, task.title, people, missing, means))
    return found


def cohorts_html(course: str, names: Sequence[str], tasks: Sequence[TaskShares], checks: Sequence[CheckRates]) -> str:
    """One self-contained page; ``names`` are those of the cohorts."""
    template = environment().get_template("cohorts.html.j2")
    return template.render(course=course, names=names, tasks=tasks, checks=checks)


def cohorts_csv(names: Sequence[str], checks: Sequence[CheckRates]) -> str:
    """One line for each check and cohort."""
    head = ("task", "check", "cohort", "passes", "verdicts", "rate", "low", "high", "apart")
    lines = [
        (check.task, check.title, name, rate.passes, rate.verdicts, rate.value, rate.low, rate.high, check.apart)
        for check in checks
        for name, rate in zip(names, check.rates, strict=True)
        if rate is not None
    ]
    return to_csv(head, lines)
