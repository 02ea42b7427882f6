"""``list``, ``hint`` and ``reset``: what a learner asks for between two runs. Nothing here imports torch."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import datetime
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from torchgrade.commands.study import names_of, subjects_of
from torchgrade.course import Course, Task
from torchgrade.course_tools.stubs import is_stub, stub_text, translated
from torchgrade.errors import UsageError
from torchgrade.i18n import translate as _
from torchgrade.last_run import last_grade
from torchgrade.manifest import DIFFICULTIES
from torchgrade.model import ExitCode, Outcome
from torchgrade.progress import Reached, load_progress, next_hint, progress_file
from torchgrade.report.board import first_open
from torchgrade.report.feedback_text import points_text, wrap
from torchgrade.report.scoreboard import make_console

_NAME = re.compile(r"\w+")


def list_tasks(options: argparse.Namespace, course: Course) -> int:
    show_list(make_console(), course)
    return int(ExitCode.PASSED)


def show_list(console: Console, course: Course) -> None:
    """Every track with its tasks: title, difficulty, best points so far."""
    progress = load_progress(course.root)
    console.print(Text(_(course.title), style="bold"))
    widest = max((cell_len(_(task.manifest.title)) for task in course.tasks), default=0)
    best = {task: _best(progress.get(task.stem)) for task in course.tasks}
    for track in course.tracks:
        console.print()
        if track.name:
            console.print(Text(f"{track.name}  {_(track.title)}", style="bold"))
            for row in wrap(_(track.about), console.width):
                console.print(Text(row, style="dim"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=min(widest, console.width // 2))
        table.add_column(no_wrap=True, min_width=max(cell_len(_(word)) for word in DIFFICULTIES))
        table.add_column(no_wrap=True, justify="right", min_width=max(map(len, best.values())))
        for task in track.tasks:
            facts = task.manifest
            table.add_row(task.short, _(facts.title), _(facts.difficulty), best[task])
        console.print(table)


def _best(reached: Reached | None) -> str:
    if reached is None or reached.points is None or reached.max_points is None:
        return "-"
    return points_text(reached.points, reached.max_points)


def hint(options: argparse.Namespace, course: Course) -> int:
    """The next hint for the check that fails first, then those for the task; at the end, what was shown once more."""
    task = course.find(options.task)
    hints, console = task.manifest.hints, make_console()
    if options.number is not None and not 1 <= options.number <= len(hints):
        raise UsageError(_("{task} has the hints 1 to {count}").format(task=task.short, count=len(hints)))
    if options.number is not None:
        lines = [hint_line(task, options.number - 1)]
    elif options.seen:
        seen = load_progress(course.root).get(task.stem, Reached()).hints
        lines = [hint_line(task, number) for number in seen] or [_("no hint of this task was shown yet")]
    else:
        lines = more_hints(course, task, failing_last(course, task))
    for row in (row for line in lines for row in wrap(line, console.width)):
        console.print(row, soft_wrap=True)
    return int(ExitCode.PASSED)


def failing_last(course: Course, task: Task) -> Outcome | None:
    """The check that is to be mended by the last grade that was kept."""
    grade = last_grade(course.root, task.stem)
    return first_open(grade) if grade is not None else None


def hint_line(task: Task, number: int) -> str:
    hints = task.manifest.hints
    return f"{_('hint')} {number + 1}/{len(hints)}  {_(hints[number].text)}"


def more_hints(course: Course, task: Task, failing: Outcome | None) -> list[str]:
    """The next hint in lines; all that help now where none is new, or where it cannot be noted which was shown."""
    order = hint_order(task, failing)
    try:
        new = next_hint(course.root, task.stem, order)
        words = _("these are all; a check that fails later may have others")
    except OSError as error:
        new, sentence = None, _("all at once, as nothing can be noted in {place}: {why}")
        words = sentence.format(place=progress_file(course.root).parent, why=error.strerror)
    if new is None:
        return [words, *(hint_line(task, number) for number in order)]
    own = bool(task.manifest.hints[new].checks) and failing is not None
    return [*([_('for "{title}"').format(title=failing.title)] if own and failing else []), hint_line(task, new)]


def hint_order(task: Task, failing: Outcome | None) -> list[int]:
    """The numbers of the hints that help now: those for the check that fails, or that name what it is about, then those
    about the task, and last those that name other functions only. Where nothing fails yet the first is one at least.
    """
    hints = task.manifest.hints
    if failing is None:
        return [number for number, hint in enumerate(hints) if not hint.checks] or [0]
    about, names = subjects_of(task).get(failing.id, ()), _telling(names_of(task))

    def rank(number: int) -> int:
        named = names & set(_NAME.findall(hints[number].text))
        return 0 if failing.id in hints[number].checks or named & set(about) else 2 if named else 1

    helping = [number for number, hint in enumerate(hints) if not hint.checks or failing.id in hint.checks]
    return sorted(helping, key=rank)


def _telling(names: set[str]) -> set[str]:
    """Those that are no words of a sentence, as ``join`` and ``fit`` may be."""
    return {name for name in names if not name.islower() or not name.isalpha()}


def reset(options: argparse.Namespace, course: Course) -> int:
    task = course.find(options.task)
    stub = translated(stub_text(task))
    name = f"exercises/{task.stub.name}"
    if is_stub(task, stub):
        print(_("{name} is the stub already").format(name=name))
        return int(ExitCode.PASSED)
    if not may_replace(task, ask=not options.yes):
        print(_("nothing was changed"))
        return int(ExitCode.NOT_YET)
    tell_kept(put_stub(task, stub))
    print(_("{name} is the stub again").format(name=name))
    return int(ExitCode.PASSED)


def may_replace(task: Task, *, ask: bool) -> bool:
    """Whether the learner's file, where there is one, may be replaced."""
    return not task.stub.exists() or not ask or _agreed(f"exercises/{task.stub.name}")


def put_stub(task: Task, stub: str) -> Path | None:
    """Write the stub; where the file that it replaces is kept, None when there was none."""
    task.stub.parent.mkdir(exist_ok=True)
    kept = None
    if task.stub.exists():
        kept = task.stub.with_name(f"{task.stem}.{datetime.now():%Y%m%d-%H%M%S}.py.bak")
        task.stub.replace(kept)
    task.stub.write_text(stub, encoding="utf-8")
    return kept


def tell_kept(kept: Path | None) -> None:
    if kept is not None:
        print(_("your file is kept as {name}").format(name=f"exercises/{kept.name}"))


def _agreed(name: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            _("{name} would be replaced, which asks first; say --yes to do it without asking").format(name=name)
        )
    return input(_("replace {name} by the stub? [y/N] ").format(name=name)).strip().lower() in ("y", "yes")
