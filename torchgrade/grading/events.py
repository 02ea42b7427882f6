"""What becomes known while jobs are graded: frozen values, with one way into plain data and back.

A grader tells them to the command that started it, over a pipe as msgpack; the executor and the pool add their own.
``job`` is the number of the job that an event is about. Each job ends in exactly one ``Graded`` or ``Fault``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from torchgrade.model import Outcome, TaskGrade, as_json


@dataclass(frozen=True)
class Ready:
    """A grader has imported torch, of this version. ``process`` is its number here."""

    torch: str
    process: int = 0


@dataclass(frozen=True)
class Started:
    """The job was given to a grader."""

    job: int


@dataclass(frozen=True)
class CheckBegan:
    """Told only of a job that somebody watches."""

    job: int
    title: str


@dataclass(frozen=True)
class StepsTaken:
    """So many optimiser steps in the running check."""

    job: int
    steps: int


@dataclass(frozen=True)
class CheckEnded:
    job: int
    outcome: Outcome


@dataclass(frozen=True)
class Recorded:
    """A check reported a statistic of its run; ``tries`` is how many runs it may need."""

    job: int
    name: str
    value: float
    tries: int


@dataclass(frozen=True)
class Met:
    """While it was proved, the check passed by these ``likely`` sentences."""

    job: int
    check: str
    sentences: list[str]


@dataclass(frozen=True)
class Traced:
    """What a source that traces its own calls says after a check."""

    job: int
    check: str
    said: str


@dataclass(frozen=True)
class PictureShown:
    """Plain data that ``report/pictures.py`` draws."""

    job: int
    device: str
    picture: dict[str, Any]


@dataclass(frozen=True)
class Graded:
    """The end of a job: its grade."""

    job: int
    grade: TaskGrade


@dataclass(frozen=True)
class Fault:
    """The end of a job without a grade, through a fault of ours.

    ``lost``: its machine left, the job had no part. ``overran``: the grader took more time or memory over an answer
    than any answer needs; if that happens twice, the submission has failed.
    """

    job: int
    message: str
    lost: bool = False
    overran: bool = False


@dataclass(frozen=True)
class Retried:
    """The pool tries the job once more; what was told of it so far does not count. ``tries``: those that failed."""

    job: int
    reason: str
    tries: int


@dataclass(frozen=True)
class GraderFailed:
    """The last word of a grader that cannot go on."""

    message: str


@dataclass(frozen=True)
class GraderEnded:
    """Of the process, with its exit status where it is known."""

    code: int | None


JobEvent = (
    Started | CheckBegan | StepsTaken | CheckEnded | Recorded | Met | Traced | PictureShown | Graded | Fault | Retried
)
Event = Ready | JobEvent | GraderFailed | GraderEnded

_BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in get_args(Event)}
_VALUES = {"outcome": Outcome.from_json, "grade": TaskGrade.from_json}


def to_data(event: Event) -> dict[str, Any]:
    """Plain data, for msgpack."""
    fields = {name: as_json(value) if name in _VALUES else value for name, value in vars(event).items()}
    return {"event": type(event).__name__, **fields}


def from_data(data: Mapping[str, Any]) -> Event:
    """The event that ``to_data`` was given."""
    fields = {name: _VALUES[name](value) if name in _VALUES else value for name, value in data.items()}
    kind = _BY_NAME[str(fields.pop("event"))]
    event: Event = kind(**fields)
    return event
