"""``explain``: what led to a mark, how to replay it, a reply to the student; or a student's whole history."""

from __future__ import annotations

import argparse
import shlex
import zipfile
from collections.abc import Sequence
from pathlib import Path

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.classes.account import Account, account_lines, account_of, history, lost
from torchgrade.classes.publish import about_of, environment_of, write
from torchgrade.commands.batch import existing_gradebook, say
from torchgrade.commands.people import People
from torchgrade.commands.places import try_folder
from torchgrade.course import Course, Task
from torchgrade.errors import UsageError
from torchgrade.i18n import speaking
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode
from torchgrade.report.escape import folder_name
from torchgrade.report.feedback import feedback_markdown
from torchgrade.report.history_page import history_html
from torchgrade.report.student_result import About, student_result
from torchgrade.submission import shown
from torchgrade.sums import of_one


def explain(options: argparse.Namespace, course: Course) -> int:
    """Print what led to a student's mark, or to all of them, and keep it below ``explained/`` in the results."""
    tasks = [course.find(options.task)] if options.task else list(course.tasks)
    with Gradebook(existing_gradebook(options.out)) as book:
        student = People.of(book).one(options.student)
        known = {task: account_of(book, course, student, task) for task in tasks}
        accounts = {task: account for task, account in known.items() if account is not None}
        if not accounts:
            raise UsageError(_("{task} is not in the gradebook").format(task=tasks[0].stem))
        rows = [account.row for account in accounts.values()]
        about = about_of(course, environment_of(book, rows), rows)
    folder = options.out / "explained" / folder_name(student.key)
    try_folder(folder, "--out")
    if options.task:
        [(task, account)] = accounts.items()
        _one(task, account, about, folder)
    else:
        _all(course, list(accounts.values()), folder)
    return int(ExitCode.PASSED)


def _all(course: Course, accounts: Sequence[Account], folder: Path) -> None:
    for account in accounts:
        for line in account_lines(account, checks=False):
            say(line, spaces=True)
    page = folder / "history.html"
    write(page, history_html(course.title, accounts[0].student, [history(account) for account in accounts]))
    say(_("written to {file}; it tells of hidden checks, too, and is for you").format(file=shown(page)))


def _one(task: Task, account: Account, about: About, folder: Path) -> None:
    for line in account_lines(account):
        say(line, spaces=True)
    student, mark = account.student, of_one(account.line)
    result = student_result(student, {task.stem: account.row}, [account.task], mark, about)
    reply = folder / f"{task.short}.md"
    with speaking(student.language):
        text = feedback_markdown(student, result, {task.stem: account.row}, mark)
    write(reply, text)
    say("")
    if command := _replay(account, task, folder):
        say(_("again: {command}").format(command=command), spaces=True)
    if not account.current:
        say(_("the suite is another one by now: a replay may differ, and `regrade` grades all who are concerned again"))
    say(_("for the student: {file}; it tells of hidden checks what feedback tells").format(file=shown(reply)))


def _replay(account: Account, task: Task, folder: Path) -> str:
    """The command that reaches this verdict again; empty where nothing was graded.

    What was graded is kept in ``folder`` for it, never under a name that a student chose.
    """
    if account.bundle is None or not account.row.grader_hash:
        return ""
    bundle = account.bundle
    file = folder / f"{task.stem}{'.zip' if bundle.helpers else '.py'}"
    if bundle.helpers:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in bundle.source(task.stem).files.items():
                archive.writestr(name, content)
    else:
        file.write_bytes(bundle.main)
    first = [check.id for check in lost(account)[:1]]
    what = [task.short, *first, "--submission", shown(file), "--seed", str(account.row.seed), "--verbose"]
    return shlex.join(["python", "grade.py", *what])
