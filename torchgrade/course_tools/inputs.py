"""Coverage of inputs: what one traced grading of the reference sent to each function, and what never reached it.

A hole is a kind of input that a docstring speaks of, or that every tensor may be, and that no check ever sends: whoever
gets it wrong there keeps every point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

from torchgrade.course import Task
from torchgrade.course_tools.gaps import Gap, Silent, gaps
from torchgrade.course_tools.variants import solution_text
from torchgrade.grading.events import Graded, Traced
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.isolation.worker.summary import Summary, merge, new_call, unpacked
from torchgrade.model import TaskGrade
from torchgrade.submission import Source

REPORT = "traced_calls"
FLOATS = {"float32", "float64", "half"}
OF_FLOATS = ("float32", "half", "NaN", "infinite", "requires grad")
OF_TENSORS = ("not contiguous", "an axis of 1", "a batch of 1", "empty")


@dataclass
class Coverage:
    """What reached the gaps of a task, which check called what, and the grade of the traced reference."""

    calls: Summary = field(default_factory=dict)
    checks: dict[str, list[str]] = field(default_factory=dict)
    grade: TaskGrade | None = None

    def add(self, check: str, said: str) -> None:
        """What the traced reference said after ``check``."""
        found = unpacked(said)
        merge(self.calls, found)
        for name in found:
            self.checks.setdefault(name, []).append(check)

    def of(self, name: str) -> Summary:
        found: Summary = self.calls.get(name) or new_call()
        return found


@dataclass(frozen=True)
class InputRow:
    """Of a function, or of one of its parameters: what was seen, and which kinds were not."""

    gap: str
    parameter: str
    seen: str
    holes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.gap}({self.parameter}): never {', '.join(self.holes)}"

    def name(self, hole: str) -> str:
        """As ``silent.yaml`` names it."""
        return f"{self.gap}: {hole} {self.parameter}".rstrip()


def traced_text(task: Task) -> str:
    """The reference, with every gap traced."""
    names = [gap.name for gap in gaps(task)]
    return (
        f"{solution_text(task)}\n\nfrom torchgrade.isolation.worker.tracing import trace as _trace\n\n"
        f"_trace(globals(), {names!r})\n"
    )


def trace(pool: Pool, task: Task, options: Options) -> Coverage:
    """Grade the traced reference once."""
    coverage, name = Coverage(), f"{task.stem}.py"
    source = Source(name, {name: traced_text(task).encode()})
    job = options.job(0, task.stem, source, memory_mb=task.manifest.memory_mb, tracing=REPORT)
    for event in pool.events([job]):
        if isinstance(event, Traced):
            coverage.add(event.check, event.said)
        elif isinstance(event, Graded):
            coverage.grade = event.grade
    return coverage


def rows(task: Task, coverage: Coverage) -> Iterator[InputRow]:
    """The table of a task, without the holes that ``silent.yaml`` explains."""
    silent = Silent.of(task)
    for gap in gaps(task):
        for row in _rows(gap, coverage):
            holes = tuple(hole for hole in row.holes if not silent.explains(row.name(hole)))
            yield InputRow(row.gap, row.parameter, row.seen, holes)


def _rows(gap: Gap, coverage: Coverage) -> Iterator[InputRow]:
    calls = coverage.of(gap.name)
    for parameter in gap.parameters:
        seen = calls["parameters"].get(parameter)
        if seen is None:
            yield InputRow(gap.name, parameter, "nothing", ("anything",))
        else:
            holes = [*_holes_of_tensors(gap, parameter, seen), *_holes_of_option(gap, parameter, seen)]
            yield InputRow(gap.name, parameter, _shown(seen), tuple(holes))
    checks = len(coverage.checks.get(gap.name, ()))
    yield InputRow(gap.name, "", f"{calls['calls']} calls in {checks} checks", tuple(_holes_of_calls(gap, calls)))


def _shown(seen: Summary) -> str:
    values = sorted(seen["values"])
    plain = ", ".join(values[:5]) + (f" and {len(values) - 5} more" if len(values) > 5 else "")
    tensors = f"{seen['tensors']} tensors, {' '.join(sorted(seen['dtypes']))}" if seen["tensors"] else ""
    return "; ".join(filter(None, (tensors, plain))) or " ".join(sorted(seen["types"]))


def _holes_of_tensors(gap: Gap, parameter: str, seen: Summary) -> Iterator[str]:
    kinds: set[str] = seen["kinds"]
    if not seen["tensors"]:
        return
    wanted = [*(OF_FLOATS if kinds & FLOATS else ()), *(() if _axes(kinds) == {0} else OF_TENSORS)]
    if "tensor" not in seen["types"] and "requires grad" in wanted:
        wanted.remove("requires grad")  # an array has no gradient
    yield from (kind for kind in wanted if kind not in kinds and gap.speaks_of(kind))


def _axes(kinds: Iterable[str]) -> set[int]:
    return {int(kind[:-2]) for kind in kinds if kind.endswith("-d")}


def _holes_of_option(gap: Gap, parameter: str, seen: Summary) -> Iterator[str]:
    if parameter in gap.defaults:
        if not seen["omitted"]:
            yield "left out"
        enough = 1 if gap.defaults[parameter] in ("True", "False") else 2
        if len(seen["other"]) < enough:
            yield "another value than the default" if not seen["other"] else "two values that are not the default"
    elif not seen["tensors"] and len(seen["values"]) == 1:
        yield "a second value"
    pairs = "tuple" in seen["types"] and any(value.count(",") == 1 for value in seen["values"])
    if pairs and "two different members" not in seen["kinds"]:
        yield "a pair of two different members"


def _holes_of_calls(gap: Gap, calls: Summary) -> Iterator[str]:
    for pair in combinations(sorted(gap.defaults), 2):
        if "+".join(pair) not in calls["together"]:
            yield f"{pair[0]} together with {pair[1]}"
    if calls["training"] and gap.speaks_of("training"):
        missing = {"True": "training mode", "False": "eval mode"}
        yield from (words for mode, words in missing.items() if mode not in calls["training"])
    if gap.method and calls["calls"]:
        if gap.method == "__init__":
            if calls["objects"] < 2:
                yield "a second object"
        elif calls["per_object"] == {1}:
            yield "a second call on an object"
    if gap.raises and not calls["raised"]:
        yield "what it refuses"


def table(task: Task, found: Iterable[InputRow]) -> list[str]:
    """The rows as lines of text in columns."""
    heads = ("function", "parameter", "what reached it", "what never did")
    cells = [heads, *((row.gap, row.parameter, row.seen, ", ".join(row.holes)) for row in found)]
    widths = [min(60, max(len(line[column]) for line in cells)) for column in range(3)]
    return [f"{task.stem}", *("  ".join([*map(_padded, line, widths), line[3]]).rstrip() for line in cells)]


def _padded(cell: str, width: int) -> str:
    return (cell if len(cell) <= width else f"{cell[: width - 1]}…").ljust(width)
