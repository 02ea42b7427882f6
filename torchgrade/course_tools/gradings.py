"""Gradings of wrong and other submissions that a proof may take from an earlier one, in ``.torchgrade/gradings``.

A proof that finds a slip in one mutant is made again when the slip is mended, and one that was stopped goes on where it
stopped: what has been graded is told from here, as long as nothing has changed that a grade depends on.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

from torchgrade.course import Task
from torchgrade.grading.job import Job
from torchgrade.last_run import OF_THE_MACHINE, basis
from torchgrade.model import TaskGrade, as_json

AIDS = ("id", "source", "watched", "memory_mb")  # no part of what a verdict depends on, or hashed by itself


class KeptGradings:
    """Those of one task: a line of JSON for each, written at once. ``fresh``: none of before is known."""

    def __init__(self, task: Task, *, fresh: bool) -> None:
        self._grader = task.grader_hash
        self._place = task.root / ".torchgrade" / "gradings" / f"{task.stem}.jsonl"
        self._known = {} if fresh else _read(self._place)
        self._asked: dict[str, TaskGrade] = {}

    def of(self, job: Job) -> TaskGrade | None:
        """The grade of such a job, where one is known."""
        found = self._known.get(self._basis(job))
        if found is not None:
            self._asked[self._basis(job)] = found
        return found

    def keep(self, job: Job, grade: TaskGrade) -> None:
        """Note the grade of a job; what the machine may have had a part in is not kept. Where nothing can be written,
        nothing is."""
        if any(check.status in OF_THE_MACHINE for check in grade.checks):
            return
        self._asked[self._basis(job)] = grade
        with contextlib.suppress(OSError):
            self._place.parent.mkdir(parents=True, exist_ok=True)
            with self._place.open("a", encoding="utf-8") as file:
                file.write(_line(self._basis(job), grade))

    def forget_others(self) -> None:
        """What was neither asked for nor kept since the start does not stay."""
        with contextlib.suppress(OSError):
            draft = self._place.with_suffix(".new")
            draft.write_text("".join(_line(*item) for item in self._asked.items()), encoding="utf-8")
            draft.replace(self._place)

    def _basis(self, job: Job) -> str:
        options = {name: value for name, value in asdict(job).items() if name not in AIDS}
        return basis(options, job.source.hash, self._grader)


def _line(key: str, grade: TaskGrade) -> str:
    return json.dumps({"basis": key, "grade": as_json(grade)}) + "\n"


def _read(place: Path) -> dict[str, TaskGrade]:
    """By basis. A line that was cut, or that another version wrote, is none."""
    known = {}
    with contextlib.suppress(OSError):
        for line in place.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
                data = json.loads(line)
                known[str(data["basis"])] = TaskGrade.from_json(data["grade"])
    return known
