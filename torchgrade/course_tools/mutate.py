"""``verify --mutate``: small edits of the reference solution, made by the machine, to find checks that are missing.

A mutant that some check fails is killed; a survivor is either a missing check or an equivalent program, and then
``graders/TASK/equivalent.yaml`` says why, by the mutant's name.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from torchgrade.course import Task
from torchgrade.course_tools.edits import edits
from torchgrade.course_tools.variants import read_entries, solution_text
from torchgrade.errors import CourseError
from torchgrade.grading.events import Graded
from torchgrade.grading.job import Options
from torchgrade.grading.pool import Pool
from torchgrade.model import Status, TaskGrade
from torchgrade.submission import Source


@dataclass(frozen=True)
class Score:
    """What became of a task's mutants; ``survivors`` pairs a name with the reason given for it, if any."""

    task: str
    killed: int
    survivors: tuple[tuple[str, str | None], ...]

    @property
    def total(self) -> int:
        return self.killed + len(self.survivors)

    @property
    def share(self) -> float:
        """Killed, of those that are not known to be equivalent."""
        unexplained = sum(reason is None for _, reason in self.survivors)
        return self.killed / max(1, self.killed + unexplained)


def equivalents(task: Task) -> dict[str, str]:
    """By name of the mutant, why and on which inputs it is the same program; CourseError where that is not said."""
    found = {}
    for name, entry in read_entries(task, "equivalent.yaml").items():
        if not isinstance(entry, dict) or set(entry) != {"inputs", "why"} or not all(entry.values()):
            raise CourseError(f"{task.stem}/equivalent.yaml: {name!r} says for which inputs, in words, and why")
        found[name] = f"{entry['inputs']}: {entry['why']}"
    return found


def mutate(pool: Pool, task: Task, options: Options, limit: int | None, only: str = "", seed: int = 0) -> Score:
    """Grade up to ``limit`` mutants of the task's solution, drawn evenly with ``seed`` of those named like ``only``."""
    found = [edit for edit in edits(solution_text(task)) if only in edit.name]
    if only and not found:
        raise CourseError(f"{task.stem}: no mutant has {only!r} in its name")
    if limit is not None and len(found) > limit:
        found = sorted(random.Random(seed).sample(found, limit), key=lambda edit: edit.line)
    name = f"{task.stem}.py"
    jobs = [
        options.job(
            number,
            task.stem,
            Source(name, {name: edit.text.encode()}),
            memory_mb=task.manifest.memory_mb,
            first_failure=True,
        )
        for number, edit in enumerate(found)
    ]
    alive = set(range(len(found)))
    for event in pool.events(jobs):
        if isinstance(event, Graded) and not _survives(event.grade):
            alive.discard(event.job)
    reasons = equivalents(task)
    survivors = tuple((found[number].name, reasons.get(found[number].name)) for number in sorted(alive))
    return Score(task.stem, len(found) - len(alive), survivors)


def _survives(grade: TaskGrade) -> bool:
    return all(outcome.status is Status.PASSED for outcome in grade.checks)
