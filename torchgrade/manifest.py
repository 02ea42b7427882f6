"""``task.yaml``: the facts about a task that code cannot state. Parsing is pure; reading is ``course``'s."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from torchgrade.errors import CourseError
from torchgrade.i18n import noop
from torchgrade.yaml_text import read_yaml

DIFFICULTIES = (noop("low"), noop("middle"), noop("high"))


@dataclass(frozen=True)
class Hint:
    """A text for who is stuck. ``checks``: the names of those that it helps with; none where it is about the task."""

    text: str
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What people mark. The ``rubric`` are (title, points) of its items; the points of the question are their sum."""

    name: str
    title: str
    points: float
    rubric: tuple[tuple[str, float], ...] = ()


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
    manual: tuple[Question, ...] = ()


def parse_manifest(text: str, name: str) -> Manifest:
    """The manifest in ``text``; CourseError names ``name``, the key and the repair."""
    data = read_yaml(text, name)
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
    values["manual"] = _questions(data, name)
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


def _questions(data: Mapping[str, Any], name: str) -> tuple[Question, ...]:
    """Each name leads to a title and points, or to a rubric that maps items to points."""
    entries = data.get("manual", {})
    if not isinstance(entries, dict):
        raise CourseError(f"{name}: manual must map names of questions to a title and points")
    return tuple(_question(str(key), entry, f"{name}: manual.{key}") for key, entry in entries.items())


def _question(key: str, entry: Any, place: str) -> Question:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", key) or key.startswith("test_"):
        raise CourseError(f"{place} needs a name of small letters that does not begin like a check's")
    if not isinstance(entry, dict) or not {"title"} <= set(entry) <= {"title", "points", "rubric"}:
        raise CourseError(f"{place} must hold a title, and points or a rubric, and nothing else")
    if not isinstance(entry["title"], str) or not entry["title"].strip():
        raise CourseError(f"{place}.title must be a sentence")
    rubric = entry.get("rubric", {})
    if not isinstance(rubric, dict) or any(not isinstance(title, str) or "/" in title for title in rubric):
        raise CourseError(f"{place}.rubric must map its items (texts without a slash) to points")
    for points in [*rubric.values(), *([entry["points"]] if "points" in entry else [])]:
        if not isinstance(points, (int, float)) or isinstance(points, bool) or points <= 0:
            raise CourseError(f"{place}: points must be a positive number, not {points!r}")
    total = sum(rubric.values()) if rubric else entry.get("points")
    if total is None:
        raise CourseError(f"{place} needs points, or a rubric that has them")
    if "points" in entry and entry["points"] != total:
        raise CourseError(f"{place} says {entry['points']:g} points, and its rubric adds up to {total:g}")
    items = tuple((title.strip(), float(points)) for title, points in rubric.items())
    return Question(key, entry["title"].strip(), float(total), items)
