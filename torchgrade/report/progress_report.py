"""How far a learner has come: lines for a terminal, or one page. Functions of the course and the learner's runs."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from torchgrade.course import Course, Task
from torchgrade.history import Story
from torchgrade.i18n import plural
from torchgrade.i18n import translate as _
from torchgrade.report.board import bar
from torchgrade.report.feedback import environment
from torchgrade.report.feedback_text import padded
from torchgrade.suites import points_of, read_suite

WIDTH = 20


@dataclass(frozen=True)
class TaskProgress:
    """A task as far as it was worked on; ``story`` is None where it was not."""

    task: Task
    title: str
    points: float
    max_points: float
    story: Story | None

    @property
    def share(self) -> float:
        return self.points / self.max_points if self.max_points else 0.0


@dataclass(frozen=True)
class TrackProgress:
    """A track with its tasks."""

    title: str
    rows: tuple[TaskProgress, ...]

    @property
    def share(self) -> float:
        possible = sum(row.max_points for row in self.rows)
        return sum(row.points for row in self.rows) / possible if possible else 0.0

    @property
    def solved(self) -> int:
        return sum(row.story is not None and row.story.solved is not None for row in self.rows)


def parts(course: Course, stories: Mapping[str, Story]) -> list[TrackProgress]:
    """The tracks in order of study. A task that was never graded counts with the points of its suite."""
    return [
        TrackProgress(_(track.title), tuple(_row(task, stories.get(task.stem)) for task in track.tasks))
        for track in course.tracks
    ]


def _row(task: Task, story: Story | None) -> TaskProgress:
    title = _(task.manifest.title)
    if story is None:
        return TaskProgress(task, title, 0.0, points_of(task), None)
    return TaskProgress(task, title, story.best, story.max_points, story)


def lines(found: Sequence[TrackProgress], ascii_only: bool = False) -> Iterator[str]:
    """The tracks as bars, below each the tasks that were begun."""
    for part in found:
        drawn = bar(part.share, 1.0, ascii_only, WIDTH)
        count = _("{solved} of {all}").format(solved=part.solved, all=len(part.rows))
        yield f"{drawn}  {part.share:>4.0%}  {part.title}  ({count})"
        for row in part.rows:
            if row.story is not None:
                yield f"{'':{WIDTH + 8}}{row.task.short}  {row.points:g}/{row.max_points:g}  {told(row.story)}"
    stories = [row.story for part in found for row in part.rows if row.story is not None]
    if not stories:
        yield _("nothing was graded yet; python grade.py begins")
    else:
        spent = sum((story.spent for story in stories), timedelta())
        words = _("tasks solved: {solved}; runs: {runs}; time at work, guessed from the runs: {spent}")
        solved = sum(story.solved is not None for story in stories)
        yield words.format(solved=solved, runs=sum(story.runs for story in stories), spent=duration(spent))


def told(story: Story) -> str:
    """When it was solved, how often it was graded, how long it took."""
    words = _("solved {day}") if story.solved else _("begun {day}")
    day = local(story.solved or story.begun)
    return f"{words.format(day=day)}, {plural('{count} run', '{count} runs', story.runs)}, {duration(story.spent)}"


def check_lines(row: TaskProgress) -> Iterator[str]:
    """Of one task: how often each check was tried, and when it passed first."""
    titles = {check.name: check.title for check in read_suite(row.task).checks}
    if row.story is None:
        yield _("{task} was not graded yet").format(task=row.task.short)
        return
    yield f"{row.task.short}  {row.title}  {told(row.story)}"
    for name, tries in row.story.tries.items():
        when = local(tries.passed) if tries.passed else _("not yet")
        yield f"  {tries.count:>3}  {padded(when, 16)}  {_(titles.get(name, name))}"


def page(course: Course, found: Sequence[TrackProgress], pictures: Sequence[Path], now: datetime) -> str:
    """One HTML page that needs nothing else; ``pictures`` are PNG files, which it holds."""
    images = [(path.stem.replace("_", " "), base64.b64encode(path.read_bytes()).decode()) for path in pictures]
    titles = {
        row.task.stem: {check.name: _(check.title) for check in read_suite(row.task).checks}
        for part in found
        for row in part.rows
        if row.story is not None
    }
    template = environment().get_template("progress.html.j2")
    return template.render(
        course=_(course.title), parts=found, pictures=images, titles=titles, told=told, local=local, now=local(now)
    )


def local(when: datetime) -> str:
    return f"{when.astimezone():%Y-%m-%d %H:%M}"


def duration(spent: timedelta) -> str:
    minutes = round(spent.total_seconds() / 60)
    return _("{hours} h {minutes:02d} min").format(hours=minutes // 60, minutes=minutes % 60)
