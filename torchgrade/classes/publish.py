"""Write everything that leaves a gradebook: tables, documents for each student, the page for the class."""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from torchgrade import __version__
from torchgrade.batch.gradebook.gradebook import Gradebook, now
from torchgrade.batch.gradebook.ledger import Change
from torchgrade.classes.anonymous import masked, masked_files, pseudonyms
from torchgrade.classes.standing import Standing, standing
from torchgrade.course import Course
from torchgrade.handin.naming import EXPORTS
from torchgrade.i18n import speaking
from torchgrade.marks import Row, Student, TaskInfo
from torchgrade.model import Result
from torchgrade.platform_sheet import BLACKBOARD, MOODLE, Sheet, columns_for
from torchgrade.report import feedback, junit, learner_view, platforms, tables
from torchgrade.report.class_report import ClassFacts, TrackPart, class_report
from torchgrade.report.escape import folder_name
from torchgrade.report.platforms import ilias_folders, moodle_folder
from torchgrade.report.student_result import About, student_result
from torchgrade.report.sum_text import mark_json, policy_words
from torchgrade.report.workbook import workbook
from torchgrade.sums import Total

_DOCUMENTS = ("results.json", "mark.json", "gradescope.json", "junit.xml", "feedback.md", "feedback.html")
SHOWN: tuple[str, ...] = ("torch", "python", "machine")


def publish(book: Gradebook, course: Course, out: Path, changed: Sequence[Change] | None = None) -> Standing:
    """Write all files below ``out``; returns what they say. Each file is complete or the old one.

    Where the class is anonymous, only what goes back to a platform knows names. ``changed`` is what the last grading
    changed, None where nothing was graded; what an earlier one left that holds no more is taken away.
    """
    named = standing(book, course)
    found = masked(named, pseudonyms(book))
    students, tasks, marks = found.students, found.tasks, found.marks
    document = environment_of(book, found.rows)
    about = about_of(course, document, found.rows)
    links = _students(out, found, about)
    sheets = {
        "grades": tables.grades_csv(students, found.table, tasks, marks),
        "sums": tables.sums_csv(students, marks),
    }
    for name, text in sheets.items():
        write(out / f"{name}.csv", text)
    if both := workbook(sheets):
        write(out / "grades.xlsx", both)
    write(out / "checks.csv", tables.checks_csv(students, found.every))
    _write_exports(book, out, named, about)
    write(out / "unmatched.csv", tables.unmatched_csv(sorted(masked_files(book).values())))
    if changed:
        shown_as = [replace(one, student=found.pseudonyms.get(one.student, one.student)) for one in changed]
        write(out / "changes.csv", changes_csv(shown_as))
    elif changed is not None:
        (out / "changes.csv").unlink(missing_ok=True)
    shown = {key: str(document[key]) for key in SHOWN if key in document}
    faults = [(task, reason) for task, _, _, reason in book.faults()[-200:]]
    facts = ClassFacts(course.title, now(), shown, links, faults, len(book.unmatched()), len(changed or ()))
    write(out / "report.html", class_report(students, found.rows, tasks, marks, facts, _tracks(course, tasks)))
    return found


def _write_exports(book: Gradebook, out: Path, found: Standing, about: About) -> None:
    """Write what goes back to the platforms; of another platform nothing stays, which would hold marks of that time."""
    exports = _exports(book, found, about)
    for name in EXPORTS:
        if content := exports.get(name):
            write(out / name, content)
        else:
            (out / name).unlink(missing_ok=True)


def _exports(book: Gradebook, found: Standing, about: About) -> dict[str, str | bytes]:
    """The platforms' own gradebooks with marks in them, and feedback in their folders; empty where there is none."""
    students, tasks, marks = found.students, found.tasks, found.marks
    sheet = Sheet.from_kept(book.setting("sheet") or "")
    columns = columns_for(sheet, json.loads(book.setting("columns") or "[]"), tasks)
    made: dict[str, str | bytes] = {}
    if sheet and sheet.kind == BLACKBOARD:
        made["blackboard.csv"] = platforms.blackboard_csv(students, marks, columns, sheet)
        columns = columns_for(None, [], tasks)
    if sheet and sheet.kind == MOODLE:
        made["moodle_worksheet.csv"] = platforms.moodle_worksheet(students, marks, sheet)
    made["canvas.csv"] = platforms.canvas_csv(students, marks, columns, sheet)
    made["moodle.csv"] = platforms.moodle_csv(students, tasks, marks)
    made["moodle_feedback.zip"] = _feedback_zip(found, about, {s.key: moodle_folder(s) for s in students})
    if book.setting("layout") == "Gradescope":
        known = {s.email: _gradescope(found, s, about) for s in students if s.email}
        made["gradescope.zip"] = platforms.gradescope_zip(known)
    if book.setting("layout") == "ILIAS":
        folders = ilias_folders(
            [*(handin.label for handin in book.handins()), *(left.origin for left in book.unmatched())]
        )
        mine = {key: folders[login] for login, keys in book.read_as().items() if login in folders for key in keys}
        made["ilias_feedback.zip"] = _feedback_zip(found, about, {key: f"multi_feedback/{mine[key]}" for key in mine})
    return made


def _feedback_zip(found: Standing, about: About, folders: Mapping[str, str]) -> bytes:
    """The feedback pages in the folders by which a platform knows people: key -> folder, blank for nobody.

    Empty where there is nobody.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for student in found.students:
            if folder := folders.get(student.key):
                with speaking(student.language):
                    result, mine = _of_student(found, student, about)
                    page = feedback.feedback_html(student, result, *mine, home="")
                info = zipfile.ZipInfo(f"{folder}/feedback.html")
                archive.writestr(info, page.encode("utf-8", "replace"), zipfile.ZIP_DEFLATED)
        empty = not archive.namelist()
    return b"" if empty else target.getvalue()


def _of_student(
    found: Standing, student: Student, about: About
) -> tuple[Result, tuple[Mapping[str, Row], Total, Sequence[str], str]]:
    """One student's result, and what their feedback says besides."""
    rows, mark = found.table[student.key], found.marks[student.key]
    result = student_result(student, rows, found.tasks, mark, about)
    return result, (rows, mark, policy_words(found.policy, mark), found.comments.get(student.key, ""))


def _gradescope(found: Standing, student: Student, about: About) -> str:
    with speaking(student.language):
        return platforms.gradescope_json(_of_student(found, student, about)[0])


def _tracks(course: Course, tasks: Sequence[TaskInfo]) -> list[TrackPart]:
    """The tracks that these tasks are of."""
    infos = {info.task: info for info in tasks}
    parts = [TrackPart(t.title, [infos[task.stem] for task in t.tasks if task.stem in infos]) for t in course.tracks]
    return [part for part in parts if part.tasks]


def environment_of(book: Gradebook, counted: Sequence[Row]) -> dict[str, object]:
    """The environment that most recently graded rows name; empty before the first verdict."""
    names = [row.environment for row in counted if row.environment]
    return dict(book.environment(names[-1])) if names else {}


def about_of(course: Course, document: dict[str, object], counted: Sequence[Row]) -> About:
    devices = document.get("devices")
    listed = tuple(str(device) for device in devices) if isinstance(devices, list) and devices else ("cpu",)
    seed = next((row.seed for row in counted if row.seed), 0)
    return About(course.title, __version__, str(document.get("torch", "")), listed, seed)


def _students(out: Path, found: Standing, about: About) -> dict[str, str]:
    """A folder for each student, in their language; returns the way from the class's page to each feedback page."""
    links: dict[str, str] = {}
    _clear(out / "students", {folder_name(student.key) for student in found.students})
    for student in found.students:
        name = folder_name(student.key)
        links[student.key] = f"students/{name}/feedback.html"
        with speaking(student.language):
            _write_documents(out / "students" / name, found, student, about)
    return links


def _write_documents(folder: Path, found: Standing, student: Student, about: About) -> None:
    result, mine = _of_student(found, student, about)
    seen = learner_view.learner_result(result)
    write(folder / "results.json", json.dumps(seen.to_json(), ensure_ascii=True) + "\n")
    write(folder / "mark.json", json.dumps(mark_json(found.marks[student.key]), ensure_ascii=True) + "\n")
    write(folder / "gradescope.json", platforms.gradescope_json(result))
    write(folder / "junit.xml", junit.junit_xml(seen))
    write(folder / "feedback.md", feedback.feedback_markdown(student, result, *mine))
    write(folder / "feedback.html", feedback.feedback_html(student, result, *mine, home=""))


def _clear(place: Path, keep: set[str]) -> None:
    """Take away what earlier runs wrote for people who are not in the class any more; nothing else."""
    for folder in place.iterdir() if place.is_dir() else ():
        if folder.name not in keep and folder.is_dir() and not folder.is_symlink():
            for name in _DOCUMENTS:
                (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it holds something that is not ours
                folder.rmdir()


def changes_csv(changed: Sequence[Change]) -> str:
    """Who changed in a regrade, by which check, from what to what."""
    head = tuple(column.name for column in fields(Change))
    return tables.to_csv(head, ([getattr(change, name) for name in head] for change in changed))


def write(place: Path, content: str | bytes) -> None:
    """Replace a file in one step. A lone surrogate, which no file can carry, becomes a question mark."""
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(f".{place.name}.new")
    draft.write_bytes(content.encode("utf-8", "replace") if isinstance(content, str) else content)
    os.replace(draft, place)
