"""Every error that TorchGrade raises by itself.

TorchGradeError
├── UsageError            the command was called wrongly, or its input cannot be read   (exit 2)
│   ├── UnknownTask       no such task; carries the near names
│   └── SubmissionError   the submission cannot be read
├── CourseError           a task of the course is malformed: the author's fault          (exit 3)
│   └── AuthoringError    a suite uses the kit wrongly, or a check has no teeth
├── IsolationError        the worker could not be started or confined                    (exit 3)
├── EngineFault           our own code failed over what a submission answered
├── Unavailable           the device or the data asked for is not on this machine
├── Waits                 a check needs what another one found wrong
└── SubmissionFault       what a submission did instead of answering
    ├── LoadFailed        its file cannot be read, compiled or executed
    ├── MissingName       it lacks a name that the task asks for
    ├── SubmissionRaised  its code raised
    ├── BadAnswer         it returned what cannot be sent back
    ├── WorkerDied        its process ended
    ├── TimedOut          it needed more than the limit
    └── OutOfMemory       it asked for more than the limit

Mismatch stands apart: it is an AssertionError, what an expectation found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class TorchGradeError(Exception):
    """A sentence for the reader; no traceback is shown for it."""


class UsageError(TorchGradeError):
    """The command was called wrongly, or its input cannot be read."""


def not_at_hand(error: OSError) -> UsageError:
    """A file or folder that cannot be read or written, as a sentence."""
    return UsageError(f"{error.filename} cannot be used: {error.strerror or error}")


class UnknownTask(UsageError):
    """No task has this name, or several have it; ``near`` are names that were perhaps meant."""

    def __init__(self, message: str, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.near = tuple(near)


class SubmissionError(UsageError):
    """The submission cannot be read."""


class CourseError(TorchGradeError):
    """A task of the course is malformed."""


class AuthoringError(CourseError):
    """A suite uses the authoring kit wrongly, or a check has no teeth."""


class IsolationError(TorchGradeError):
    """The worker could not be started or confined."""


class EngineFault(TorchGradeError):
    """Our own code failed over what a submission answered."""


class Unavailable(TorchGradeError):
    """The device or the data asked for is not on this machine."""


@dataclass(frozen=True)
class TraceFrame:
    """One line of a learner's traceback."""

    file: str
    line: int
    function: str
    text: str


class Waits(TorchGradeError):
    """The check needs what another check found wrong; the text names that check."""


class SubmissionFault(TorchGradeError):
    """What a submission did instead of answering; ``given``: what it was asked, where a check says so."""

    given: str | None = None


class LoadFailed(SubmissionFault):
    """The file cannot be read, compiled or executed; ``fault`` says why when its own code raised."""

    def __init__(self, message: str, frames: Sequence[TraceFrame] = (), fault: SubmissionFault | None = None) -> None:
        super().__init__(message)
        self.frames = tuple(frames)
        self.fault = fault


class MissingName(SubmissionFault):
    """The submission lacks a name; ``near`` are the names it has that look alike."""

    def __init__(self, name: str, near: Sequence[str] = ()) -> None:
        super().__init__(name)
        self.name = name
        self.near = tuple(near)


class SubmissionRaised(SubmissionFault):
    """The submission's code raised: the exception's class names (own and inherited), text and frames."""

    def __init__(self, type_names: Sequence[str], text: str, frames: Sequence[TraceFrame] = ()) -> None:
        super().__init__(f"{type_names[0]}: {text}" if text else type_names[0])
        self.type_names = tuple(type_names)
        self.text = text
        self.frames = tuple(frames)

    @property
    def is_todo(self) -> bool:
        """Whether a gap that is still a gap was reached; torch, too, raises this class, with a text."""
        return self.type_names[0] == "NotImplementedError" and not self.text


class BadAnswer(SubmissionFault):
    """The submission returned what cannot be sent back, or its process broke the protocol."""


class WorkerDied(SubmissionFault):
    """The submission's process ended in the middle of a call; ``starved``: it was killed, and not by its own limits."""

    def __init__(self, message: str, starved: bool = False) -> None:
        super().__init__(message)
        self.starved = starved


class TimedOut(SubmissionFault):
    """The submission needed more than ``limit`` seconds; ``starved``: by the clock, it had not computed so long."""

    def __init__(self, limit: float, starved: bool = False) -> None:
        super().__init__(f"{limit:g} s")
        self.limit = limit
        self.starved = starved


class OutOfMemory(SubmissionFault):
    """The submission asked for more than ``limit_mb`` MB."""

    def __init__(self, limit_mb: int) -> None:
        super().__init__(f"{limit_mb} MB")
        self.limit_mb = limit_mb


class Mismatch(AssertionError):
    """What an expectation found. All texts are for the learner; None where there is nothing to say."""

    def __init__(
        self,
        expected: str | None = None,
        got: str | None = None,
        *,
        given: str | None = None,
        likely: str | None = None,
        message: str = "",
        table: str = "",
        values: tuple[Any, Any, Any] | None = None,
        within: Sequence[str] = (),
        place: tuple[str, int, str] | None = None,
    ) -> None:
        """``values``: the tensors that differ, expected and got, and where; None there when their shapes differ.

        Of a mistake that was found by reading: ``within`` are the definitions in whose text it stands, ``place`` is
        its file, line and definition.
        """
        super().__init__(message or f"expected {expected}, got {got}")
        self.within = tuple(within)
        self.place = place
        self.table = table
        self.values = values
        self.message = message
        self.expected = expected
        self.got = got
        self.given = given
        self.likely = likely
