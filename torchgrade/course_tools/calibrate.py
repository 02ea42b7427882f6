"""``calibrate``: floors from statistics. The solution and its sabotaged mutants are graded with many seeds; what
their checks record becomes two distributions, a threshold between them, and the rates of both errors.

A rate is the larger of two estimates for the next run: the normal distribution with the measured mean and standard
deviation, and Student's t for a prediction, which allows for the small number of runs. With a second try a right
submission is rejected only if both runs fail, and a wrong one accepted if either passes.
"""

from __future__ import annotations

import ast
import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchgrade.course import Course, Task
from torchgrade.course_tools.variants import read_alternatives, read_mutants, solution_text
from torchgrade.errors import CourseError
from torchgrade.grading.calibration import CALIBRATION_SCHEMA
from torchgrade.grading.job import Job
from torchgrade.grading.pictures import band_of
from torchgrade.grading.pool import Pool
from torchgrade.grading.run import Options
from torchgrade.grading.seeds import derive
from torchgrade.submission import Source

REJECT_AT_MOST = 1e-3  # the aim for a right submission, all tries counted
TELLING = (("calibration", "record"), ("pictures", "curves"))  # calls that report something of a run
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


def entry_of(proposal: Proposal, seen: Distributions, data: str, versions: Mapping[str, str], tries: int) -> Any:
    """One entry of calibration.json."""
    return {
        "floor" if proposal.is_floor else "ceiling": proposal.threshold,
        "runs": _plain(seen.reference),
        "alternatives": {name: _plain(values) for name, values in sorted(seen.alternatives.items())},
        "sabotaged": {name: _plain(values) for name, values in sorted(seen.sabotaged.items())},
        "unseen": list(proposal.unseen),
        "false_reject": float(f"{proposal.false_reject:.1e}"),
        "false_accept": float(f"{proposal.false_accept:.1e}"),
        "margin_sd": round(proposal.margin_sd, 1),
        "tries": tries,
        "data": data,
        "versions": dict(versions),
        "runs_count": len(seen.reference),
    }


def table_of(task: Task) -> list[str]:
    """The stored thresholds of a task as rows of Markdown: what right and sabotaged runs reached, and the rates."""
    path = task.folder / "calibration.json"
    entries = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return [_row(task, name, entry) for name, entry in entries.items() if name != "schema"]


def _row(task: Task, name: str, entry: Mapping[str, Any]) -> str:
    is_floor = "floor" in entry
    threshold = f"≥ {entry['floor']:g}" if is_floor else f"≤ {entry['ceiling']:g}"
    right = [value for values in (entry["runs"], *entry["alternatives"].values()) for value in values]
    wrong = [v for key, values in entry["sabotaged"].items() if key not in entry["unseen"] for v in values]
    cells = (
        task.stem[:6],
        name,
        threshold,
        f"{min(right):.3g} … {max(right):.3g}",
        f"{min(wrong):.3g} … {max(wrong):.3g}" if wrong else "",
        f"{entry['false_reject']:.0e}",
        f"{entry['false_accept']:.0e}",
        f"{entry['margin_sd']:g}",
    )
    return f"| {' | '.join(cells)} |"


def _plain(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.4g}") for value in values]


def write_entries(path: Path, entries: Mapping[str, Any]) -> None:
    """Put entries into calibration.json; the others stay."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    merged = {"schema": CALIBRATION_SCHEMA, **{k: v for k, v in stored.items() if k != "schema"}, **entries}
    lines = [f"  {json.dumps(name)}: {_indented(value)}" for name, value in merged.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _indented(value: Any) -> str:
    if not isinstance(value, dict):
        return json.dumps(value)
    return "{\n" + ",\n".join(f"    {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "\n  }"


def calibrate(
    course: Course, task: Task, runs: int, options: Options, tell: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, Distributions], dict[str, dict[str, Any]]]:
    """Grade solution, alternatives and sabotaged mutants with ``runs`` seeds.

    Returns the values that their checks record, and the band that the solution's curves keep to, both by name.
    ``tell`` gets a line for each value, as it is known.
    """
    variants = list(_variants(task))
    jobs: list[Job] = []
    owners: list[tuple[str, str]] = []
    for name, kind, text in variants:
        for number in range(runs):
            seed = derive(options.seed, "calibrate", number) % (1 << 31)
            source = Source(f"{task.stem}.py", {f"{task.stem}.py": text.encode()})
            jobs.append(_job(len(jobs), task, source, seed, options))
            owners.append((name, kind))
    found: dict[str, Distributions] = {}
    curves: dict[str, list[dict[str, list[float]]]] = {}
    with Pool(course.root, options.jobs) as pool:
        for event in pool.events(jobs):
            if event.kind == "recorded" and event.job is not None and belongs(event.data["name"], options.data):
                seen = found.setdefault(event.data["name"], Distributions(tries=event.data["tries"]))
                name, kind = owners[event.job]
                values = seen.reference if kind == "reference" else getattr(seen, kind).setdefault(name, [])
                values.append(float(event.data["value"]))
                tell(f"{task.stem} {event.data['name']} {values[-1]:.4g}  {name}")
            elif event.kind == "picture" and event.job is not None and owners[event.job][1] == "reference":
                picture = event.data["picture"]
                if picture["kind"] == "curves" and belongs(picture["name"], options.data):
                    curves.setdefault(picture["name"], []).append(picture["series"])
            elif event.kind == "broken":
                raise CourseError(f"{task.stem}: a run could not be graded: {event.data.get('message')}")
    return found, {name: band_of(drawn) for name, drawn in curves.items()}


def belongs(name: str, data: str) -> bool:
    """Whether a statistic is one of ``data``: of a real set its name ends in @real, the others are drawn anyway."""
    return data != "real" or name.endswith("@real")


def _variants(task: Task) -> Iterator[tuple[str, str, str]]:
    yield "solution", "reference", solution_text(task)
    for name, text in read_alternatives(task).items():
        yield name, "alternatives", text
    for mutant in read_mutants(task):
        if mutant.sabotage:
            yield mutant.name, "sabotaged", mutant.text


def _job(number: int, task: Task, source: Source, seed: int, options: Options) -> Job:
    return Job(
        id=number,
        task=task.stem,
        source=source,
        devices=options.devices,
        seed=seed,
        timeout_scale=options.timeout_scale,
        isolation=options.isolation,
        data=options.data,
        measuring=True,
        pictures=True,
        only=tuple(recording_checks(task)),
    )


def recording_checks(task: Task) -> list[str]:
    """The names of the checks that report a statistic or a curve, from the text of the suite."""
    tree = ast.parse(task.suite.read_text(encoding="utf-8"))
    names = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Attribute))
            if any((getattr(c.value, "id", ""), c.attr) in TELLING for c in calls):
                names.append(node.name)
    return names
