"""What the name of a handed-in file says: the person before or behind the task, and the number of the attempt. Pure.

The task's own number and words, words such as ``final`` or ``Kopie``, and dates are never a person or an attempt.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

SOURCES = (".py", ".ipynb")
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".rar", ".7z", ".gz")
_SEPARATORS = " \t_.,-–"  # between the words of a name

_TASK = re.compile(r"(?<![a-z0-9])task[\s_-]{0,2}(\d{1,2})(?!\d)", re.IGNORECASE)
_TITLE = re.compile(
    r"(?<![a-z0-9])(?:homework|hw|assignment|exercise|ex|lab|sheet|blatt|übung|uebung|week|woche|part|作业|实验|练习)"
    r"[\s_-]?\d{1,2}(?!\d)",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?<!\d)20\d\d[-_.]?\d\d[-_.]?\d\d(?:[-_T ]?\d\d[-_.:h]?\d\d(?:[-_.:]?\d\d)?)?(?!\d)")
_COPY_OF = re.compile(
    r"^(?:copy of|kopie von|copie de|copia de|副本)[\s_-]*|[\s_-]*(?:- copy|- kopie|copy|kopie|副本)$", re.I
)
_NOISE = re.compile(
    r"(?:final\w*|finished|done|fertig|latest|new|neu|old|alt|v\d+|version\s?\d*|attempt\s?\d*|try\s?\d*|versuch\s?\d*"
    r"|my|mein\w*|our|copy|kopie|copy of|solutions?|submissions?|abgabe|lösung|answers?|code|script|notebook|work"
    r"|fixed|corrected|updated|late|draft|backup|test|homework|hw|assignment|exercises?|lab|作业|实验|练习|最终版?|最终稿"
    r"|答案|副本|提交|\(\d{1,2}\)|\d{1,2})",
    re.IGNORECASE,
)
_NUMBERED = (
    re.compile(r"\((\d{1,2})\)$"),
    re.compile(r"(?:^|[\s_.-])(?:v|version|attempt|versuch|try)[\s_-]?(\d{1,2})(?!\d)", re.IGNORECASE),
    re.compile(r"-(\d{1,2})$"),  # what Canvas puts behind a name
)
_ATTEMPT = re.compile(r"(?:\s*\(\d{1,2}\)|-(?:v|version)?\d{1,2}|-final\d*)+$", re.IGNORECASE)
_FOLDER = re.compile(r"(?:attempt|versuch|try|version|v)[\s_-]?(\d{1,2})", re.IGNORECASE)


class Said(NamedTuple):
    """``person`` is empty where the name tells nobody; ``others`` are further ways to read the person."""

    person: str
    others: tuple[str, ...] = ()
    names_task: bool = False


def split_suffix(name: str) -> tuple[str, str]:
    """(stem, suffix); ``.tar.gz`` is one suffix."""
    lower = name.lower()
    double = next((s for s in (".tar.gz", ".tar.bz2", ".tar.xz") if lower.endswith(s)), "")
    cut = len(name) - len(double) if double else len(posixpath.splitext(name)[0])
    return name[:cut], name[cut:]


def is_source(name: str) -> bool:
    """Whether it is a module or a notebook by its name."""
    return name.lower().endswith(SOURCES)


def is_container(name: str) -> bool:
    """Whether it is an archive by its name, of a kind that is opened or not."""
    return name.lower().endswith(ARCHIVES)


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
    words = {
        word for task in tasks if task[4:6].isdigit() and int(task[4:6]) == int(found[1]) for word in task.split("_")
    }
    end = found.end()
    while more := re.match(r"[\s_-]*([A-Za-z]+)(?![A-Za-z])", stem[end:]):
        if more[1].lower() not in words:
            break
        end += more.end()
    return found.start(), end


def read_name(name: str, tasks: Sequence[str] = ()) -> Said:
    """Who handed in a file that lies alone: what stands before the task, else behind it, else the whole name."""
    stem, suffix = split_suffix(name)
    if suffix.lower() in (".txt", ".json") and split_suffix(stem)[1].lower() in SOURCES:
        stem = split_suffix(stem)[0]  # what an editor or a browser made of a module
    span = task_span(stem, tasks)
    if span is None:
        return Said(*_person(stem))
    before, behind = _person(stem[: span[0]]), _person(stem[span[1] :])
    first, second = (before, behind) if before[0] else (behind, ("", ()))
    both = (f"{first[0]}_{second[0]}", second[0]) if second[0] else ()
    return Said(first[0], (*first[1], *both), True)


def _person(text: str) -> tuple[str, tuple[str, ...]]:
    """The words that may be a name, and the text with all its words where some were left out."""
    whole = _DATE.sub(" ", _COPY_OF.sub("", text.strip())).strip(_SEPARATORS)
    bare = _ATTEMPT.sub("", _TITLE.sub(" ", whole)).strip(_SEPARATORS)
    words = [word for word in re.split(r"([\s_]+)", bare) if word]
    while words and (_noise(words[0]) or not words[0].strip(_SEPARATORS)):
        words.pop(0)
    while words and (_noise(words[-1]) or not words[-1].strip(_SEPARATORS)):
        words.pop()
    person = "".join(words).strip(_SEPARATORS)
    if _noise(person):
        return "", ()
    number = re.search(r"\d{4,}", person)
    apart = (number[0], person.replace(number[0], "").strip(_SEPARATORS)) if number else ()  # and the name beside it
    return person, tuple(way for way in (whole, *apart) if way and way != person)


def _noise(word: str) -> bool:
    return bool(_NOISE.fullmatch(word.strip(_SEPARATORS)))


def same_words(names: Iterable[str]) -> bool:
    """Whether every one of these folder or file names is no person's: ``src``, ``v2``, ``homework``."""
    return all(not _person(split_suffix(name)[0])[0] for name in names)


def attempt_number(name: str, tasks: Sequence[str] = ()) -> int:
    """The attempt that a platform or a person wrote behind a file's name, or as the name of its folder; else 0."""
    *folders, base = name.split("/")
    tail = _tail(split_suffix(base)[0], tasks)
    for pattern in _NUMBERED:
        if found := pattern.search(tail):
            return int(found[1])
    numbers = [int(found[1]) for folder in folders if (found := _FOLDER.fullmatch(folder.strip()))]
    return numbers[-1] if numbers else 0


def _tail(stem: str, tasks: Sequence[str]) -> str:
    """What stands behind the task or the title of the homework, dates left out: only that can be an attempt."""
    span = task_span(stem, tasks)
    tail = stem[span[1] :] if span else _TITLE.sub("", stem)
    return _DATE.sub("", tail)


def without_attempt(name: str, tasks: Sequence[str] = ()) -> str:
    """The name without the number that Canvas put behind it, so that ``util-1.py`` can be imported as ``util``."""
    stem, suffix = split_suffix(name)
    tail = _tail(stem, tasks)
    found = re.search(r"-\d{1,2}$", tail)
    return stem[: -len(found[0])] + suffix if found and stem.endswith(found[0]) else name
