"""``explain``: everything that led to a mark, how to replay it, and a reply to the student."""

from __future__ import annotations

import argparse
import shlex
import zipfile
from pathlib import Path

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.batch.intake.roster import one_student
from torchgrade.classes.account import Account, account_lines, account_of, lost
from torchgrade.classes.publish import about_of, environment_of, write
from torchgrade.commands.batch import existing_gradebook, say
from torchgrade.commands.places import try_folder
from torchgrade.course import Course, Task
from torchgrade.errors import UsageError
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode
from torchgrade.report.escape import folder_name
from torchgrade.report.feedback import feedback_markdown
from torchgrade.report.student_result import student_result
from torchgrade.submission import shown
from torchgrade.sums import of_one


def explain(options: argparse.Namespace, course: Course) -> int:
    """Print the account of one mark; keep what was graded and a reply below ``explained/`` in the results."""
    task = course.find(options.task)
    with Gradebook(existing_gradebook(options.out)) as book:
        student = one_student(book.students(), options.student, book.read_as())
        account = account_of(book, course, student, task)
        if account is None:
            raise UsageError(_("{task} is not in the gradebook").format(task=task.stem))
        about = about_of(course, environment_of(book, [account.row]), [account.row])
    folder = options.out / "explained" / folder_name(student.key)
    try_folder(folder, "--out")
    for line in account_lines(account):
        say(line, spaces=True)
    mark = of_one(account.line)
    result = student_result(student, {task.stem: account.row}, [account.task], mark, about)
    reply = folder / f"{task.short}.md"
    write(reply, feedback_markdown(student, result, {task.stem: account.row}, mark))
    say("")
    if command := _replay(account, task, folder):
        say(_("again: {command}").format(command=command), spaces=True)
    if not account.current:
        say(_("the suite is another one by now: a replay may differ, and `regrade` grades all who are concerned again"))
    say(_("for the student: {file}; it tells of hidden checks what feedback tells").format(file=shown(reply)))
    return int(ExitCode.PASSED)


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
