"""What a batch shows while it runs: a live line on a terminal, else a plain line for each submission."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from torchgrade.batch.scheduler import Work
from torchgrade.i18n import translate as _
from torchgrade.model import Status, TaskGrade
from torchgrade.report.escape import plain
from torchgrade.report.feedback_text import WORDS


class BatchProgress:
    """Counts what is done, running, failed and broken, and estimates the rest. A context manager.

    ``names`` are those to be shown in place of students' keys.
    """

    def __init__(self, console: Console, total: int, names: Mapping[str, str]) -> None:
        self.console = console
        self.names = names
        self.total = total
        self.done = self.failed = self.broken = self.running = 0
        self.began: dict[int, float] = {}
        self.live = console.is_terminal and not console.is_dumb_terminal
        self.bar = Progress(
            SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
            TimeRemainingColumn(elapsed_when_finished=True), console=console, transient=True,
        )  # fmt: skip
        self.line = self.bar.add_task("", total=total)

    def __enter__(self) -> BatchProgress:
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        if self.live:
            self.bar.stop()

    def started(self, work: Work) -> None:
        self.running += 1
        self.began[id(work)] = time.monotonic()
        self._show()

    def finished(self, work: Work, grade: TaskGrade) -> None:
        self.running -= 1
        self.done += 1
        self.failed += grade.status not in (Status.PASSED, Status.BROKEN)
        self.broken += grade.status is Status.BROKEN
        if not self.live:
            took = time.monotonic() - self.began.pop(id(work), time.monotonic())
            also = f" (+{work.people - 1})" if work.people > 1 else ""
            score = f"{WORDS[grade.status].lower():<6} {grade.points:g}/{grade.max_points:g}"
            name = self._called(work)
            print(f"{self.done}/{self.total}  {score}  {took:.1f} s  {name}{also}", file=self.console.file, flush=True)
        self._show()

    def retried(self, work: Work, reason: str) -> None:
        self.running -= 1
        self.console.print(_("our own fault, tried again: {name}: {reason}").format(
            name=self._called(work), reason=plain(reason, lines=False)))  # fmt: skip
        self._show()

    def _called(self, work: Work) -> str:
        student, _space, task = work.label.rpartition(" ")
        return plain(f"{self.names.get(student, student)} {task}", lines=False)

    def _show(self) -> None:
        if not self.live:
            return
        words = _("{running} running, {failed} failed, {broken} broken").format(
            running=self.running, failed=self.failed, broken=self.broken
        )
        self.bar.update(self.line, completed=self.done, description=words)
