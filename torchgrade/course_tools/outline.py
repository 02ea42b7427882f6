"""The course at a glance: what builds on what, and the tables of tasks that a page shows."""

from __future__ import annotations

from collections.abc import Iterator

from torchgrade.course import Course
from torchgrade.i18n import translate as _
from torchgrade.model import short_name


def order_problems(course: Course) -> Iterator[str]:
    """One line for each task that builds on what its learner has not met yet."""
    known: set[str] = set()
    stems = {task.stem for task in course.tasks}
    for task in course.tasks:
        for other in task.manifest.builds_on:
            if other not in stems:
                yield f"{task.stem}: builds_on names {other}, which is no task of course.yaml"
            elif other not in known:
                yield f"{task.stem}: builds on {other}, which does not come before it in course.yaml"
        known.add(task.stem)


def task_tables(course: Course) -> str:
    """Each track as a heading, its sentence, and a table of its tasks, in Markdown."""
    parts = []
    for track in course.tracks:
        heads = _("task"), _("title"), _("what you do"), _("builds on")
        rows = [f"| {' | '.join(heads)} |", "|---|---|---|---|"]
        for task in track.tasks:
            before = ", ".join(_number(other) for other in task.manifest.builds_on)
            facts = task.manifest
            rows.append(f"| {_number(task.stem)} | {_(facts.title)} | {_(facts.summary)} | {before} |")
        head = f"### {_(track.title)}\n\n{_(track.about)} `python grade.py {track.name}`\n\n" if track.name else ""
        parts.append(head + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _number(stem: str) -> str:
    return short_name(stem).removeprefix("task")
