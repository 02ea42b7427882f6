"""What is being graded: a file, a folder or an archive, read as bytes and never interpreted here.

Nothing of a submission is unpacked, parsed or executed on this side of the trust line: an archive travels as one
blob and is opened in a worker.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchgrade.course import Course, Task
from torchgrade.errors import SubmissionError

MAX_FILE = 1 << 20  # bytes of one source file
MAX_ARCHIVE = 20 << 20
MAX_FILES = 200
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class Source:
    """The bytes of one task's submission.

    ``files`` maps the names shown to the learner to contents and ``main`` names the task's own file; a helper
    module that lies beside it can be imported. An ``archive`` is opened in the worker instead.
    """

    main: str
    files: Mapping[str, bytes] = field(default_factory=dict)
    archive: bytes | None = None

    @property
    def hash(self) -> str:
        digest = hashlib.sha256(self.archive or b"")
        for name in sorted(self.files, key=lambda shown: (shown != self.main, os.path.basename(shown))):
            digest.update(f"{os.path.basename(name)}\0{len(self.files[name])}\0".encode() + self.files[name])
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Submission:
    """The sources of one learner by task; ``label`` is the path as the user gave it."""

    label: str
    sources: Mapping[str, Source]


def read_submission(path: Path, course: Course, tasks: Sequence[Task]) -> Submission:
    """Read ``path`` for ``tasks``; raises SubmissionError when nothing there can be graded."""
    label = shown(path)
    if not path.exists():
        raise SubmissionError(f"{label} does not exist")
    if path.is_dir():
        return Submission(label, _from_folder(path, label, course, tasks))
    if path.name.lower().endswith(ARCHIVES):
        blob = _read(path, MAX_ARCHIVE)
        return Submission(label, {task.stem: Source(f"{task.stem}.py", archive=blob) for task in tasks})
    if path.suffix not in (".py", ".ipynb"):
        raise SubmissionError(
            f"{label} is neither a .py file, a notebook, a folder nor an archive ({', '.join(ARCHIVES)})"
        )
    task = _task_of(path, course, tasks)
    return Submission(label, {task.stem: Source(label, {label: _read(path, MAX_FILE)})})


def _task_of(path: Path, course: Course, tasks: Sequence[Task]) -> Task:
    """The task that a single file answers: by its name, or the one task that was asked for."""
    named = [task for task in course.tasks if path.stem == task.stem] or [
        task for task in course.tasks if task.short in path.stem.lower()
    ]
    if len(named) == 1:
        return named[0]
    if len(tasks) == 1:
        return tasks[0]
    raise SubmissionError(f"cannot tell which task {shown(path)} answers; name the task before --submission")


def _from_folder(path: Path, label: str, course: Course, tasks: Sequence[Task]) -> dict[str, Source]:
    names = sorted(entry.name for entry in os.scandir(path) if entry.name.endswith(".py") and entry.is_file())
    if len(names) > MAX_FILES:
        raise SubmissionError(f"{label} holds more than {MAX_FILES} Python files")
    stems = {task.stem for task in course.tasks}
    helpers = [name for name in names if name[:-3] not in stems]
    sources = {}
    for task in tasks:
        own = f"{task.stem}.py"
        if own in names:
            files = {shown(path / name): _read(path / name, MAX_FILE) for name in [own, *helpers]}
            sources[task.stem] = Source(shown(path / own), files)
    if not sources:
        wanted = ", ".join(f"{task.stem}.py" for task in tasks[:3])
        raise SubmissionError(f"{label} holds no file of the course; expected {wanted}{' …' if len(tasks) > 3 else ''}")
    return sources


def _read(path: Path, limit: int) -> bytes:
    try:
        if path.stat().st_size > limit:
            raise SubmissionError(f"{shown(path)} is larger than {limit >> 20} MB")
        return path.read_bytes()
    except OSError as error:
        raise SubmissionError(f"cannot read {shown(path)}: {error.strerror}") from None


def shown(path: Path) -> str:
    """The path as a reader would type it: relative to the working directory where it lies below."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix() or "."
    except ValueError:
        return str(path)
