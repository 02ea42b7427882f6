"""What is being graded: the bytes of a file, and of the modules that it imports, for each task.

Nothing of a submission is unpacked, parsed or executed on this side of the trust line: archives and notebooks are
opened in a confined process, sources are read in a worker.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torchgrade.course import Course, Task
from torchgrade.errors import SubmissionError
from torchgrade.handin.files import Entry, Files, open_files, read_file
from torchgrade.handin.kinds import is_archive
from torchgrade.handin.matching import NEITHER, definitions
from torchgrade.handin.opener import Opener
from torchgrade.handin.reading import Given, Reading, TaskEntry, helpers_of, in_order, instead, read_handin


@dataclass(frozen=True)
class Source:
    """The bytes of one task's submission.

    ``files`` maps the names shown to the learner to contents, ``main`` names the task's own file; modules whose names
    lie below its folder can be imported. A notebook is the text of its code cells.
    """

    main: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        digest = hashlib.sha256()
        folder = posixpath.dirname(self.main) or "."
        inside = {posixpath.relpath(name, folder): data for name, data in self.files.items() if name != self.main}
        for name, data in [(posixpath.basename(self.main), self.files[self.main]), *sorted(inside.items())]:
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Submission:
    """The sources of one learner by task; ``label`` is the path as the user gave it.

    ``reasons`` tells for a task without a source why what came cannot be read.
    """

    label: str
    sources: Mapping[str, Source]
    reasons: Mapping[str, str] = field(default_factory=dict)


def wanted_names(tasks: Sequence[Task]) -> dict[str, frozenset[str]]:
    """The functions and classes that a learner writes in each task, from its stub or solution."""
    found = {}
    for task in tasks:
        place = task.stub if task.stub.is_file() else task.solution
        names = definitions(place.read_bytes()) if place.is_file() else set()
        found[task.stem] = frozenset(name for name in names if not name.startswith("_"))
    return found


def read_exercises(folder: Path, tasks: Sequence[Task]) -> Submission:
    """A course's own folder: each task's file has the task's name, what lies beside it are modules to import."""
    return exercises_among(read_modules(folder), shown(folder), tasks)


def read_modules(folder: Path) -> dict[str, bytes]:
    """The Python files below a folder, by path from it."""
    with _opened(folder) as files:
        return {name: read_file(folder / name) for name in files.entries if name.endswith(".py")}


def exercises_among(texts: Mapping[str, bytes], label: str, tasks: Sequence[Task]) -> Submission:
    """What ``read_modules`` found in a course's own folder, as the sources of these tasks."""
    sources = {}
    for task in tasks:
        own = f"{task.stem}.py"
        if own in texts:
            helpers = helpers_of(own, texts[own], texts)
            named = {f"{label}/{name}": data for name, data in {own: texts[own], **helpers}.items()}
            sources[task.stem] = Source(f"{label}/{own}", named)
    if not sources:
        wanted = ", ".join(f"{task.stem}.py" for task in tasks[:3])
        raise SubmissionError(f"{label} holds no file of the course; expected {wanted}{' …' if len(tasks) > 3 else ''}")
    return Submission(label, sources)


def read_submission(path: Path, course: Course, tasks: Sequence[Task], opener: Opener) -> Submission:
    """What somebody would hand in: a file, a folder or an archive, read as it will be for marks.

    Raises SubmissionError when nothing there can be graded for ``tasks``.
    """
    label = shown(path)
    single = path.is_file()
    with _opened(path) as files:
        named = tasks[0].stem if single and len(tasks) == 1 and not is_archive(path.name) else ""
        given = [
            Given(label if single else f"{label}/{name}", name, entry.read, entry.modified, task=named)
            for name, entry in files.all().items()
        ]
        reading = read_handin(given, wanted_names(course.tasks), opener, course.ignore)
    found = {task.stem: in_order(reading.answers, task.stem) for task in tasks}
    counting = {task: answers[-1] for task, answers in found.items() if answers}
    sources = {task: source_of(answer) for task, answer in counting.items() if answer.code is not None}
    reasons = {task: f"{answer.path}: {answer.reason}" for task, answer in counting.items() if answer.code is None}
    general = instead(reading.strange, bool(sources))
    if not sources:
        raise SubmissionError(
            _refusal(label, single, tasks, reading, [*reasons.values(), *([general] if general else [])])
        )
    return Submission(label, sources, {**({task.stem: general for task in tasks} if general else {}), **reasons})


def source_of(answer: TaskEntry) -> Source:
    """The source of an answer, its files named as they came."""
    folder = posixpath.dirname(answer.path)
    files = {posixpath.join(folder, name): data for name, data in answer.helpers.items()}
    return Source(answer.path, {answer.path: answer.code or b"", **files})


def _refusal(label: str, single: bool, tasks: Sequence[Task], reading: Reading, reasons: Sequence[str]) -> str:
    others = sorted({answer.task for answer in reading.answers} - {task.stem for task in tasks})
    if others:
        return f"{label} answers {', '.join(others)}, not {', '.join(task.stem for task in tasks)}"
    if single and any(why == NEITHER for _, why in reading.strange):
        return f"cannot tell which task {label} answers; name the task before --submission"
    told = reasons[0] if reasons else "; ".join(f"{path}: {why}" for path, why in reading.aside[:3])
    return f"{label} holds nothing that can be graded" + (f": {told}" if told else "")


def _opened(path: Path) -> Files:
    """A folder's files, or the one file with its own name; raises SubmissionError when there is neither."""
    try:
        if path.is_file():
            entry = Entry(path.name, path.stat().st_mtime, partial(read_file, path))
            return Files({path.name: entry})
        if path.is_dir():
            return open_files(path)
    except OSError as error:
        raise SubmissionError(f"cannot read {shown(path)}: {error.strerror}") from None
    raise SubmissionError(f"{shown(path)} does not exist")


def shown(path: Path) -> str:
    """The path as a reader would type it: relative to the working directory where it lies below."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix() or "."
    except ValueError:
        return str(path)
