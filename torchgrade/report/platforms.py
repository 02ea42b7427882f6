"""What learning platforms import: Gradescope's results.json, the gradebooks of Canvas, Moodle and Blackboard."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torchgrade.marks import OPEN, Student, TaskInfo
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.platform_sheet import CANVAS, Column, Sheet, grade_places, number, participant
from torchgrade.report.escape import harmless, plain
from torchgrade.report.feedback_text import details
from torchgrade.report.learner_view import learner_result
from torchgrade.report.tables import Marks, to_csv
from torchgrade.sums import Total


def gradescope_json(result: Result) -> str:
    """One student's results for Gradescope, hidden checks by sentence, category and size of the error only.

    A task without a verdict has no scores, and then there is no total either: an absent score is no zero.
    """
    seen = learner_result(result)
    tests = [_test(task, check) for task in seen.tasks for check in task.checks]
    is_open = any(str(task.status) in OPEN for task in seen.tasks)
    document: dict[str, Any] = {
        "output": "Some tasks could not be graded yet; their points are missing." if is_open else "",
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "execution_time": round(sum(task.seconds for task in seen.tasks)),
        "tests": tests,
        "extra_data": {"schema": seen.schema, "course": plain(seen.course, lines=False), "engine": seen.engine},
    }
    if not is_open:
        document["score"] = seen.points
    return json.dumps(document, ensure_ascii=False)


_ANSWER = '''\
#!/usr/bin/env python3
"""Gives a hand-in the result that was graded before, by the address of whoever handed it in; runs nothing of it."""
import hashlib, json, os, pathlib, shutil, sys

root = pathlib.Path(os.environ.get("AUTOGRADER", "/autograder"))
people = json.loads((root / "submission_metadata.json").read_text(encoding="utf-8")).get("users", [])
names = [hashlib.sha256(who.get("email", "").strip().lower().encode()).hexdigest() for who in people]
found = [place for name in names if (place := root / "source" / "results" / f"{name}.json").is_file()]
if not found:
    sys.exit("there is no result for " + ", ".join(who.get("email", "?") for who in people))
(root / "results").mkdir(exist_ok=True)
shutil.copy(found[0], root / "results" / "results.json")
'''


def gradescope_zip(results: Mapping[str, str]) -> bytes:
    """An autograder that gives everybody the result that is known: e-mail address -> ``gradescope_json``.

    Who is not in it gets no result, and no zero.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("setup.sh", "#!/usr/bin/env bash\n"), ("run_autograder", _ANSWER)):
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o100755 << 16
            archive.writestr(info, text)
        for email, text in sorted(results.items()):
            name = hashlib.sha256(email.strip().lower().encode("utf-8", "replace")).hexdigest()
            info = zipfile.ZipInfo(f"results/{name}.json")
            archive.writestr(info, text.encode("utf-8", "replace"), zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _test(task: TaskGrade, check: Outcome) -> dict[str, Any]:
    name = check.title if check.device == "cpu" else f"{check.title} [{check.device}]"
    test: dict[str, Any] = {
        "name": plain(f"{task.title}: {name}", lines=False),
        "number": f"{task.short.removeprefix('task')}.{check.id}",
        "max_score": check.max_points,
        "output": plain("\n".join(details(check))),
        "output_format": "text",
        "tags": [task.task, check.category, str(check.status)],
        "visibility": "visible",
    }
    if str(check.status) not in OPEN:
        test["score"] = check.points
        test["status"] = "passed" if check.status is Status.PASSED else "failed"
    return test


def canvas_csv(students: Sequence[Student], marks: Marks, columns: Sequence[Column], sheet: Sheet | None) -> str:
    """Canvas' gradebook import: its own first columns, a line of possible points, the columns that are set.

    A blank cell would erase the mark that is there: where there is no verdict, the export's own cell stands, and a
    student without any is left out. Without Canvas' export the ids come from the roster or the downloaded files.
    """
    place = sheet.front if sheet and sheet.kind == CANVAS else 5
    people = _canvas_people(students) if sheet is None or sheet.kind != CANVAS else _listed(students, sheet, "id", 1)
    head = sheet.head[:place] if sheet and sheet.kind == CANVAS else _CANVAS_HEAD
    lines: list[list[object]] = []
    if all(column.points is not None for column in columns):
        lines = [["    Points Possible", *[""] * (place - 1), *(column.points for column in columns)]]
    for student, line in people:
        values = [_value(column, marks[student.key]) for column in columns]
        if any(value is not None for value in values):
            before = [_cell_of(sheet, line, column.heading) for column in columns]
            shown = [value if value is not None else old for value, old in zip(values, before, strict=True)]
            lines.append([*line[:place], *shown])
    # A mark at the beginning would be read as part of the first heading.
    return to_csv([*head, *(column.heading for column in columns)], lines).removeprefix("\ufeff")


_CANVAS_HEAD = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")


def _canvas_people(students: Sequence[Student]) -> list[tuple[Student, Sequence[str]]]:
    found: list[tuple[Student, Sequence[str]]] = []
    for student in students:
        ids = student.ids
        number = ids.get("platform") or ids.get("id") or (student.id if student.id.isdigit() else "")
        login = ids.get("sis login id", "") or student.email
        front = [student.name or student.key, number, ids.get("sis user id", ""), login, student.section]
        found.append((student, front))
    return found


def _listed(students: Sequence[Student], sheet: Sheet, sign: str, place: int) -> list[tuple[Student, Sequence[str]]]:
    """The students in the order of the export, each with its line there; ``place`` is that of the ``sign``."""
    known = {student.ids[sign]: student for student in students if student.ids.get(sign)}
    lines = [line for line in sheet.rows if len(line) > place]
    return [(known[line[place].strip()], line) for line in lines if line[place].strip() in known]


def _cell_of(sheet: Sheet | None, line: Sequence[str], heading: str) -> str:
    place = sheet.head.index(heading) if sheet and heading in sheet.head else len(line)
    return line[place] if place < len(line) else ""


def _value(column: Column, mark: Total) -> float | None:
    """What goes into a column, out of its possible points, two decimals; None without a verdict."""
    if column.task:
        line = mark.line(column.task)
        possible = line.max_points if column.points is None else column.points
        return None if line.points is None else round(line.share * possible, 2)
    possible = mark.max_points if column.points is None else column.points
    return None if mark.percent is None else round(mark.percent / 100 * possible, 2)


def blackboard_csv(students: Sequence[Student], marks: Marks, columns: Sequence[Column], sheet: Sheet) -> str:
    """Blackboard's upload: the person's columns and those that are set, every cell in quotes, as it wants them.

    Only columns with Blackboard's own number: another one would become a new column of text.
    """
    known = [column for column in columns if column.heading in sheet.head]
    lines: list[list[object]] = []
    for student, line in _listed(students, sheet, "username", sheet.head.index("Username")):
        values = [_value(column, marks[student.key]) for column in known]
        before = [_cell_of(sheet, line, column.heading) for column in known]
        shown = [value if value is not None else old for value, old in zip(values, before, strict=True)]
        lines.append([*line[: sheet.front], *shown])
    head = [*sheet.head[: sheet.front], *(column.heading for column in known)]
    return to_csv(head, lines, quoted=True).removeprefix("\ufeff")


def moodle_worksheet(students: Sequence[Student], marks: Marks, sheet: Sheet) -> str:
    """Moodle's grading worksheet as it was downloaded, with the grades in it: all other cells, and their order, stay.

    Where there is no total yet, the grade that stands there stays too. Moodle passes over what is above the maximum.
    """
    places = grade_places([sheet.head, *sheet.rows])
    assert places is not None  # that is what makes it a worksheet
    grade, most = places
    filled: dict[str, list[str]] = {line[0]: list(line) for line in sheet.rows}
    for student, line in _listed(students, sheet, "identifier", 0):
        percent = marks[student.key].percent
        if percent is not None:
            filled[line[0]][grade] = f"{round(min(percent, 100) / 100 * (number(line[most]) or 0.0), 2):.2f}"
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(sheet.head)
    writer.writerows([text if text == "-" else harmless(text) for text in line] for line in filled.values())
    return target.getvalue()


def moodle_folder(student: Student) -> str:
    """The folder of a zip of feedback files by which Moodle finds a student; empty where the number is not known."""
    signs = (student.ids.get("platform", ""), student.key)  # which other platforms, too, give people: abc123
    own = next((sign for sign in signs if sign.startswith("Participant ")), "")
    found = participant(student.ids.get("identifier", "") or own)
    name = re.sub(r'[\\/:*?"<>|_]+', "-", plain(student.shown, lines=False))
    return f"{name.strip(' .~-') or 'student'}_{found}_assignsubmission_file_" if found else ""


def ilias_folders(paths: Iterable[str]) -> dict[str, str]:
    """login -> the folder by which ILIAS knows a person, from the paths of what was downloaded."""
    parts = {part for path in paths for part in path.split("/")[:-1]}
    return {found[1]: found[0] for part in parts if (found := _ILIAS.fullmatch(part))}


_ILIAS = re.compile(r"[^_]+_[^_]+_(.+)_\d+")


def moodle_csv(students: Sequence[Student], tasks: Sequence[TaskInfo], marks: Marks) -> str:
    """Moodle's grade import: people by id number, e-mail or participant number, a column for each task."""
    head = ["Identifier", "ID number", "Full name", "Email address", *(_column(task) for task in tasks), "Total (%)"]
    lines = []
    for student in students:
        ids = student.ids
        participant = ids.get("identifier", "") or ids.get("platform", "")
        participant = participant or (student.key if student.key.startswith("Participant ") else "")
        number = ids.get("id number") or ("" if participant == student.id else student.id)
        front: list[object] = [participant, number, student.name or student.key, student.email]
        points = [marks[student.key].line(task.task).points for task in tasks]
        lines.append([*front, *points, marks[student.key].percent])
    return to_csv(head, lines).removeprefix("\ufeff")


def _column(task: TaskInfo) -> str:
    return f"{task.short.replace('task', 'Task ')} {task.title}"
