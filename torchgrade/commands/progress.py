"""``progress``: how far a learner has come, in the terminal or as one page. Nothing here imports torch."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

from rich.text import Text

from torchgrade.commands.places import try_file
from torchgrade.course import Course
from torchgrade.errors import UsageError
from torchgrade.history import load_history, stories
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode
from torchgrade.report import progress_report
from torchgrade.report.scoreboard import make_console

DRAWN = Path(".torchgrade", "pictures")  # where ``watch`` draws


def progress(options: argparse.Namespace, course: Course) -> int:
    found = progress_report.parts(course, stories(load_history(course.root)))
    console = make_console()
    if options.html is not None:
        try_file(options.html, "--html")
        pictures = sorted((options.pictures or course.root / DRAWN).glob("*.png"))
        if options.pictures is not None and not pictures:
            raise UsageError(
                _("{folder} holds no PNG file; grade with --save {folder} first").format(folder=options.pictures)
            )
        page = progress_report.page(course, found, pictures, datetime.now(timezone.utc))
        options.html.write_text(page, encoding="utf-8")
        console.print(_("page  {path}").format(path=options.html), soft_wrap=True)
        return int(ExitCode.PASSED)
    if options.task is not None:
        task = course.find(options.task)
        row = next(row for part in found for row in part.rows if row.task == task)
        told = progress_report.check_lines(row)
    else:
        told = progress_report.lines(found, console.options.ascii_only)
    for line in told:
        console.print(Text(line), soft_wrap=True)
    return int(ExitCode.PASSED)
