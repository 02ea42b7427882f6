"""Thresholds from distributions, and what they cost: pure functions of what right and sabotaged runs recorded.

A rate is the larger of two estimates for the next run: the normal distribution with the measured mean and standard
deviation, and Student's t for a prediction, which allows for the small number of runs. With a second try a right
submission is rejected only if both runs fail, and a wrong one accepted if either passes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from torchgrade.errors import CourseError

REJECT_AT_MOST = 1e-3  # the aim for a right submission, all tries counted
SEEN_AT_MOST = 0.05  # a sabotage that passes more often than this is not seen by the threshold


@dataclass(frozen=True)
class Proposal:
    """A threshold, its side, and what it costs. ``unseen`` are sabotages that pass it too often to count."""

    threshold: float
    is_floor: bool
    false_reject: float
    false_accept: float
    margin_sd: float
    unseen: tuple[str, ...]


@dataclass
class Distributions:
    """The values of one statistic: of the solution, of alternatives and of sabotaged mutants by name.

    ``tries``: how often a verdict may draw, stated by the check.
    """

    tries: int = 1
    reference: list[float] = field(default_factory=list)
    alternatives: dict[str, list[float]] = field(default_factory=dict)
    sabotaged: dict[str, list[float]] = field(default_factory=dict)


def t_tail(x: float, freedom: float) -> float:
    """P(T > x) for Student's t; freedom = infinity is the normal distribution."""
    if x < 0:
        return 1.0 - t_tail(-x, freedom)
    if math.isinf(freedom):
        return math.erfc(x / math.sqrt(2)) / 2
    if x < 1e-9:
        return 0.5
    log_c = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2

    def density(u: float) -> float:  # of 1/T: the tail beyond x becomes the stretch 0..1/x
        if u == 0:
            return math.exp(log_c) * freedom if freedom == 1 else 0.0
        return math.exp(log_c - (freedom + 1) / 2 * math.log1p(1 / (u * u * freedom))) / (u * u)

    steps = 400
    width = 1 / x / steps
    inner = sum((4 if k % 2 else 2) * density(k * width) for k in range(1, steps))
    return (density(0) + inner + density(1 / x)) * width / 3


def rate_beyond(values: Sequence[float], threshold: float, above: bool) -> float:
    """Estimated probability that the next value lies above (or below) the threshold."""
    mean, spread = statistics.fmean(values), spread_of(values)
    distance = threshold - mean if above else mean - threshold
    normal = t_tail(distance / spread, math.inf)
    predicted = t_tail(distance / (spread * math.sqrt(1 + 1 / len(values))), len(values) - 1)
    return max(normal, predicted) if distance > 0 else min(1.0, max(normal, predicted))


def spread_of(values: Sequence[float]) -> float:
    """The standard deviation, never quite zero: equal values are a rounding, not a certainty."""
    if len(values) < 2:
        raise CourseError(f"{len(values)} run is no distribution: calibrate with at least 2 runs")
    return max(statistics.stdev(values), 1e-3 * abs(statistics.fmean(values)), 1e-9)


def rates(threshold: float, is_floor: bool, seen: Distributions, tries: int) -> Proposal:
    """What a threshold costs on these distributions."""
    right = [seen.reference, *(values for values in seen.alternatives.values() if len(values) > 1)]
    reject = max(rate_beyond(values, threshold, above=not is_floor) for values in right) ** tries
    accepted = {
        name: 1 - (1 - rate_beyond(values, threshold, above=is_floor)) ** tries
        for name, values in seen.sabotaged.items()
        if len(values) > 1
    }
    unseen = tuple(sorted(name for name, rate in accepted.items() if rate > SEEN_AT_MOST))
    accept = max((rate for name, rate in accepted.items() if name not in unseen), default=0.0)
    distance = abs(statistics.fmean(seen.reference) - threshold)
    return Proposal(threshold, is_floor, reject, accept, distance / spread_of(seen.reference), unseen)


def propose(seen: Distributions, tries: int = 1) -> Proposal:
    """The threshold in the middle between what right submissions keep to and what sabotaged ones reach.

    The safe side is where a right submission is rejected with probability REJECT_AT_MOST / 10. A sabotage that
    reaches beyond it is invisible to this statistic and has no say. Two significant digits, rounded outwards.
    """
    wrong = [statistics.fmean(values) for values in seen.sabotaged.values()]
    is_floor = not wrong or statistics.fmean(wrong) < statistics.fmean(seen.reference)
    safe = _safe(seen, is_floor, tries)
    inside = [value for values in seen.sabotaged.values() for value in _visible(values, safe, is_floor)]
    if not inside:
        return rates(_rounded(safe, is_floor), is_floor, seen, tries)
    nearest = max(inside) if is_floor else min(inside)
    return rates(_rounded((safe + nearest) / 2, is_floor), is_floor, seen, tries)


def _safe(seen: Distributions, is_floor: bool, tries: int) -> float:
    """The value that a right run stays on the good side of, but for REJECT_AT_MOST / 10."""
    right = [seen.reference, *(values for values in seen.alternatives.values() if len(values) > 1)]
    sign = -1 if is_floor else 1
    mean, spread = statistics.fmean(seen.reference), max(spread_of(values) for values in right)
    steps = (mean + sign * spread * k / 20 for k in range(2000))
    for threshold in steps:
        if max(rate_beyond(v, threshold, above=not is_floor) for v in right) ** tries <= REJECT_AT_MOST / 10:
            return threshold
    return mean + sign * 100 * spread


def _visible(values: Sequence[float], safe: float, is_floor: bool) -> Sequence[float]:
    beyond = max(values) >= safe if is_floor else min(values) <= safe
    return () if beyond else values


def _rounded(value: float, down: bool) -> float:
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return round((math.floor if down else math.ceil)(value / unit) * unit, 12)
