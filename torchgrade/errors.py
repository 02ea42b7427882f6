"""Every error that TorchGrade raises by itself.

TorchGradeError
├── UsageError            the command was called wrongly, or its input cannot be read   (exit 2)
│   ├── UnknownTask       no such task; carries the near names
│   └── SubmissionError   the submission cannot be read
├── CourseError           a task of the course is malformed: the author's fault          (exit 3)
│   └── AuthoringError    a suite uses the kit wrongly, or a check has no teeth
└── IsolationError        the worker could not be started or confined                    (exit 3)
"""

from __future__ import annotations

from collections.abc import Sequence


class TorchGradeError(Exception):
    """A sentence for the reader; no traceback is shown for it."""


class UsageError(TorchGradeError):
    """The command was called wrongly, or its input cannot be read."""


class UnknownTask(UsageError):
    """No task has this name."""

    def __init__(self, message: str, near: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.near = tuple(near)


class SubmissionError(UsageError):
    """The submission cannot be read."""


class CourseError(TorchGradeError):
    """A task of the course is malformed."""


class AuthoringError(CourseError):
    """A suite uses the authoring kit wrongly, or a check has no teeth."""


class IsolationError(TorchGradeError):
    """The worker could not be started or confined."""
