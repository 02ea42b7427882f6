"""From outcomes to a grade: pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torchgrade.model import Outcome, Status

# The status of a task is the first of these that one of its checks has.
ORDER = (
    Status.BROKEN,
    Status.CRASHED,
    Status.TIMED_OUT,
    Status.OUT_OF_MEMORY,
    Status.FAILED,
    Status.TODO,
    Status.HELD,
    Status.UNAVAILABLE,
    Status.SKIPPED,
    Status.PASSED,
)


def award(outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """Give each check its points: all when it passed on every device asked for, else none.

    A check that ran on several devices shares its points evenly among its outcomes. A broken check, our own fault,
    counts for nothing: neither earned nor possible.
    """
    runs: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        runs.setdefault(outcome.id, []).append(outcome)
    shares = {}
    for name, group in runs.items():
        earned = all(outcome.status is Status.PASSED for outcome in group)
        broken = any(outcome.status is Status.BROKEN for outcome in group)
        share = 0.0 if broken else group[0].max_points / len(group)
        shares[name] = (share if earned else 0.0, share)
    return tuple(replace(out, points=shares[out.id][0], max_points=shares[out.id][1]) for out in outcomes)


def task_status(outcomes: Sequence[Outcome]) -> Status:
    """The most telling status among the checks; a task without outcomes is broken."""
    statuses = {outcome.status for outcome in outcomes}
    return next((status for status in ORDER if status in statuses), Status.BROKEN)


def total(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Points earned and points possible."""
    points, possible = sum(out.points for out in outcomes), sum(out.max_points for out in outcomes)
    return round(points, 6), round(possible, 6)
