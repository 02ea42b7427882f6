"""``cohorts``: the sections of a class, or the classes of several years, side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.classes.publish import write
from torchgrade.classes.standing import Standing, standing
from torchgrade.commands.batch import existing_gradebook, say
from torchgrade.commands.places import try_folder
from torchgrade.course import Course
from torchgrade.errors import UsageError
from torchgrade.i18n import translate as _
from torchgrade.marks import TEST_STUDENT, Row
from torchgrade.model import ExitCode
from torchgrade.report.cohorts_page import check_rates, cohorts_csv, cohorts_html, task_shares
from torchgrade.report.statistics import once
from torchgrade.submission import shown


def cohorts(options: argparse.Namespace, course: Course) -> int:
    """Write ``cohorts.html`` and ``cohorts.csv``: of one results folder the sections, of several each as a whole."""
    classes = {shown(folder): _standing(course, folder) for folder in options.results}
    if len(classes) == 1:
        [(only, found)] = classes.items()
        compared = _by_section(found)
        if len(compared) < 2:
            raise UsageError(
                _("{folder} has one section only; a roster with a column `section` makes more").format(folder=only)
            )
        works = {name: once(rows, _teams(found)) for name, rows in compared.items()}
    else:
        compared = {name: _rows(found) for name, found in classes.items()}
        works = {name: once(rows, _teams(classes[name])) for name, rows in compared.items()}
    asked = {task.task: task for found in classes.values() for task in found.tasks}
    try_folder(options.out, "--out")
    tasks = [asked[task.stem] for task in course.tasks if task.stem in asked]
    names, checks = list(compared), check_rates(works)
    write(options.out / "cohorts.html", cohorts_html(course.title, names, task_shares(compared, tasks), checks))
    write(options.out / "cohorts.csv", cohorts_csv(names, checks))
    apart = sum(check.apart for check in checks)
    say(_("{names}: {apart} checks are further apart than chance explains").format(names=", ".join(names), apart=apart))
    say(_("written to {out}: {files}").format(out=options.out, files="cohorts.html, cohorts.csv"))
    return int(ExitCode.PASSED)


def _standing(course: Course, folder: Path) -> Standing:
    with Gradebook(existing_gradebook(folder)) as book:
        return standing(book, course)


def _rows(found: Standing) -> list[Row]:
    real = {student.key for student in found.students if TEST_STUDENT not in student.ids}
    return [row for row in found.rows if row.student in real]


def _teams(found: Standing) -> dict[str, str]:
    return {student.key: student.team for student in found.students}


def _by_section(found: Standing) -> dict[str, list[Row]]:
    section = {student.key: student.section or _("no section") for student in found.students}
    parts: dict[str, list[Row]] = {}
    for row in _rows(found):
        parts.setdefault(section[row.student], []).append(row)
    return dict(sorted(parts.items()))
