"""What a file's name tells: junk, the task, the student before or behind it, the number of the attempt. Pure."""

from __future__ import annotations

import posixpath
import re

_COPY = re.compile(r"(?:-(\d{1,2})|[ _]?\((\d{1,2})\)|[_ -](?:v|attempt|versuch|try)[_ -]?(\d{1,2}))$", re.IGNORECASE)
_TASK = re.compile(r"(?:^|[\s_.-])task[\s_-]?\d{1,2}(?!\d)", re.IGNORECASE)
_JUNK = re.compile(r"(^|/)(__MACOSX|__pycache__|\.git|\.ipynb_checkpoints|\.idea|\.vscode|\.venv)(/|$)|(^|/)(\._[^/]*"
                   r"|\.DS_Store|Thumbs\.db|desktop\.ini)$|\.pyc$", re.IGNORECASE)  # fmt: skip


def is_junk(path: str) -> bool:
    """Whether an operating system or an editor left this file."""
    return bool(_JUNK.search(path))


def names_somebody(name: str) -> bool:
    """Whether it names a task, and something before it."""
    return bool(_TASK.search(name)) and not re.match(r"task[\s_-]?\d", name, re.IGNORECASE)


def split_single(name: str) -> tuple[str, str]:
    """(student, file) of a file that lies alone: what stands before the task, else behind it, else the name."""
    stem, suffix = _split_suffix(name)
    bare = _COPY.sub("", stem)
    found = _TASK.search(bare)
    if not found:
        return bare.strip(" _-."), name
    before = bare[: found.start()].strip(" _-.")
    if before:
        return before, bare[found.start() :].strip(" _-.") + stem[len(bare) :] + suffix
    behind = bare[found.end() :].strip(" _-.")
    return behind.rsplit("_", 1)[-1] if behind else "", name


def _split_suffix(name: str) -> tuple[str, str]:
    lower = name.lower()
    double = next((s for s in (".tar.gz", ".tar.bz2", ".tar.xz") if lower.endswith(s)), "")
    cut = len(name) - len(double) if double else len(posixpath.splitext(name)[0])
    return name[:cut], name[cut:]


def attempt_number(path: str) -> int:
    """The attempt number that a platform or a person put behind a name; folders count too."""
    for part in reversed(path.split("/")):
        found = _COPY.search(_split_suffix(part)[0])
        if found:
            return int(next(group for group in found.groups() if group))
        folder = re.fullmatch(r"(?:attempt|versuch|try|v)[_ -]?(\d{1,2})", part, re.IGNORECASE)
        if folder:
            return int(folder[1])
    return 0


def without_attempt(name: str) -> str:
    """The name without that number."""
    stem, suffix = _split_suffix(name)
    return _COPY.sub("", stem) + suffix
