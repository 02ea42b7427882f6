"""``similar`` and ``release``: compare a class's work, and hand out the learner's edition."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.classes.anonymous import pseudonyms
from torchgrade.classes.fingerprints import Reader
from torchgrade.classes.publish import write
from torchgrade.classes.similar import Alike
from torchgrade.classes.similar import similar as compare
from torchgrade.commands.batch import existing_gradebook, say
from torchgrade.course import Course
from torchgrade.course_tools.gradescope import write_autograder
from torchgrade.course_tools.release import localise
from torchgrade.course_tools.release import release as write_edition
from torchgrade.course_tools.stubs import stub_text
from torchgrade.course_tools.workflow import write_workflow
from torchgrade.errors import UsageError
from torchgrade.handin.source import Unreadable, decode
from torchgrade.i18n import translate as _
from torchgrade.isolation.launch.launcher import open_launcher
from torchgrade.model import ExitCode
from torchgrade.report.escape import plain
from torchgrade.report.similar_page import similar_csv, similar_html


def similar(options: argparse.Namespace, course: Course) -> int:
    """Compare what learners wrote in the gaps; writes similar.html and similar.csv, gives no verdict."""
    found: dict[str, Alike] = {}
    sizes = {}
    with (
        Gradebook(existing_gradebook(options.out)) as book,
        open_launcher(hidden=course.secret, torch=False) as launcher,
        Reader(launcher) as read,
    ):
        hidden = pseudonyms(book)
        names = {key: hidden.get(key, shown) for key, shown in ((s.key, s.shown) for s in book.students())}
        names |= {name: name for name in hidden.values()}
        teams = {student.key: student.team for student in book.students() if student.team}
        known = {info.task for info in book.tasks()}
        for task in course.select(options.tasks or ()):
            if task.stem not in known:
                continue
            stub = stub_text(task)
            documents = {student: read(text, stub) for student, text in _texts(book, task.stem, teams).items()}
            documents = {hidden.get(student, student): document for student, document in documents.items()}
            for student in [student for student, document in documents.items() if document is None]:
                say(_("{task}: {student} is left out, reading it takes too long").format(
                    task=task.stem, student=plain(names[student])))  # fmt: skip
            readable = {student: document for student, document in documents.items() if document is not None}
            found[task.stem] = compare(readable, options.pairs)
            sizes[task.stem] = len(readable)
            words = _("{task}: {students} students, {pairs} pairs share something rare, {groups} groups stand out")
            alike = found[task.stem]
            say(words.format(
                task=task.stem, students=len(readable), pairs=len(alike.pairs), groups=len(alike.groups)))  # fmt: skip
    write(options.out / "similar.html", similar_html(course.title, found, names, sizes))
    write(options.out / "similar.csv", similar_csv(found))
    say(_("written to {out}: {files}").format(out=options.out, files="similar.html, similar.csv"))
    return int(ExitCode.PASSED)


def _texts(book: Gradebook, task: str, teams: Mapping[str, str]) -> dict[str, str]:
    """The last attempt of each student, and of one for each team, as text; what is no text cannot be compared."""
    texts = {}
    first: dict[str, str] = {}
    for handin in book.handins():
        if handin.task == task and handin.source is not None:
            team = teams.get(handin.student, "")
            if team and first.setdefault(team, handin.student) != handin.student:
                continue
            try:
                texts[handin.student] = decode(Bundle.unpack(book.source(handin.source)).main)
            except Unreadable:
                continue
    return texts


def release(options: argparse.Namespace, course: Course) -> int:
    """Write the learner's edition: stubs, data sets, public checks and the engine; or an autograder."""
    if options.gradescope and options.with_solutions:
        raise UsageError(_("an autograder holds the solutions anyway; --with-solutions is for an edition"))
    if options.gradescope:
        tasks = course.homework(options.homework) if options.homework else course.select(options.tasks or ())
        place = write_autograder(course, tasks, options.folder)
        say(_("{place}: {tasks} tasks with their hidden checks and solutions; for Gradescope alone").format(
            place=place, tasks=len(tasks)))  # fmt: skip
        return int(ExitCode.PASSED)
    if options.tasks or options.homework:
        raise UsageError(_("an edition holds all tasks; --task and --homework are for --gradescope"))
    hidden = write_edition(course, options.folder, sealed=options.with_solutions)
    if options.language:
        localise(options.folder, options.language)
    if options.actions:
        write_workflow(options.folder)
    count = sum(hidden.values())
    say(_("{folder}: {tasks} tasks; {count} hidden checks stay here").format(
        folder=options.folder, tasks=len(hidden), count=count))  # fmt: skip
    return int(ExitCode.PASSED)
