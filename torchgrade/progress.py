"""What a learner has reached: best points and hints shown, in ``.torchgrade/progress.json`` of the course."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torchgrade.model import Result


@dataclass(frozen=True)
class Reached:
    """Best points so far, out of how many, and how many hints were shown."""

    points: float | None = None
    max_points: float | None = None
    hints: int = 0


def load_progress(root: Path) -> dict[str, Reached]:
    """By task; empty when there is no file or when it cannot be read."""
    try:
        data = json.loads(progress_file(root).read_text(encoding="utf-8"))
        return {task: Reached(**values) for task, values in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def record_result(root: Path, result: Result) -> None:
    """Keep the best grade of each task; OSError where that cannot be written."""
    progress = load_progress(root)
    for task in result.tasks:
        old = progress.get(task.task, Reached())
        if old.points is None or task.points >= old.points:
            progress[task.task] = replace(old, points=task.points, max_points=task.max_points)
    _save(root, progress)


def next_hint(root: Path, task: str, available: int) -> int:
    """The number of the hint to show now (from 0); one more each time, the last one again at the end.

    OSError where what was shown cannot be noted.
    """
    progress = load_progress(root)
    old = progress.get(task, Reached())
    progress[task] = replace(old, hints=min(old.hints + 1, available))
    _save(root, progress)
    return min(old.hints, available - 1)


def progress_file(root: Path) -> Path:
    return root / ".torchgrade" / "progress.json"


def _save(root: Path, progress: dict[str, Reached]) -> None:
    path = progress_file(root)
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps({task: asdict(item) for task, item in sorted(progress.items())}, indent=1))
    draft.replace(path)
