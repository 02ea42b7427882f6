"""What a file's name tells: junk, the student before or behind the task, the number of the attempt. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from torchgrade.handin.kinds import split_suffix

_COPY = re.compile(
    r"(?:-(?!0)(\d{1,2})|[ _]?[(（](\d{1,2})[)）]|[_ -](?:v|attempt|versuch|try)[_ -]?(\d{1,2}))$", re.IGNORECASE
)
_TASK = re.compile(r"(?:^|[\s_.-])task[\s_-]?\d{1,2}(?!\d)", re.IGNORECASE)
# Numbers that say which work it is, or when it was made, and never which attempt.
_OWN = re.compile(
    r"(?:task|hw|homework|assignment|exercise|ex|lab|week|unit|aufgabe|übung|blatt|任务|作业|练习|实验|第)[\s_-]*\d{1,2}(?!\d)"
    r"|\d{4}[-_.]\d{1,2}[-_.]\d{1,2}|\d{1,2}[-_.]\d{1,2}[-_.]\d{4}|\d{4}[-_.]\d{1,2}(?!\d)",
    re.IGNORECASE,
)
_FOLDER = re.compile(r"(?:attempt|versuch|try|v)[_ -]?(\d{1,2})", re.IGNORECASE)
_SPARE = re.compile(r"(?:^|[\W_])(?:copy|kopie|backup|bak|old|alt|orig|original|副本|备份)(?:[\W_\d]|$)", re.IGNORECASE)

_JUNK_FOLDERS = frozenset((
    "__macosx", "__pycache__", ".git", ".ipynb_checkpoints", ".idea", ".vscode", ".venv", "venv", "env", "virtualenv",
    "site-packages", "node_modules", ".tox", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".torchgrade",
))  # fmt: skip
_JUNK_FILES = re.compile(r"\._.*|\.ds_store|thumbs\.db|desktop\.ini|.*\.pyc|.*~|.*\.(?:bak|orig|swp)", re.IGNORECASE)
# What a course consists of besides its exercises: a hand-in of the whole course is graded by those.
_COURSE_FOLDERS = frozenset(
    ("graders", "solutions", "torchgrade", "datasets", "docs", "tests", "benchmarks", "scripts")
)
RESULTS = "gradebook.sqlite"  # the mark of a folder that a batch wrote


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


def names_somebody(name: str) -> bool:
    """Whether it names a task, and something before it."""
    return bool(_TASK.search(name)) and not re.match(r"task[\s_-]?\d", name, re.IGNORECASE)


def split_single(name: str) -> tuple[str, str]:
    """(student, file) of a file that lies alone: what stands before the task, else behind it, else the name."""
    stem, suffix = split_suffix(name)
    bare = _bare(stem)
    found = _TASK.search(bare)
    if not found:
        return bare.strip(" _-."), name
    before = bare[: found.start()].strip(" _-.")
    if before:
        return before, bare[found.start() :].strip(" _-.") + stem[len(bare) :] + suffix
    behind = bare[found.end() :].strip(" _-.")
    return behind.rsplit("_", 1)[-1] if behind else "", name


def attempt_number(path: str) -> int:
    """The attempt number that a platform or a person put behind the file's name; 0 without one."""
    found = _copy(split_suffix(posixpath.basename(path))[0])
    return int(next(group for group in found.groups() if group)) if found else 0


def folder_number(path: str) -> int:
    """The number of the nearest folder that is called ``v2``, ``attempt 3`` or the like; 0 without one."""
    numbers = (_FOLDER.fullmatch(part) for part in reversed(path.split("/")[:-1]))
    return next((int(found[1]) for found in numbers if found), 0)


def without_attempt(name: str) -> str:
    """The name without that number."""
    stem, suffix = split_suffix(name)
    return _bare(stem) + suffix


def _bare(stem: str) -> str:
    found = _copy(stem)
    return stem[: found.start()] if found else stem


def _copy(stem: str) -> re.Match[str] | None:
    """The number of a copy at the end of a name; the number of the task, or of a day, is none."""
    found = _COPY.search(stem)
    own = any(other.end() > found.start() for other in _OWN.finditer(stem)) if found else True
    return None if own else found
