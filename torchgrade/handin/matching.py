"""Which tasks a file answers: by its name, else by the names it defines. Pure; nothing is parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torchgrade.handin.kinds import split_suffix

_DEFINITION = re.compile(rb"(?:^|[\"\n])[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_NUMBER = re.compile(r"(?:task|任务)[\s_-]*(\d{1,2})(?!\d)", re.IGNORECASE)
_SCANNED = 4 << 20
ENOUGH = 0.5  # of a task's names; fewer are more likely a helper module

BY_NAME, BY_CONTENT = "its name", "what it defines"
NEITHER = "neither its name nor what it defines fits a task"


def by_name(name: str, tasks: Iterable[str]) -> str | None:
    """The task whose stem, or whose number behind the word ``task``, is in a file's name."""
    base = split_suffix(name.rsplit("/", 1)[-1])[0].lower()
    whole = [task for task in tasks if task in base]
    if len(whole) == 1:
        return whole[0]
    numbers = {int(number) for number in _NUMBER.findall(base)}
    found = [task for task in tasks if any(task.startswith(f"task{number:02d}_") for number in numbers)]
    return found[0] if len(found) == 1 and len(numbers) == 1 else None


def definitions(data: bytes) -> set[str]:
    """The names behind ``def`` and ``class`` in the text of a module or a notebook, by plain search."""
    text = data[:_SCANNED].replace(b"\\n", b"\n").replace(b"\0", b"").replace(b"\r", b"\n")
    return {name.decode() for name in _DEFINITION.findall(text)}


def by_content(found: set[str], wanted: Mapping[str, frozenset[str]], named: str | None = None) -> tuple[str, ...]:
    """Every task of which at least half of the names are defined; names that tasks share tell nothing.

    One notebook may answer a whole homework. A task that has no name of its own is told by those that it shares, but
    not where the file's name already tells a task (``named``): a file for one of two such tasks is none for the other.
    """
    fitting = []
    for task, names in wanted.items():
        shared: frozenset[str] = frozenset().union(*(other for name, other in wanted.items() if name != task))
        own = names - shared or (names if named in (None, task) else frozenset())
        if own and len(own & found) >= ENOUGH * len(own):
            fitting.append(task)
    return tuple(fitting)
