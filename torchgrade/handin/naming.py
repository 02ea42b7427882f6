"""What a file's name tells: junk, the place of the task in it, the number of the attempt. Pure.

The task's own number and words, and dates, are never an attempt.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from torchgrade.handin.kinds import split_suffix

_TASK = re.compile(r"(?<![a-z0-9])task[\s_-]{0,2}(\d{1,2})(?!\d)", re.IGNORECASE)
TITLE = re.compile(
    r"(?<![a-z0-9])(?:homework|hw|assignment|exercise|ex|lab|sheet|blatt|übung|uebung|week|woche|part|作业|实验|练习)"
    r"[\s_-]?\d{1,2}(?!\d)",
    re.IGNORECASE,
)
DATE = re.compile(r"(?<!\d)20\d\d[-_.]?\d\d[-_.]?\d\d(?:[-_T ]?\d\d[-_.:h]?\d\d(?:[-_.:]?\d\d)?)?(?!\d)")
_NUMBERED = (
    re.compile(r"\((\d{1,2})\)$"),
    re.compile(r"(?:^|[\s_.-])(?:v|version|attempt|versuch|try)[\s_-]?(\d{1,2})(?!\d)", re.IGNORECASE),
    re.compile(r"-(\d{1,2})$"),  # what Canvas puts behind a name
)
_FOLDER = re.compile(r"(?:attempt|versuch|try|version|v)[\s_-]?(\d{1,2})", re.IGNORECASE)
_SPARE = re.compile(r"(?:^|[\W_])(?:copy|kopie|backup|bak|old|alt|orig|original|副本|备份)(?:[\W_\d]|$)", re.IGNORECASE)

_JUNK_FOLDERS = frozenset((
    "__macosx", "__pycache__", ".git", ".ipynb_checkpoints", ".idea", ".vscode", ".venv", "venv", "env", "virtualenv",
    "site-packages", "node_modules", ".tox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".torchgrade",
))  # fmt: skip
_JUNK_FILES = re.compile(
    r"\._.*|\.ds_store|thumbs\.db|desktop\.ini|.*\.pyc|.*~|.*\.(?:bak|orig|swp|new)|conftest\.py", re.IGNORECASE
)
# What a course consists of besides its exercises: a hand-in of the whole course is graded by those.
_COURSE_FOLDERS = frozenset(
    ("graders", "solutions", "torchgrade", "datasets", "docs", "tests", "benchmarks", "scripts")
)
RESULTS = "gradebook.sqlite"  # the mark of a folder that a batch wrote
EXPORTS = (
    "canvas.csv", "moodle.csv", "moodle_worksheet.csv", "moodle_feedback.zip", "blackboard.csv", "gradescope.zip",
    "ilias_feedback.zip",
)  # fmt: skip
OUTPUTS = (
    "report.html", "grades.csv", "grades.xlsx", "sums.csv", "checks.csv", "changes.csv", "unmatched.csv", *EXPORTS,
)  # fmt: skip  # what a batch writes beside it, for people and for platforms


def is_junk(path: str) -> bool:
    """Whether an operating system, an editor or a tool left this file, or a package manager put it there."""
    *folders, base = path.split("/")
    return any(is_junk_folder(folder) for folder in folders) or bool(_JUNK_FILES.fullmatch(base))


def is_junk_folder(name: str) -> bool:
    return name.lower() in _JUNK_FOLDERS


class Ignored:
    """Which files of one hand-in are none: seen from all its paths, and the course's own list of patterns."""

    def __init__(self, paths: Iterable[str], patterns: Sequence[str] = ()) -> None:
        self._patterns = tuple(pattern.strip("/") for pattern in patterns)
        folders: dict[str, set[str]] = {}
        for path in paths:
            parts = path.split("/")
            for end in range(len(parts)):
                folders.setdefault("/".join(parts[:end]), set()).add(parts[end])
        self._results = {folder for folder, names in folders.items() if RESULTS in names}
        self._environments = {folder for folder, names in folders.items() if "pyvenv.cfg" in names}
        self._courses = {folder for folder, names in folders.items() if _is_course(names)}

    def why(self, path: str) -> str:
        """Why this file is not read; empty when it may be a hand-in."""
        if is_junk(path):
            return "a program left it; it is no hand-in"
        parts = path.split("/")
        above = {"/".join(parts[:end]) for end in range(len(parts))}
        if above & self._results:
            return "it is a result of an earlier batch"
        if above & self._environments:
            return "it belongs to a virtual environment"
        if any(self._of_the_course(folder, path) for folder in above & self._courses):
            return "it belongs to the course; of a whole course the folder exercises/ is graded"
        if any(_fits(path, pattern) for pattern in self._patterns):
            return "the course's list `ignore` names it"
        return ""

    def in_exercises(self, path: str) -> bool:
        """Whether it lies in the ``exercises`` folder of a whole course."""
        return any(path.startswith(f"{root}/exercises/" if root else "exercises/") for root in self._courses)

    @staticmethod
    def _of_the_course(root: str, path: str) -> bool:
        first, slash, _ = path[len(root) + 1 if root else 0 :].partition("/")
        return first in _COURSE_FOLDERS if slash else first == "grade.py"


def _is_course(names: set[str]) -> bool:
    return "course.yaml" in names or ("exercises" in names and bool(names & {"graders", "torchgrade"}))


def _fits(path: str, pattern: str) -> bool:
    """Whether a pattern such as ``drafts/*`` or ``*_old.py`` fits the path, a folder above it, or one of its parts."""
    parts = path.split("/")
    heads = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
    return any(fnmatchcase(head, pattern) for head in heads) or any(fnmatchcase(part, pattern) for part in parts)


def is_spare(path: str) -> bool:
    """Whether the file, or a folder above it, calls itself a copy or a backup."""
    return any(_SPARE.search(part) for part in split_suffix(path)[0].split("/"))


def task_span(stem: str, tasks: Sequence[str] = ()) -> tuple[int, int] | None:
    """Where a name tells a task: a whole stem, or ``task 7`` with the words of that task's stem behind it."""
    lower = stem.lower()
    whole = max((task for task in tasks if task in lower), key=len, default="")
    if whole:
        start = lower.index(whole)
        return start, start + len(whole)
    found = _TASK.search(stem)
    if found is None:
        return None
    numbered = [task for task in tasks if task.startswith(f"task{int(found[1]):02d}_")]
    words = {word for task in numbered for word in task.split("_")}
    end = found.end()
    while more := re.match(r"[\s_-]*([A-Za-z]+)(?![A-Za-z])", stem[end:]):
        if more[1].lower() not in words:
            break
        end += more.end()
    return found.start(), end


def attempt_number(name: str, tasks: Sequence[str] = ()) -> int:
    """The attempt that a platform or a person wrote behind a file's name, or as the name of its folder; else 0."""
    return _number(name, tasks) or folder_number(name)


def folder_number(path: str) -> int:
    """The number of the nearest folder that is called ``v2``, ``attempt 3`` or the like; 0 without one."""
    found = (_FOLDER.fullmatch(part.strip()) for part in reversed(path.split("/")[:-1]))
    return next((int(number[1]) for number in found if number), 0)


def _number(name: str, tasks: Sequence[str]) -> int:
    tail = _tail(split_suffix(posixpath.basename(name))[0], tasks)
    for pattern in _NUMBERED:
        if found := pattern.search(tail):
            return int(found[1])
    return 0


def _tail(stem: str, tasks: Sequence[str]) -> str:
    """What stands behind the task or the title of the homework, dates left out: only that can be an attempt."""
    span = task_span(stem, tasks)
    tail = stem[span[1] :] if span else TITLE.sub("", stem)
    return DATE.sub("", tail)


def without_attempt(name: str, tasks: Sequence[str] = ()) -> str:
    """The name without the number that Canvas put behind it, so that ``util-1.py`` can be imported as ``util``."""
    stem, suffix = split_suffix(name)
    tail = _tail(stem, tasks)
    found = re.search(r"-\d{1,2}$", tail)
    return stem[: -len(found[0])] + suffix if found and stem.endswith(found[0]) else name
