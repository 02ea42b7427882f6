"""The scoreboard: live progress, what each function earned, what is wrong, and one last line: what to do next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from torchgrade.course import Track
from torchgrade.grading.events import CheckBegan, Event, Fault, Graded, Retried, Started, StepsTaken
from torchgrade.i18n import translate as _
from torchgrade.i18n import translate_built
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report.board import BAR, Subjects, Told, aligned, bar, entries, failures, first_open, groups
from torchgrade.report.feedback_text import WIDTH, WORDS, details, others_text, outcome_lines, padded, points_text, wrap

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

ASKING = "python grade.py hint"


def make_console(no_color: bool = False, stderr: bool = False) -> Console:
    """80 columns where there is no terminal; NO_COLOR, FORCE_COLOR and TERM=dumb are rich's business."""
    console = Console(stderr=stderr, no_color=no_color or None, highlight=False, markup=False, soft_wrap=False)
    if console.width < 1 or (not console.is_terminal and "COLUMNS" not in os.environ):
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
    subjects: Subjects | None = None,
    notes: Sequence[str] = (),
    onward: str = "",
    asking: str = ASKING,
) -> None:
    """Print the finished result: one task by its functions, several by track; what to do next is the last line.

    ``known``: how many tasks are told from an earlier run. ``subjects``: what the checks of one task are about.
    ``notes`` are told beside the total. ``onward``: where to go on when everything passed.
    ``asking``: what one types for a hint.
    """
    if not quiet:
        alone = result.tasks[0] if len(result.tasks) == 1 else None
        if alone is None:
            console.print(_task_table(result, tracks))
        for line in task_lines(console, alone, subjects or {}, verbose) if alone else ():
            console.print(line, soft_wrap=True)
        told = list(_told(result, verbose))
        for task, shown in told:
            _failures(console, task, shown, headed=alone is None, whole=verbose)
        console.print()
        more = sum(len(failures(task)) for task, _shown in told) - sum(len(shown) for _task, shown in told)
        if more > 0:
            one, many = (
                _("1 more thing is wrong; -v tells it in full"),
                _("{count} more things are wrong; -v tells each"),
            )
            words = one if more == 1 else many
            console.print(Text(words.format(count=more), style="dim"), soft_wrap=True)
    console.print(total_line(console, result.points, result.max_points, seconds), soft_wrap=True)
    if known:
        words = _("told from the record, as nothing has changed: {count} of {all} tasks; --all grades them again")
        console.print(Text(words.format(count=known, all=len(result.tasks)), style="dim"), soft_wrap=True)
    for note in notes:
        console.print(note, soft_wrap=True)
    for sentence in next_lines(result, onward, asking):
        console.print(sentence, soft_wrap=True)


def total_line(console: Console, points: float, possible: float, seconds: float = 0.0) -> Text:
    share = points / possible if possible else 0.0
    spent = f"   {seconds:.1f} s" if seconds else ""
    words = f"{_('points')}  {points_text(points, possible)}  ({share:.0%}){spent}   "
    return Text.assemble(words, _bar(console, points, possible, 2 * BAR))


def _bar(console: Console, points: float, possible: float, width: int = BAR) -> tuple[str, str]:
    style = "green" if points >= possible else "yellow"
    return bar(points, possible, console.options.ascii_only, width), style


def task_lines(console: Console, grade: TaskGrade, subjects: Subjects, verbose: bool = False) -> Iterator[Text]:
    """One task by its functions: points, a bar, and below it what is open. ``verbose``: what passed as well."""
    yield Text(f"{grade.short}  {_(grade.title)}", style="bold")
    if all_wait(grade):
        return
    yield Text()
    found = groups(grade.checks, subjects)
    scores = [(group.points, group.max_points) for group in found]
    scores += [(out.points, out.max_points) for group in found for out in (entry.summed for entry in group.open)]
    scores += [(out.points, out.max_points) for out in grade.checks]
    texts = dict(zip(scores, aligned(scores), strict=True))
    for group in found:
        if group.name or len(found) > 1:
            score, drawn = (group.points, group.max_points), _bar(console, group.points, group.max_points)
            name = group.name or _("several of them together")
            todo = f"  {_(WORDS[Status.TODO])}" if group.untouched else ""
            style = "" if group.complete else "bold"
            yield Text.assemble(f"{texts[score]}  ", drawn, ("  " + name, style), (todo, STYLES[Status.TODO]))
        shown = entries(group.outcomes) if verbose else [] if group.untouched else group.open
        for entry in shown:
            yield from _entry_lines(console, entry, texts)


def _entry_lines(console: Console, entry: Told, texts: Mapping[tuple[float, float], str]) -> Iterator[Text]:
    outcome = entry.summed
    score = texts[(outcome.points, outcome.max_points)]
    room = len(score) + 2 + BAR + 2
    title, *more = wrap(titled(outcome), max(20, min(console.width, 100) - room))
    word = padded(_(WORDS[outcome.status]), BAR, centred=True)
    yield Text.assemble(f"{score}  ", (word, STYLES[outcome.status]), f"  {title}")
    yield from (Text(" " * room + line) for line in more)
    if entry.checks > 1:
        yield Text(" " * room + _("and {others}").format(others=others_text(entry.checks - 1)), style="dim")
    if outcome.message and outcome.status in (Status.SKIPPED, Status.HELD, Status.PASSED):
        lines = wrap(outcome.message, max(20, min(console.width, 100) - room))
        yield from (Text(" " * room + line, style="dim") for line in lines)


def titled(outcome: Outcome) -> str:
    return outcome.title if outcome.device == "cpu" else f"{outcome.title} [{outcome.device}]"


def all_wait(task: TaskGrade) -> bool:
    """Whether the file cannot be executed, met by whichever check ran first: a table of those that wait would hide it.

    What waits for a check alone, whose function crashed, names that check.
    """
    crashed = [out for out in task.checks if out.status is Status.CRASHED]
    waiting = [out for out in task.checks if out.status is Status.SKIPPED]
    if len(crashed) != 1 or not waiting or len(task.checks) != 1 + len(waiting):
        return False
    return not any(crashed[0].title in out.message for out in waiting)


def _task_table(result: Result, tracks: Sequence[Track]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True)
    table.add_column(_("task"), no_wrap=True, min_width=6)
    table.add_column(_("title"), overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column(_("points"), justify="right", no_wrap=True, min_width=9)
    table.add_column(_("status"), no_wrap=True, min_width=11)
    by_task = {task.task: task for task in result.tasks}
    rows = [(track, [by_task.pop(t.stem) for t in track.tasks if t.stem in by_task]) for track in tracks]
    found = [(_(track.title) if track.name else "", grades) for track, grades in rows] + [("", list(by_task.values()))]
    sums = [(sum(grade.points for grade in grades), sum(grade.max_points for grade in grades)) for _t, grades in found]
    texts = iter(aligned([*sums, *((grade.points, grade.max_points) for _t, grades in found for grade in grades)]))
    heads = [next(texts) for _ in sums]
    for (title, grades), points in zip(found, heads, strict=True):
        if title and grades:
            table.add_row("", Text(title, style="bold"), Text(points, style="bold"), "")
        for grade in grades:
            status = Text(_(str(grade.status)), style=STYLES[grade.status])
            table.add_row(grade.short, _(grade.title), next(texts), status)
    return table


def _told(result: Result, verbose: bool) -> Iterator[tuple[TaskGrade, list[Told]]]:
    """What is told in full of each task, each root once: what ``next:`` names, and it is the last."""
    now = next((task for task in result.tasks if first_open(task) is not None), None)
    for task in sorted(result.tasks, key=lambda task: task is now):
        first = to_do(task) if task is now or all_wait(task) else None
        others = entries(out for out in task.checks if details(out)) if verbose else failures(task)
        shown = [] if all_wait(task) else [e for e in others if verbose or e.outcome.status is Status.BROKEN]
        shown = [entry for entry in reversed(shown) if first is None or entry.outcome != first.outcome]
        wrong = first is not None and (verbose or first.outcome.status is not Status.TODO)
        yield task, [*shown, *([first] if first is not None and wrong else [])]


def to_do(task: TaskGrade) -> Told | None:
    """What is to be done now, with all that has the same root; a file that cannot be executed is that alone."""
    now = first_open(task)
    if now is not None and all_wait(task):
        title = _("the file can be executed")
        return Told(replace(now, title=title, points=0.0, max_points=task.max_points))
    return next((told for told in entries(task.checks) if told.outcome == now), None)


def _failures(console: Console, task: TaskGrade, shown: Sequence[Told], headed: bool, whole: bool) -> None:
    if not shown and not task.notes:
        return
    console.print()
    if headed:
        console.print(Text(f"{task.task}  {_(task.title)}", style="bold"))
    for note in task.notes:
        console.print(Text(translate_built(note), style="yellow"), soft_wrap=True)
    for entry in shown:
        for line in entry_lines(console, entry, whole):
            console.print(line, soft_wrap=True)


def entry_lines(console: Console, entry: Told, whole: bool = False) -> Iterator[Text]:
    """One outcome in full, with what was given, expected and got. ``whole``: all that the code printed."""
    width, others = min(console.width, 100), entry.checks - 1
    lines = outcome_lines(entry.summed, width=width, others=others, whole=whole)
    head, _space, rest = lines[0].partition(" ")
    yield Text.assemble((head, STYLES[entry.outcome.status]), f" {rest}")
    yield from map(Text, lines[1:])


def next_lines(result: Result, onward: str = "", asking: str = ASKING) -> Iterator[str]:
    """Where there is help, and last what to do next. ``onward``: where to go on when everything passed."""
    broken = [task for task in result.tasks if task.status is Status.BROKEN]
    for task in broken:
        sentence = _("{task} could not be graded: the fault is the grader's, not yours; it costs no points.")
        yield sentence.format(task=task.task)
    for task in result.tasks:
        lines = [] if task in broken else list(next_lines_of(task, asking))
        if lines:
            yield from lines
            return
    if not broken:
        yield _("everything asked for passed.")
        if onward:
            yield onward


def next_lines_of(task: TaskGrade, asking: str = ASKING) -> Iterator[str]:
    """What to do next in one task; nothing when it passed."""
    outcome = first_open(task)
    if outcome is None:
        return
    if outcome.status is Status.UNAVAILABLE:
        yield _("next: run it again where this is at hand: {what}").format(what=outcome.message)
        return
    yield _("stuck? {command} {task}").format(command=asking, task=task.short)
    if all_wait(task):
        yield _("next: {what}").format(what=outcome.message.partition("\n")[0])
    elif outcome.status is Status.TODO:
        where = (outcome.where or task.task).split("  ")[0]
        yield _("next: fill the gap at {where}").format(where=where)
    else:
        yield _('next: "{title}"').format(title=outcome.title)
