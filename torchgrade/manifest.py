"""``task.yaml``: the facts about a task that code cannot state. Parsing is pure; reading is ``course``'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import yaml

from torchgrade.errors import CourseError
from torchgrade.i18n import noop

DIFFICULTIES = (noop("low"), noop("middle"), noop("high"))


@dataclass(frozen=True)
class Hint:
    """A text for who is stuck. ``checks``: the names of those that it helps with; none where it is about the task."""

    text: str
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """One task's facts. ``builds_on`` are the stems of tasks whose work this one takes for granted.

    ``check_seconds`` is the default limit of a check, ``memory_mb`` that of the worker. ``preload`` are modules that
    nearly every submission imports: they are imported once, before the first worker is forked.
    """

    title: str
    summary: str
    hints: tuple[Hint, ...]
    builds_on: tuple[str, ...] = ()
    difficulty: str = "middle"
    check_seconds: float = 10.0
    memory_mb: int = 2048
    preload: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


def parse_manifest(text: str, name: str) -> Manifest:
    """The manifest in ``text``; CourseError names ``name``, the key and the repair."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CourseError(f"{name} is not YAML: {error}") from None
    if not isinstance(data, dict):
        raise CourseError(f"{name} must be a mapping with title, summary and hints")
    known = {field.name for field in fields(Manifest)}
    for key in data:
        if key not in known:
            raise CourseError(f"{name}: unknown key {key!r}; known are {', '.join(sorted(known))}")
    for key in ("title", "summary"):
        if not isinstance(data.get(key), str) or not data[key].strip():
            raise CourseError(f"{name}: {key} must be a sentence")
    values = {**data, **{key: _texts(data, key, name) for key in ("preload", "data", "builds_on")}}
    values["hints"] = _hints(data, name)
    if not values["hints"]:
        raise CourseError(f"{name}: hints must hold at least one sentence")
    if values.get("difficulty", "middle") not in DIFFICULTIES:
        raise CourseError(f"{name}: difficulty must be one of {', '.join(DIFFICULTIES)}")
    for key in ("check_seconds", "memory_mb"):
        if key in values and (not isinstance(values[key], (int, float)) or values[key] <= 0):
            raise CourseError(f"{name}: {key} must be a positive number")
    return Manifest(**values)


def _texts(data: Mapping[str, Any], key: str, name: str) -> tuple[str, ...]:
    items = data.get(key, [])
    if not isinstance(items, list) or any(not isinstance(item, str) or not item.strip() for item in items):
        raise CourseError(f"{name}: {key} must be a list of non-blank texts")
    return tuple(item.strip() for item in items)


def _hints(data: Mapping[str, Any], name: str) -> tuple[Hint, ...]:
    """Each is a text, or a mapping with ``hint`` (the text) and ``for`` (the checks that it helps with)."""
    items = data.get("hints", [])
    found = []
    for item in items if isinstance(items, list) else []:
        entry = item if isinstance(item, dict) else {"hint": item, "for": []}
        if set(entry) != {"hint", "for"} or not isinstance(entry["hint"], str) or not entry["hint"].strip():
            raise CourseError(f"{name}: a hint is a text, or a mapping with hint (a text) and for (a list of checks)")
        found.append(Hint(entry["hint"].strip(), _texts(entry, "for", f"{name}: hints")))
    return tuple(found)
