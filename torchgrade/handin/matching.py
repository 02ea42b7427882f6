"""Which task a file answers: by its name, else by the names it defines. Pure; nothing is parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_DEFINITION = re.compile(rb"(?:^|[\"\n])[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_NUMBER = re.compile(r"task[\s_-]?(\d{1,2})(?!\d)", re.IGNORECASE)
_SCANNED = 4 << 20
ENOUGH = 0.5  # of a task's names; fewer are more likely a helper module


class Match(NamedTuple):
    """``task`` is None where no task fits; ``how`` is a phrase for the report."""

    task: str | None
    how: str


def by_name(name: str, tasks: Sequence[str]) -> str | None:
    """The task whose stem, or whose number behind the word ``task``, is in a file's name."""
    base = name.rsplit("/", 1)[-1].lower()
    whole = [task for task in tasks if task in base]
    if len(whole) == 1:
        return whole[0]
    numbers = {int(number) for number in _NUMBER.findall(base)}
    found = [task for task in tasks if any(task.startswith(f"task{number:02d}_") for number in numbers)]
    return found[0] if len(found) == 1 and len(numbers) == 1 else None


def definitions(data: bytes) -> set[str]:
    """The names behind ``def`` and ``class`` in the text of a module or a notebook, by plain search."""
    return {name.decode() for name in _DEFINITION.findall(data[:_SCANNED].replace(b"\\n", b"\n"))}


def by_content(found: set[str], wanted: Mapping[str, frozenset[str]]) -> str | None:
    """The task of which most names are defined: at least half of them, and more than of any other task."""
    shares = {task: len(names & found) / len(names) for task, names in wanted.items() if names}
    best = max(shares.values(), default=0.0)
    holders = [task for task, share in shares.items() if share == best]
    return holders[0] if best >= ENOUGH and len(holders) == 1 else None


def match(name: str, data: bytes, wanted: Mapping[str, frozenset[str]]) -> Match:
    """Name first, content second. ``wanted`` maps each task to the names that a learner writes in it."""
    tasks = list(wanted)
    named = by_name(name, tasks)
    if named:
        return Match(named, "its name")
    known = by_content(definitions(data), wanted)
    if known:
        return Match(known, "what it defines")
    return Match(None, "neither its name nor what it defines fits a task")
