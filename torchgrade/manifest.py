"""``task.yaml``: the facts about a task that code cannot state. Parsing is pure; reading is ``course``'s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import yaml

from torchgrade.errors import CourseError

DIFFICULTIES = ("low", "middle", "high")


@dataclass(frozen=True)
class Manifest:
    """One task's facts. ``builds_on`` are the stems of tasks whose work this one takes for granted.

    ``check_seconds`` is the default limit of a check, ``memory_mb`` that of the worker. ``preload`` are modules that
    nearly every submission imports: they are imported once, before the first worker is forked.
    """

    title: str
    summary: str
    hints: tuple[str, ...]
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
    values = {**data, **{key: _texts(data, key, name) for key in ("hints", "preload", "data", "builds_on")}}
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
