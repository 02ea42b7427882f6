"""The scoreboard: live progress, a table, the failures, and one line that says what to do next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from torchgrade.course import Track
from torchgrade.grading.events import CheckBegan, Event, Fault, Graded, Retried, Started, StepsTaken
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report.feedback_text import WIDTH, WORDS, details, outcome_lines, points_text

STYLES = {
    Status.PASSED: "green",
    Status.HELD: "yellow",
    Status.FAILED: "red",
    Status.CRASHED: "red",
    Status.TIMED_OUT: "red",
    Status.OUT_OF_MEMORY: "red",
    Status.BROKEN: "magenta",
    Status.TODO: "cyan",
    Status.SKIPPED: "dim",
    Status.UNAVAILABLE: "yellow",
}

_WAITING = (Status.PASSED, Status.HELD, Status.SKIPPED)  # another check says what to do next


def make_console(no_color: bool = False, stderr: bool = False) -> Console:
    """80 columns where there is no terminal; NO_COLOR, FORCE_COLOR and TERM=dumb are rich's business."""
    console = Console(stderr=stderr, no_color=no_color or None, highlight=False, markup=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH
    return console


class Progress:
    """Which task, which check, how long: one line while the checks run, nothing once they are done."""

    def __init__(self, console: Console, titles: Sequence[str], quiet: bool = False) -> None:
        self.console = console
        self.titles = titles
        self.started = time.monotonic()
        self.current: dict[int, str] = {}
        self.steps: dict[int, int] = {}
        self.done = 0
        self.live = Live(get_renderable=self._line, console=console, refresh_per_second=8, transient=True)
        animated = console.file.isatty() and not console.is_dumb_terminal  # colour may be forced into a pipe
        self.enabled = not quiet and animated

    def __enter__(self) -> Progress:
        if self.enabled:
            self.live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self.enabled:
            self.live.stop()

    def observe(self, event: Event) -> None:
        if isinstance(event, (Started, Retried)):
            self.current[event.job] = _("loading")
        elif isinstance(event, CheckBegan):
            self.current[event.job] = _(event.title)
            self.steps.pop(event.job, None)
        elif isinstance(event, StepsTaken):
            self.steps[event.job] = event.steps
        elif isinstance(event, (Graded, Fault)):
            self.current.pop(event.job, None)
            self.done += 1

    def _line(self) -> Text:
        elapsed = time.monotonic() - self.started
        parts = []
        for job, title in self.current.items():
            steps = f" ({_('optimiser step')} {self.steps[job]:,})" if job in self.steps else ""
            parts.append(f"{self.titles[job]}: {title}{steps}")
        what = " | ".join(parts) or (_("finishing") if self.done else _("starting"))
        line = f"{self.done}/{len(self.titles)}  {elapsed:4.0f} s  {what}"
        return Text(line[: self.console.width - 1])


def show(
    console: Console,
    result: Result,
    tracks: Sequence[Track] = (),
    quiet: bool = False,
    verbose: bool = False,
    seconds: float = 0.0,
    known: int = 0,
) -> None:
    """Print the finished result, its tasks by track. ``known``: how many of them are told from an earlier run."""
    if not quiet:
        if len(result.tasks) > 1:
            console.print(_task_table(result, tracks))
        elif _all_wait(result.tasks[0]):
            console.print(Text(f"{result.tasks[0].task}  {_(result.tasks[0].title)}", style="bold"))
        else:
            console.print(_check_table(result.tasks[0]))
        for task in result.tasks:
            failures(console, task, verbose, headed=len(result.tasks) > 1)
    total = points_text(result.points, result.max_points)
    share = result.points / result.max_points if result.max_points else 0.0
    console.print(f"{_('points')}  {total}  ({share:.0%}){f'   {seconds:.1f} s' if seconds else ''}")
    if known:
        words = _("told from the record, as nothing has changed: {count} of {all} tasks; --all grades them again")
        console.print(Text(words.format(count=known, all=len(result.tasks)), style="dim"), soft_wrap=True)
    for line in _next_lines(result):
        console.print(line, soft_wrap=True)


def _all_wait(task: TaskGrade) -> bool:
    """Whether one thing went wrong and all checks wait for it: a table of them would only hide it."""
    first, rest = task.checks[0], task.checks[1:]
    return first.status is Status.CRASHED and bool(rest) and all(out.status is Status.SKIPPED for out in rest)


def _task_table(result: Result, tracks: Sequence[Track]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(_("task"), no_wrap=True, min_width=6)
    table.add_column(_("title"), overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column(_("points"), justify="right", no_wrap=True, min_width=9)
    table.add_column(_("status"), no_wrap=True, min_width=11)
    table.add_column(_("next"), overflow="ellipsis", no_wrap=True, ratio=1, style="dim")
    by_task = {task.task: task for task in result.tasks}
    groups = [(track, [by_task.pop(t.stem) for t in track.tasks if t.stem in by_task]) for track in tracks]
    for track, grades in groups:
        if track.name and grades:
            points = points_text(sum(grade.points for grade in grades), sum(grade.max_points for grade in grades))
            table.add_row("", Text(_(track.title), style="bold"), Text(points, style="bold"), "", "")
        for grade in grades:
            table.add_row(*_task_row(grade))
    for grade in by_task.values():
        table.add_row(*_task_row(grade))
    return table


def _task_row(task: TaskGrade) -> tuple[str | Text, ...]:
    first = next((out for out in task.checks if out.status not in _WAITING), None)
    status = Text(_(str(task.status)), style=STYLES[task.status])
    return task.short, _(task.title), points_text(task.points, task.max_points), status, first.title if first else ""


def _check_table(task: TaskGrade) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title=f"{task.task}  {_(task.title)}",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("", no_wrap=True)
    table.add_column(_("check"), overflow="fold", ratio=1)
    devices = list(dict.fromkeys(out.device for out in task.checks))
    for device in devices if len(devices) > 1 else ():
        table.add_column(device, no_wrap=True)
    table.add_column(_("points"), justify="right", no_wrap=True)
    for name in dict.fromkeys(out.id for out in task.checks):
        runs = [out for out in task.checks if out.id == name]
        worst = next((out for out in runs if out.status is not Status.PASSED), runs[0])
        cells = [_cell(next((run for run in runs if run.device == device), None)) for device in devices]
        score = points_text(sum(run.points for run in runs), sum(run.max_points for run in runs))
        table.add_row(_word(worst), runs[0].title, *(cells if len(devices) > 1 else ()), score)
    return table


def _cell(outcome: Outcome | None) -> Text:
    return Text("") if outcome is None else _word(outcome)


def _word(outcome: Outcome) -> Text:
    return Text(_(WORDS[outcome.status]), style=STYLES[outcome.status])


def failures(console: Console, task: TaskGrade, verbose: bool, headed: bool) -> None:
    """Every check that is neither right nor a gap, with what was given, expected and got."""
    calm = (Status.PASSED, Status.HELD, Status.SKIPPED, Status.TODO)

    def says_more(outcome: Outcome) -> bool:
        return headed or bool(details(outcome, console.width))  # one task's checks are in the table above

    shown = [out for out in task.checks if out.status not in calm or (verbose and says_more(out))]
    held = {} if verbose else _held(task)
    if not shown and not held and not task.notes:
        return
    console.print()
    if headed:
        console.print(Text(f"{task.task}  {_(task.title)}", style="bold"))
    for note in task.notes:
        console.print(Text(note, style="yellow"), soft_wrap=True)
    for outcome in shown:
        lines = outcome_lines(outcome, width=min(console.width, 100))
        head, _space, rest = lines[0].partition(" ")
        console.print(Text.assemble((head, STYLES[outcome.status]), f" {rest}"), soft_wrap=True)
        for line in lines[1:]:
            console.print(Text(line), soft_wrap=True)
    for sentence, group in held.items():
        points = sum(outcome.max_points for outcome in group)
        words = _("{count} check, {points:g} points") if len(group) == 1 else _("{count} checks, {points:g} points")
        count = words.format(count=len(group), points=points)
        console.print(Text.assemble((_(WORDS[Status.HELD]), STYLES[Status.HELD]), f"  {count}: {sentence}"))


def _held(task: TaskGrade) -> dict[str, list[Outcome]]:
    """Right answers that earn nothing yet, by the sentence that says why."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in task.checks:
        if outcome.status is Status.HELD:
            groups.setdefault(outcome.message, []).append(outcome)
    return groups


def _next_lines(result: Result) -> Iterator[str]:
    """What to do next, and where there is help with it."""
    broken = [task for task in result.tasks if task.status is Status.BROKEN]
    if broken:
        sentence = _("{task} could not be graded: the fault is the grader's, not yours; it costs no points.")
        yield sentence.format(task=broken[0].task)
        return
    for task in result.tasks:
        for outcome in task.checks:
            if outcome.status in _WAITING:
                continue
            if outcome.status is Status.UNAVAILABLE:
                yield _("next: run it again where this is at hand: {what}").format(what=outcome.message)
                return
            if outcome.status is Status.TODO:
                where = (outcome.where or task.task).split("  ")[0]
                yield _("next: fill the gap at {where}").format(where=where)
            else:
                yield _('next: "{title}"').format(title=outcome.title)
            yield _("stuck? python grade.py hint {task}").format(task=task.short)
            return
    yield _("everything asked for passed.")
