"""``watch``: grades whenever the learner saves, and stays warm between two saves."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

from torchgrade.commands.grade import run_options
from torchgrade.commands.study import task_at_hand
from torchgrade.commands.watch.display import PlainLines, Screen
from torchgrade.commands.watch.keys import Keys, Lines
from torchgrade.commands.watch.session import Watching
from torchgrade.course import Course
from torchgrade.model import ExitCode
from torchgrade.report.feedback_text import points_text
from torchgrade.report.scoreboard import make_console, next_lines_of


def watch(options: argparse.Namespace, course: Course) -> int:
    task = course.find(options.task) if options.task else task_at_hand(course)
    console = make_console(options.no_color)
    drawn = sys.stdin.isatty() and sys.stdout.isatty() and not console.is_dumb_terminal and not options.plain
    display = Screen(console) if drawn else PlainLines(console)
    session = Watching(course, task, run_options(options), display, Keys if drawn else Lines)
    with _errors_kept() if drawn else contextlib.nullcontext(), _signals(session):
        try:
            session.run()
        finally:
            session.close()
    grade = session.view.grade
    if drawn and grade is not None:  # the screen is gone: what was reached stays
        console.print(f"{grade.short}  {points_text(grade.points, grade.max_points)}")
        for line in next_lines_of(grade):
            console.print(line, soft_wrap=True)
    return int(ExitCode.PASSED)


@contextlib.contextmanager
def _signals(session: Watching) -> Iterator[None]:
    """To be ended or stopped by a signal gives the terminal back first; Ctrl-C raises as ever."""

    def end(*_: object) -> None:
        session.stop()

    def sleep(*_: object) -> None:
        session.pause()
        os.kill(os.getpid(), signal.SIGSTOP)
        session.resume()

    wanted = {"SIGTERM": end, "SIGHUP": end, "SIGTSTP": sleep}
    numbers = {getattr(signal, name): handler for name, handler in wanted.items() if hasattr(signal, name)}
    before = {number: signal.signal(number, handler) for number, handler in numbers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _errors_kept() -> Iterator[None]:
    """What graders write to standard error would spoil the screen: it is told when the screen is gone."""
    kept: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed below)
    sys.stderr.flush()
    real = os.dup(2)
    os.dup2(kept.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(real, 2)
        os.close(real)
        kept.seek(0)
        with kept, contextlib.suppress(OSError), os.fdopen(os.dup(2), "wb") as terminal:
            shutil.copyfileobj(kept, terminal)
