"""The vocabulary of results: frozen values, no I/O, no torch.

``Status`` says what became of one check on one device, ``Outcome`` carries it, ``TaskGrade`` sums the
outcomes of a task and ``Result`` those of a whole run. Every rendering (scoreboard, JSON, JUnit, gradebook)
is a function of ``Result``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

RESULT_SCHEMA = "torchgrade.result/1"

CATEGORIES = (
    "shapes",
    "parameters",
    "values",
    "gradients",
    "convergence",
    "accuracy",
    "rules",
    "devices",
    "robustness",
    "efficiency",
)


class Status(str, enum.Enum):
    """What became of a check. Statuses have different readers, so they are never merged."""

    PASSED = "passed"
    HELD = "held"  # ran, right answer, but it earns nothing before another check passes
    FAILED = "failed"  # ran, other answer
    TODO = "todo"  # the gap is still a gap
    SKIPPED = "skipped"  # waits for a named check
    CRASHED = "crashed"  # the learner's code raised, or the worker died
    TIMED_OUT = "timed_out"
    OUT_OF_MEMORY = "out_of_memory"
    BROKEN = "broken"  # our own fault
    UNAVAILABLE = "unavailable"  # the device or the data is not on this machine

    def __str__(self) -> str:
        return self.value


class ExitCode(enum.IntEnum):
    """What the command line returns."""

    PASSED = 0  # everything asked for passed
    NOT_YET = 1
    USAGE = 2  # unreadable input, unknown task, wrong option
    BROKEN = 3  # our own fault
    INTERRUPTED = 130


def short_name(stem: str) -> str:
    """What one types for a task: ``task07`` of ``task07_pooling_norm``."""
    return stem.partition("_")[0]


@dataclass(frozen=True)
class Outcome:
    """One check's result on one device. ``seconds`` is wall time, points are those of the check."""

    id: str
    title: str
    category: str
    device: str
    status: Status
    points: float
    max_points: float
    hidden: bool = False
    seconds: float = 0.0
    message: str = ""
    given: str | None = None
    expected: str | None = None
    got: str | None = None
    table: str = ""  # small values whole, expected beside got
    likely: str | None = None
    where: str | None = None
    hint: str | None = None
    output: str = ""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        return cls(**{**_known(cls, data), "status": Status(data["status"])})


@dataclass(frozen=True)
class TaskGrade:
    """Points earned of points possible for one task, with the outcomes that explain them."""

    task: str
    title: str
    status: Status
    points: float
    max_points: float
    seconds: float
    grader_hash: str
    submission_hash: str
    checks: tuple[Outcome, ...]
    isolation: str = "none"
    memory_bound: str = "none"
    peak_mb: float = 0.0  # the largest resident memory of the submission's process, torch included
    notes: tuple[str, ...] = ()  # what was left out of the file, and why

    @property
    def short(self) -> str:
        return short_name(self.task)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TaskGrade:
        return cls(
            **{
                **_known(cls, data),
                "status": Status(data["status"]),
                "checks": tuple(Outcome.from_json(check) for check in data["checks"]),
                "notes": tuple(data.get("notes", ())),
            }
        )


@dataclass(frozen=True)
class Result:
    """One run of the grader over some tasks of one submission."""

    course: str
    engine: str
    torch: str
    seed: int
    submission: str
    devices: tuple[str, ...]
    tasks: tuple[TaskGrade, ...]
    schema: str = RESULT_SCHEMA

    @property
    def points(self) -> float:
        return round(sum(task.points for task in self.tasks), 6)

    @property
    def max_points(self) -> float:
        return round(sum(task.max_points for task in self.tasks), 6)

    @property
    def exit_code(self) -> ExitCode:
        if any(task.status is Status.BROKEN for task in self.tasks):
            return ExitCode.BROKEN
        if self.tasks and all(task.status is Status.PASSED for task in self.tasks):
            return ExitCode.PASSED
        return ExitCode.NOT_YET

    def with_known(self, known: Mapping[str, TaskGrade], order: Sequence[str]) -> Result:
        """Together with grades that were known before, in the order of these stems."""
        grades = {**known, **{task.task: task for task in self.tasks}}
        return replace(self, tasks=tuple(grades[stem] for stem in order))

    def to_json(self) -> dict[str, Any]:
        """The document described by ``torchgrade/report/result.schema.json``."""
        document = as_json(self)
        head = {key: document.pop(key) for key in ("schema", "course", "engine", "torch", "seed", "submission")}
        tasks = document.pop("tasks")
        return {**head, **document, "points": self.points, "max_points": self.max_points, "tasks": tasks}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        tasks = tuple(TaskGrade.from_json(task) for task in data["tasks"])
        return cls(**{**_known(cls, data), "devices": tuple(data["devices"]), "tasks": tasks})


def as_json(value: Outcome | TaskGrade | Result) -> dict[str, Any]:
    """Plain dicts, lists and strings; tuples become lists and statuses their names."""
    return {key: _plain(item) if type(item) in _NOT_PLAIN else item for key, item in vars(value).items()}


_NOT_PLAIN = (Status, tuple, list)


def _plain(item: Any) -> Any:
    if isinstance(item, Status):
        return item.value
    if isinstance(item, (Outcome, TaskGrade)):
        return as_json(item)
    if isinstance(item, (list, tuple)):
        return [_plain(value) for value in item]
    return item


def _known(cls: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
