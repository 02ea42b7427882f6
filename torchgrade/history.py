"""Every grading of a learner's own work, a line each in ``.torchgrade/history.jsonl``, and what they tell.

It stays on the learner's machine. A run is told with the tasks that were graded in it, not with what was known before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from torchgrade.model import Status, TaskGrade

PAUSE = timedelta(minutes=20)  # between two runs; after a longer one, somebody came back
FIRST_LOOK = timedelta(minutes=2)  # for a run that follows a pause: work went before it
RAN = (Status.PASSED, Status.HELD, Status.FAILED, Status.CRASHED, Status.TIMED_OUT, Status.OUT_OF_MEMORY)


@dataclass(frozen=True)
class PastRun:
    """One task graded once. ``checks``: what became of each, by its id."""

    when: datetime
    task: str
    points: float
    max_points: float
    checks: dict[str, Status]

    @property
    def complete(self) -> bool:
        return bool(self.checks) and all(status is Status.PASSED for status in self.checks.values())


@dataclass(frozen=True)
class Tries:
    """How often a check was run up to its first pass (or until now), and when that was."""

    count: int
    passed: datetime | None


@dataclass(frozen=True)
class Story:
    """What the runs of one task tell. ``spent``: a guess, from the times between runs that followed one another."""

    runs: int
    best: float
    max_points: float
    begun: datetime
    solved: datetime | None
    spent: timedelta
    tries: dict[str, Tries]


def history_file(root: Path) -> Path:
    return root / ".torchgrade" / "history.jsonl"


def append_runs(root: Path, grades: Iterable[TaskGrade], when: datetime | None = None) -> None:
    """OSError where that cannot be written."""
    now = (when or datetime.now(timezone.utc)).isoformat(timespec="seconds")
    lines = []
    for grade in grades:
        checks = {check.id: str(check.status) for check in grade.checks}
        entry = {"when": now, "task": grade.task, "points": grade.points, "of": grade.max_points, "checks": checks}
        lines.append(json.dumps(entry) + "\n")
    place = history_file(root)
    place.parent.mkdir(exist_ok=True)
    with place.open("a", encoding="utf-8") as file:
        file.write("".join(lines))


def load_history(root: Path) -> list[PastRun]:
    """Oldest first; a line that cannot be read (a full disk, an editor) is passed over."""
    try:
        lines = history_file(root).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    runs = [run for line in lines if (run := _run(line)) is not None]
    return sorted(runs, key=lambda run: run.when)


def _run(line: str) -> PastRun | None:
    try:
        entry = json.loads(line)
        checks = {str(name): Status(status) for name, status in entry["checks"].items()}
        when = datetime.fromisoformat(entry["when"])
        return PastRun(when, str(entry["task"]), float(entry["points"]), float(entry["of"]), checks)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def stories(runs: Sequence[PastRun]) -> dict[str, Story]:
    """By task. The time before a run is spent on that run's task."""
    spent: dict[str, timedelta] = {}
    for number, run in enumerate(runs):
        gap = run.when - runs[number - 1].when if number else PAUSE
        spent[run.task] = spent.get(run.task, timedelta()) + (gap if gap < PAUSE else FIRST_LOOK)
    return {task: _story([run for run in runs if run.task == task], spent[task]) for task in spent}


def _story(runs: Sequence[PastRun], spent: timedelta) -> Story:
    best = max(runs, key=lambda run: run.points)
    solved = next((run.when for run in runs if run.complete), None)
    names = dict.fromkeys(name for run in runs for name in run.checks)
    tries = {name: _tries(runs, name) for name in names}
    return Story(len(runs), best.points, best.max_points, runs[0].when, solved, spent, tries)


def _tries(runs: Sequence[PastRun], name: str) -> Tries:
    count = 0
    for run in runs:
        status = run.checks.get(name)
        count += status in RAN
        if status is Status.PASSED:
            return Tries(count, run.when)
    return Tries(count, None)
