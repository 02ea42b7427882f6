"""What a learner has reached: best points, hints shown, in ``.torchgrade/progress.json`` of the course."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torchgrade.history import append_runs
from torchgrade.model import TaskGrade


@dataclass(frozen=True)
class Reached:
    """Best points so far, out of how many, and the numbers (from 0) of the hints that were shown."""

    points: float | None = None
    max_points: float | None = None
    hints: tuple[int, ...] = ()


def load_progress(root: Path) -> dict[str, Reached]:
    """By task; empty when there is no file or when it cannot be read."""
    try:
        data = json.loads(progress_file(root).read_text(encoding="utf-8"))
        return {task: _reached(values) for task, values in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def record_grades(root: Path, grades: Sequence[TaskGrade]) -> None:
    """Keep the best grade of each task, and that it was graded now; OSError where that cannot be written."""
    append_runs(root, grades)
    progress = load_progress(root)
    for task in grades:
        old = progress.get(task.task, Reached())
        if old.points is None or task.points >= old.points:
            progress[task.task] = replace(old, points=task.points, max_points=task.max_points)
    _save(root, progress)


def next_hint(root: Path, task: str, order: Sequence[int]) -> int | None:
    """The first hint of ``order`` that was not shown yet, which then was; None when all were.

    OSError where what was shown cannot be noted.
    """
    progress = load_progress(root)
    old = progress.get(task, Reached())
    new = next((number for number in order if number not in old.hints), None)
    if new is not None:
        progress[task] = replace(old, hints=(*old.hints, new))
        _save(root, progress)
    return new


def progress_file(root: Path) -> Path:
    return root / ".torchgrade" / "progress.json"


def _reached(values: dict[str, Any]) -> Reached:
    """An earlier version kept how many hints were shown."""
    hints = values.get("hints", ())
    return Reached(**{**values, "hints": tuple(range(hints) if isinstance(hints, int) else hints)})


def _save(root: Path, progress: dict[str, Reached]) -> None:
    path = progress_file(root)
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({task: asdict(item) for task, item in sorted(progress.items())}, indent=1))
    draft.replace(path)
