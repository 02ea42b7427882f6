"""Thresholds from distributions, and what they cost: pure functions of what right and sabotaged runs recorded.

With a second try a right submission is rejected only if both runs fail, and a wrong one accepted if either passes.
A rate is the larger of two estimates: the share of the runs (or of pairs of runs) that were seen to fail, and what is
predicted for runs to come. The prediction takes the values as normal with a mean m and a deviation s not known. Given
n runs, the usual prior 1/s^2 makes (n - 1) S^2 / s^2 a chi-square number with n - 1 degrees, and m normal about the
measured mean with deviation s / sqrt(n) (Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.2). Both tries
share the m and s of one submission, so that two tries fail together with probability E[p(m, s)^2], which is more than
E[p]^2: a submission that fails once is likely to be one that fails often.
"""

from __future__ import annotations

import functools
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

    def of(self, name: str) -> list[float]:
        """The values of the ``solution``, of ``alternatives/NAME`` or ``sabotaged/NAME``."""
        kind, _, name = name.partition("/")
        return self.reference if not name else getattr(self, kind).setdefault(name, [])


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


def rate_beyond(values: Sequence[float], threshold: float, above: bool, tries: int = 1) -> float:
    """Estimated probability that the next ``tries`` values of one submission all lie above (or below) the threshold."""
    beyond = sum(value > threshold if above else value < threshold for value in values)
    together = math.comb(beyond, tries) / math.comb(len(values), tries) if len(values) >= tries else 0.0
    return max(together, _predicted(values, threshold, above, tries))


def _predicted(values: Sequence[float], threshold: float, above: bool, tries: int) -> float:
    """E[p(m, s)^tries] over what ``values`` leave open of mean and deviation; see the module."""
    mean, spread, count = statistics.fmean(values), spread_of(values), len(values)
    distance = (threshold - mean if above else mean - threshold) / spread
    if tries == 1:
        return t_tail(distance / math.sqrt(1 + 1 / count), count - 1)
    total = weights = 0.0
    for ratio, weight in _ratios(count - 1):  # of the measured deviation to the true one
        for shift in _SHIFTS:  # of the measured mean, in its own deviations
            density = weight * math.exp(-shift * shift / 2)
            total += density * t_tail(distance * ratio + shift / math.sqrt(count), math.inf) ** tries
            weights += density
    return total / weights


_SHIFTS = [step / 8 for step in range(-72, 73)]


@functools.lru_cache(maxsize=64)
def _ratios(freedom: int) -> list[tuple[float, float]]:
    """Values of sqrt(chi-square / freedom) from near 0 to far in the tail, evenly in their logarithm, with weights."""
    found = []
    for step in range(-160, 41):
        ratio = math.exp(step / 20)
        found.append((ratio, math.exp(freedom * (math.log(ratio) - ratio * ratio / 2 + 0.5))))
    return found


def spread_of(values: Sequence[float]) -> float:
    """The standard deviation, never quite zero: equal values are a rounding, not a certainty."""
    if len(values) < 2:
        raise CourseError(f"{len(values)} run is no distribution: calibrate with at least 2 runs")
    odd = [value for value in values if not math.isfinite(value)]
    if odd:
        raise CourseError(f"a run of {len(values)} recorded {odd[0]}: mend the submission, or what the check records")
    return max(statistics.stdev(values), 1e-3 * abs(statistics.fmean(values)), 1e-9)


def rates(threshold: float, is_floor: bool, seen: Distributions, tries: int) -> Proposal:
    """What a threshold costs on these distributions."""
    right = [seen.reference, *(values for values in seen.alternatives.values() if len(values) > 1)]
    reject = max(rate_beyond(values, threshold, not is_floor, tries) for values in right)
    accepted = {
        name: 1 - _fails(values, threshold, is_floor, tries)
        for name, values in seen.sabotaged.items()
        if len(values) > 1
    }
    unseen = tuple(sorted(name for name, rate in accepted.items() if rate > SEEN_AT_MOST))
    accept = max((rate for name, rate in accepted.items() if name not in unseen), default=0.0)
    distance = abs(statistics.fmean(seen.reference) - threshold)
    return Proposal(threshold, is_floor, reject, accept, distance / spread_of(seen.reference), unseen)


def _fails(values: Sequence[float], threshold: float, is_floor: bool, tries: int) -> float:
    """The least probable that a wrong submission is refused in all its tries, by prediction and by what was seen."""
    refused = sum(value < threshold if is_floor else value > threshold for value in values)
    together = math.comb(refused, tries) / math.comb(len(values), tries) if len(values) >= tries else 1.0
    return min(together, _predicted(values, threshold, not is_floor, tries))


def propose(seen: Distributions, tries: int = 1) -> Proposal:
    """The threshold in the middle between what right submissions keep to and what sabotaged ones reach.

    The safe side is where a right submission is rejected with probability REJECT_AT_MOST. A sabotage that
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
    """The value that right runs stay on the good side of, but for REJECT_AT_MOST."""
    right = [seen.reference, *(values for values in seen.alternatives.values() if len(values) > 1)]
    sign = -1 if is_floor else 1
    mean, spread = statistics.fmean(seen.reference), max(spread_of(values) for values in right)
    near, far = 0.0, 100.0  # in deviations from the mean
    while far - near > 0.01:
        middle = (near + far) / 2
        rate = max(rate_beyond(values, mean + sign * spread * middle, not is_floor, tries) for values in right)
        near, far = (near, middle) if rate <= REJECT_AT_MOST else (middle, far)
    return mean + sign * spread * far


def _visible(values: Sequence[float], safe: float, is_floor: bool) -> Sequence[float]:
    beyond = max(values) >= safe if is_floor else min(values) <= safe
    return () if beyond else values


def _rounded(value: float, down: bool) -> float:
    if value == 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return round((math.floor if down else math.ceil)(value / unit) * unit, 12)
