"""What a watching session shows, as a value and as rows of text: one failing check in full, one line for each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from torchgrade.commands.compare import has_reference
from torchgrade.course import Task
from torchgrade.i18n import translate as _
from torchgrade.i18n import translate_built
from torchgrade.model import Outcome, Status, TaskGrade
from torchgrade.report.board import Subjects, entries, first_open
from torchgrade.report.feedback_text import WORDS, padded, wrap
from torchgrade.report.scoreboard import (
    STYLES,
    all_wait,
    entry_lines,
    next_lines_of,
    task_lines,
    titled,
    to_do,
    total_line,
)
from torchgrade.scoring import award, task_status, total

DETAIL = " " * 8  # before what is said of a failure below its title


@dataclass
class View:
    """The state of the session as far as it can be seen."""

    task: Task
    subjects: Subjects
    points: dict[str, float]  # of each check
    grade: TaskGrade | None = None  # the last whole one
    executed: TaskGrade | None = None  # the one before, or, while that file cannot be executed, the last that could
    fresh: dict[tuple[str, str], Outcome] = field(default_factory=dict)  # of the run under way, by check and device
    running: str = ""  # the check that runs, in words; blank when nothing does
    steps: int = 0  # optimiser steps in it
    seconds: float = 0.0  # that the last run took
    clock: str = ""  # when it ended
    fixed: list[str] = field(default_factory=list)  # since the last save
    lost: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    message: str = ""
    onward: list[str] = field(default_factory=list)  # what is told once it is complete
    page: list[Text] | None = None  # covers the rest
    offset: int = 0  # rows that lie above the screen
    room: int = 1  # rows between head and foot, of which the last two may tell of those below
    asking: bool = False  # whether to reset

    @property
    def now(self) -> TaskGrade | None:
        """The last grade with what the run under way found since."""
        known = {(out.id, out.device): out for out in (self.grade.checks if self.grade is not None else ())}
        found = {**known, **self.fresh}
        if not self.fresh or not found:
            return self.grade
        places = {name: number for number, name in enumerate(self.points)}
        whole = [replace(out, max_points=self.points.get(out.id, out.max_points)) for out in found.values()]
        checks = award(sorted(whole, key=lambda out: places.get(out.id, len(places))))
        points, possible = total(checks)
        title = self.task.manifest.title
        status = task_status(checks)
        return TaskGrade(self.task.stem, title, status, points, possible, 0.0, "", "", checks)

    @property
    def complete(self) -> bool:
        return not self.running and self.grade is not None and self.grade.status is Status.PASSED

    def begin(self) -> None:
        """A run begins: nothing of another one is shown beside it."""
        self.fresh, self.running, self.steps, self.message = {}, _("loading"), 0, ""
        self.page, self.offset = None, 0
        self.fixed, self.lost = [], []

    def finish(self, grade: TaskGrade, seconds: float, clock: str) -> None:
        """A run has ended with this grade."""
        if self.grade is not None and not all_wait(self.grade):
            self.executed = self.grade
        compared = self.executed.checks if self.executed is not None and not all_wait(grade) else ()
        before = {(out.id, out.device): out.status for out in compared}
        for out in grade.checks:
            was = before.get((out.id, out.device), out.status)
            if was is not out.status and out.status is Status.PASSED:
                self.fixed.append(titled(out))
            elif was is not out.status and was is Status.PASSED:
                self.lost.append(titled(out))
        first, then = (first_open(known) if known is not None else None for known in (self.grade, grade))
        if then is None or (self.grade is not None and (first is None or first.id != then.id)):
            self.hints = []  # they were about another check
        self.grade, self.fresh, self.running, self.seconds, self.clock = grade, {}, "", seconds, clock


def rows(view: View, console: Console, height: int) -> list[Text]:
    """The screen: exactly as many rows as fit, the keys in the last ones."""
    head = _fitted([*title_rows(view, console.width), Text()], console)
    foot = _fitted(
        [*foot_rows(view, console), *(Text(row, style="dim") for row in key_rows(view, console.width))], console
    )
    room = view.room = max(1, height - len(head) - len(foot))
    body = _fitted(view.page if view.page is not None else list(body_rows(view, console)), console)
    view.offset = max(0, min(view.offset, len(body) - room))
    shown = body[view.offset : view.offset + room]
    below = len(body) - view.offset - len(shown)
    if below > 0:
        more = _("… {count} more lines below; space goes on").format(count=below + 1)
        detail = len(shown) > 2 and shown[-2].plain.startswith(DETAIL)  # else it is the title of what fails
        if view.page is None and view.offset == 0 and detail:
            shown[-2] = next(filter(_says_where, body[len(shown) - 2 :]), shown[-2])
        shown[-1] = Text(more, style="dim", no_wrap=True)
    return ([*head, *shown, *([Text()] * (room - len(shown))), *foot])[:height]


def _says_where(row: Text) -> bool:
    """Whether it leads to a line of the file, which is shown however small the screen is."""
    return row.plain.lstrip().startswith(_("look at"))


def _fitted(lines: Sequence[Text], console: Console) -> list[Text]:
    """Rows of the terminal: long lines are folded, so that what is counted is what is seen."""
    found: list[Text] = []
    for line in lines:
        found += line.wrap(console, console.width, overflow="fold", no_wrap=False) or [Text()]
    for row in found:
        row.no_wrap = True
        row.rstrip()
    return found


def title_rows(view: View, width: int) -> list[Text]:
    """The task with its file, and what goes on."""
    title = Text(f"{view.task.short}  {_(view.task.manifest.title)}", style="bold")
    file = Text(f"exercises/{view.task.stub.name}", style=f"dim link {view.task.stub.as_uri()}")
    if view.running:
        steps = f" ({_('optimiser step')} {view.steps:,})" if view.steps else ""
        count = _("{done} of {all}").format(done=len({name for name, _d in view.fresh}), all=len(view.points))
        going = Text(_("grading  {count}  {check}").format(count=count + steps, check=view.running), style="cyan")
        going.truncate(width, overflow="ellipsis")  # no second row: nothing jumps from check to check
    elif view.clock:
        words = _("graded at {clock} in {seconds:.1f} s; save the file to grade it again")
        going = Text(words.format(clock=view.clock, seconds=view.seconds), style="dim")
    else:
        going = Text(_("nothing has changed since it was graded; save the file to grade it again"), style="dim")
    return [Text.assemble(title, "  ", file), going]


def body_rows(view: View, console: Console) -> Iterator[Text]:
    """What is to be done, hints, what else is open, what was fixed."""
    grade = view.now
    if view.message:
        yield from (Text(row, style="yellow") for row in wrap(view.message, console.width))
        yield Text()
    for note in grade.notes if grade is not None else ():
        yield Text(translate_built(note), style="yellow")
    for words, titles, style in ((_("fixed"), view.fixed, "green"), (_("no longer right"), view.lost, "red")):
        if titles:
            more = _(", and {count} more").format(count=len(titles) - 1) if len(titles) > 1 else ""
            yield Text.assemble((words, style), f"  {titles[0]}{more}")
            yield Text()
    for hint in view.hints:  # where they are seen, however much stands below
        yield from (Text(row, style="cyan") for row in wrap(hint, console.width))
        yield Text()
    told = to_do(grade) if grade is not None else None
    if told is not None:
        yield from entry_lines(console, told)
        yield Text()
    if grade is not None and told is not None and told.outcome.title in {out.title for out in grade.checks}:
        yield from _others(grade, told.outcome)
    if view.complete:
        yield Text(_("everything asked for passed."), style="green")
        yield from map(Text, view.onward)


def _others(grade: TaskGrade, first: Outcome) -> Iterator[Text]:
    """One line for each root that is open beside the one that is told in full."""
    open_now = entries(out for out in grade.checks if out.status is not Status.PASSED)
    shown = [(_(WORDS[told.outcome.status]), told) for told in open_now if told.outcome != first]
    widest = max((cell_len(word) for word, _told in shown), default=0)
    for word, told in shown:
        more = f"  +{told.checks - 1}" if told.checks > 1 else ""
        style = STYLES[told.outcome.status]
        yield Text.assemble((padded(word, max(5, widest)), style), f" {titled(told.outcome)}", (more, "dim"))
    yield Text()


def foot_rows(view: View, console: Console) -> Iterator[Text]:
    grade = view.now
    if grade is not None:
        yield total_line(console, grade.points, grade.max_points)


def board_page(view: View, console: Console) -> list[Text]:
    """All checks by function, and all that is wrong in full."""
    grade = view.now
    if grade is None:
        return []
    lines = [*task_lines(console, grade, view.subjects, verbose=True), Text()]
    alone = to_do(grade) if all_wait(grade) else None
    shown = (out for out in grade.checks if out.status is not Status.PASSED or out.output)
    for told in [alone] if alone is not None else entries(shown):
        lines += entry_lines(console, told, whole=True)
    return lines


def key_rows(view: View, width: int) -> list[str]:
    """The keys that do something now, no word parted from its key."""
    lines = [""]
    for words in _keys(view):
        joined = f"{lines[-1]}  {words}".strip()
        lines[-1:] = [joined] if cell_len(joined) <= width else [lines[-1], words]
    return lines


def _keys(view: View) -> list[str]:
    if view.asking:
        return [_("y yes"), _("any other key: no")]
    if view.page is not None:
        return [_("space, arrows: move"), _("Esc: back"), _("q quit")]
    words = [_("h hint"), _("l list"), _("v all"), _("r run"), _("o open"), _("p pictures"), _("x reset"), _("q quit")]
    if not view.complete:
        return words
    return [_("n next task"), *([_("c compare")] if has_reference(view.task) else []), *words]


def plain_rows(view: View, console: Console) -> Iterator[Text]:
    """The same where nothing can be drawn: lines, told once when a run has ended."""
    yield from [*title_rows(view, console.width), Text()]
    yield from body_rows(view, console)
    yield from foot_rows(view, console)
    if view.grade is not None:
        yield from map(Text, next_lines_of(view.grade))
