"""Who handed in a file, by its name: the person before or behind the task. Pure.

The task's own number and words, words such as ``final`` or ``Kopie``, and dates are never a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from torchgrade.handin.kinds import split_suffix
from torchgrade.handin.naming import DATE, TITLE, task_span

_SEPARATORS = " \t_.,-–"  # between the words of a name

_COPY_OF = re.compile(
    r"^(?:copy of|kopie von|copie de|copia de|副本)[\s_-]*|[\s_-]*(?:copy(?: of)?|kopie(?: von)?|cop[iy]e? de|副本)$",
    re.I,
)
_NOISE = re.compile(
    r"(?:final\w*|finished|done|fertig|latest|new|neu|old|alt|v\d+|version\s?\d*|attempt\s?\d*|try\s?\d*|versuch\s?\d*"
    r"|my|mein\w*|our|copy|kopie|copy of|solutions?|submissions?|abgabe|lösung|answers?|code|script|notebook|work"
    r"|fixed|corrected|updated|late|draft|backup|test|homework|hw|assignment|exercises?|lab|作业|实验|练习|最终版?|最终稿"
    r"|答案|副本|提交|\(\d{1,2}\)|\d{1,2})",
    re.IGNORECASE,
)
_ATTEMPT = re.compile(r"(?:\s*\(\d{1,2}\)|-(?:v|version)?\d{1,2}|-final\d*)+$", re.IGNORECASE)


class Said(NamedTuple):
    """``person`` is empty where the name tells nobody; ``others`` are further ways to read the person."""

    person: str
    others: tuple[str, ...] = ()
    names_task: bool = False


def read_name(name: str, tasks: Sequence[str] = ()) -> Said:
    """Who handed in a file that lies alone: what stands before the task, else behind it, else the whole name."""
    stem = split_suffix(name)[0]
    span = task_span(stem, tasks)
    if span is None:
        return Said(*_person(stem))
    before, behind = _person(stem[: span[0]]), _person(stem[span[1] :])
    first, second = (before, behind) if before[0] else (behind, ("", ()))
    both = (f"{first[0]}_{second[0]}", second[0]) if second[0] else ()
    return Said(first[0], (*first[1], *both), True)


def _person(text: str) -> tuple[str, tuple[str, ...]]:
    """The words that may be a name, and the text with all its words where some were left out."""
    whole = DATE.sub(" ", _COPY_OF.sub("", text.strip())).strip(_SEPARATORS)
    bare = _ATTEMPT.sub("", TITLE.sub(" ", whole)).strip(_SEPARATORS)
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
