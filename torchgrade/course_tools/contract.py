"""``verify --contract``: the reference with one clause of a contract broken, made from signatures and the trace.

A mutant that no check fails is a clause that no check holds to. Each is graded with two seeds: what only one of them
shows is seen by luck, and a learner's seed is fixed. A kind counts where a docstring says its word (gaps.py);
``silent.yaml`` explains others, one line for a kind.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torchgrade.course import Task
from torchgrade.course_tools import inputs
from torchgrade.course_tools.gaps import Gap, Silent, gaps
from torchgrade.course_tools.variants import solution_text
from torchgrade.errors import CourseError
from torchgrade.grading.events import Fault, Graded
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.grading.seeds import derive
from torchgrade.isolation.worker.summary import Summary
from torchgrade.model import Status, TaskGrade
from torchgrade.submission import Source
from torchgrade.suites import read_suite

INPUT = ("input in float32", "input in float64", "half input in float32", "input detached", "absolute input")
COPIES = ("input copied", "input made contiguous")
OUTPUT = ("output in float32", "output in float64", "output detached", "output rounded", "NaN as 0", "infinite as 1e30")
OF_AXES = ("output squeezed", "last item 0")
MADE = ("made in eval mode", "made without gradients", "made in float64")
DEAR = ("convergence", "accuracy")


@dataclass(frozen=True)
class Broken:
    """A mutant: which gap breaks which clause, and the checks that call it."""

    gap: str
    kind: str
    parameter: str = ""
    value: Any = None
    checks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        value = "" if self.value is None and self.kind != "always" else f" {self.value!r}"
        return f"{self.gap}: {self.kind} {self.parameter}".rstrip() + value

    def text(self, solution: str) -> str:
        arguments = f"{self.gap!r}, {self.kind!r}, {self.parameter!r}, {self.value!r}"
        head = "from torchgrade.isolation.worker.breaking import break_contract as _break"
        return f"{solution}\n\n{head}\n\n_break(globals(), {arguments})\n"


@dataclass(frozen=True)
class Survey:
    """What became of a task's broken contracts, by name: no seed, or only one, shows them."""

    task: str
    total: int
    unseen: tuple[str, ...]
    by_luck: tuple[str, ...]
    explained: int

    @property
    def share(self) -> float:
        """Killed with both seeds, of those that nothing explains."""
        counted = self.total - self.explained
        return (counted - len(self.unseen) - len(self.by_luck)) / max(1, counted)


def broken_contracts(task: Task, coverage: inputs.Coverage) -> list[Broken]:
    """The mutants of a task that count: a docstring speaks of their kind, and some check calls the gap."""
    dear = {check.name for check in read_suite(task).checks if check.category in DEAR}
    found = []
    for gap in gaps(task):
        callers = coverage.checks.get(gap.name, [])
        checks = tuple(name for name in callers if name not in dear) or tuple(callers)
        kinds = _of_gap(gap, coverage.of(gap.name)) if checks else ()
        found += [
            Broken(gap.name, kind, parameter, value, checks) for kind, parameter, value in kinds if gap.speaks_of(kind)
        ]
    return found


Clause = tuple[str, str, Any]  # kind, parameter, value


def _of_gap(gap: Gap, calls: Summary) -> Iterator[Clause]:
    given = [name for name in gap.defaults if calls["parameters"].get(name, {}).get("other")]
    yield from (("ignored beside", one, other) for one in given for other in given if one != other)
    for parameter, seen in calls["parameters"].items():
        yield from _of_parameter(gap, parameter, seen)
    yield from _of_result(calls["result"])
    if gap.raises or calls["raised"]:
        yield from (("another exception", "", name) for name in ("RuntimeError", "Exception"))
    if gap.method == "__init__":
        yield ("state shared" if calls["modules"] else "memory of the class"), "", None
    yield from _of_objects(gap, calls)


def _of_parameter(gap: Gap, parameter: str, seen: Summary) -> Iterator[Clause]:
    if parameter in gap.defaults and seen["other"]:
        yield "ignored", parameter, None
    if "two different members" in seen["kinds"]:
        yield from ((kind, parameter, None) for kind in ("pair swapped", "first twice", "second twice"))
    literals = [text for text in sorted(seen["values"]) if _is_literal(text)]
    if len(literals) > 1:
        yield from (("always", parameter, ast.literal_eval(text)) for text in literals[:3])
    for text in sorted(seen["other"]):
        value = ast.literal_eval(text) if _is_literal(text) else 0
        if value is None or isinstance(value, (bool, str)):
            yield "taken as the default", parameter, value
    if "module" in seen["types"]:
        yield from ((kind, parameter, None) for kind in ("left in training mode", "left in eval mode"))
    if seen["tensors"]:
        floats = seen["kinds"] & inputs.FLOATS and seen["types"] != {"ndarray"}
        yield from ((kind, parameter, None) for kind in (*(INPUT if floats else ()), *COPIES))
        if seen["types"] & {"tensor", "ndarray"}:
            yield "input changed", parameter, None


def _of_result(seen: Summary) -> Iterator[Clause]:
    if seen["tensors"] and seen["kinds"] & inputs.FLOATS:
        axes = {kind for kind in seen["kinds"] if kind.endswith("-d")} - {"0-d"}
        yield from ((kind, "", None) for kind in (*OUTPUT, *(OF_AXES if axes else ())))
    if "module" in seen["types"]:
        yield from ((kind, "", None) for kind in MADE)


def _of_objects(gap: Gap, calls: Summary) -> Iterator[Clause]:
    if gap.method == "__init__":
        if calls["modules"]:
            yield from ((kind, "", None) for kind in MADE)
    elif gap.method:
        yield "first result kept", "", None
        if calls["per_object"]:
            yield "settings frozen", "", None
        if calls["training"]:
            yield from ((kind, "", None) for kind in ("always training", "always eval"))
    else:
        yield "first result kept", "", None


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return False
    return True


def survey(pool: Pool, task: Task, options: Options, limit: int | None = None, only: str = "") -> Survey:
    """Grade the broken contracts of a task, those with ``only`` in their name, with two seeds; at most ``limit``."""
    found = [broken for broken in broken_contracts(task, inputs.trace(pool, task, options)) if only in broken.name]
    if only and not found:
        raise CourseError(f"{task.stem}: no contract mutant has {only!r} in its name")
    step = max(1, -(-len(found) // limit)) if limit else 1
    found = found[::step]  # spread over the task
    seeds = (options.seed, derive(options.seed, "contract") % (1 << 31))
    alive = [_alive(pool, task, options, found, seed) for seed in seeds]
    silent = Silent.of(task)
    open_ = [broken for broken in found if not silent.explains(broken.name)]
    return Survey(
        task=task.stem,
        total=len(found),
        unseen=tuple(broken.name for broken in open_ if all(broken.name in names for names in alive)),
        by_luck=tuple(b.name for b in open_ if sum(b.name in names for names in alive) == 1),
        explained=len(found) - len(open_),
    )


def _alive(pool: Pool, task: Task, options: Options, found: Sequence[Broken], seed: int) -> set[str]:
    """The names of those that every check passes that calls the gap."""
    name, solution = f"{task.stem}.py", solution_text(task)
    jobs = [
        options.job(
            number,
            task.stem,
            Source(name, {name: broken.text(solution).encode()}),
            memory_mb=task.manifest.memory_mb,
            seed=seed,
            only=broken.checks,
            first_failure=True,
            watched=False,
        )
        for number, broken in enumerate(found)
    ]
    alive = set()
    for event in pool.events(jobs):
        if isinstance(event, Fault) or (isinstance(event, Graded) and _passes(event.grade)):
            alive.add(found[event.job].name)
    return alive


def _passes(grade: TaskGrade) -> bool:
    return all(outcome.status is Status.PASSED for outcome in grade.checks)
