"""``data`` and ``doctor``: what is on this machine."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len

from torchgrade.course import Course
from torchgrade.grading.datasets import load_dataset
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode
from torchgrade.report.feedback_text import padded, wrap
from torchgrade.submission import shown

if TYPE_CHECKING:
    from torchgrade.course_tools.doctor import Diagnosis

MARGIN = 14  # columns of a name


def doctor(options: argparse.Namespace, course: Course) -> int:
    """Python, torch, cores, data sets, isolation; with a task, its reference solution run here."""
    from torchgrade.course_tools import doctor as examination

    rows = examination.doctor(options.task, options.device, options.isolation, course)
    print("\n".join(doctor_lines(rows)))
    return examination.exit_code(rows)


def doctor_lines(rows: Sequence[Diagnosis]) -> list[str]:
    """The rows as text, as wide as the terminal: a mark, the name, what was found; the advice below it."""
    width = max(map(cell_len, (row.name for row in rows)))
    room = max(20, shutil.get_terminal_size().columns - width - 4)
    marks = {None: " ", True: "+", False: "!"}
    text = []
    for row in rows:
        first, *more = [line for part in (row.found, row.advice) if part for line in wrap(part, room)]
        text.append(f"{marks[row.well]} {padded(row.name, width)}  {first}")
        text += [" " * (width + 4) + line for line in more]
    return text


def data(options: argparse.Namespace, course: Course) -> int:
    """The data sets, where they are looked for, and how to get the real ones."""
    width = shutil.get_terminal_size().columns
    for path in sorted((course.root / "datasets").glob("*.py")):
        module = load_dataset(path)
        if not hasattr(module, "catalogue"):
            continue
        facts = module.catalogue()
        head = f"{facts['name']:<{MARGIN}} {padded(_(facts['kind']), 10)} {_(facts['status'])}"
        told = [_(facts["title"])]
        if facts["status"] != "absent":
            told.append(facts["detail"])
        if facts["status"] in ("absent", "damaged"):
            places = ", ".join(shown(Path(place)) for place in facts["where"])
            told += [f"{_('looked for in')}: {places}", f"{_('to get it')}: {facts['get']}"]
        lines = [line for text in told for line in wrap(text, max(20, width - MARGIN - 1))]
        print("\n".join([head, *(f"{'':{MARGIN}} {line}" for line in lines)]))
    sentence = _("A real set that is absent is no mistake: its tasks are graded on a generated one instead.")
    print("\n".join(["", *wrap(sentence, width)]))
    return int(ExitCode.PASSED)
