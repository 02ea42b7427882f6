"""The class list as a file: CSV in the usual encodings, or .xlsx, with the headings of plain lists and of platforms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from torchgrade.batch.intake.roster import Identity, Roster
from torchgrade.batch.intake.sheets import parse_sheet, read_sheet
from torchgrade.errors import UsageError
from torchgrade.marks import GROUP, TEST_STUDENT, Student
from torchgrade.platform_sheet import Sheet, grade_places

# Column names, lower case, of plain lists and of the exports of Canvas, Moodle, Gradescope and Blackboard.
_COLUMNS = {
    "id": ("id", "student id", "sid", "id number", "sis user id", "login", "username", "user name", "netid",
           "student number", "student no", "student no.", "studentid", "matriculation",
           "matrikelnummer", "学号", "学生学号", "编号"),
    "name": ("name", "student", "full name", "student name", "姓名", "学生姓名", "名字", "vollständiger name"),
    "first": ("first name", "firstname", "given name", "vorname", "名"),
    "last": ("last name", "lastname", "surname", "family name", "nachname", "姓"),
    "email": ("email", "e-mail", "email address", "mail", "sis login id", "邮箱", "电子邮箱", "电子邮件",
              "e-mail-adresse"),
    "section": ("section", "sections", "group", "groups", "班级", "班", "gruppe", "gruppen"),
    "team": ("team", "teams", "team name", "小组", "组"),
    "language": ("language", "lang", "preferred language", "语言", "sprache"),
}  # fmt: skip
# Kept word for word, for finding people and for the tables that go back to the platform.
_PLATFORM = ("id", "sis user id", "sis login id", "id number", "username", "sid", "identifier", "github", GROUP)
_ALIASES = {
    "github username": "github", "github account": "github", "github_username": "github",
    "groups": GROUP, "gruppe": GROUP, "gruppen": GROUP,
}  # fmt: skip
_STAFF = {"instructor", "teacher", "ta", "reader", "observer", "designer"}  # in a column ``role``
_HEADING_LINES = 10  # so far down a title may push the headings


def read_roster(path: Path) -> list[Student]:
    """The students in the order of the file; raises UsageError naming the line to mend."""
    return _students(read_sheet(path, _is_heading), str(path))


def read_exported(path: Path) -> Sheet | None:
    """The same file as the gradebook that a platform exported, to be given back with marks; None where it is none."""
    return Sheet.of(read_sheet(path, _is_heading))


def parse_roster(text: str, name: str) -> list[Student]:
    """The students of a roster's text."""
    return _students(parse_sheet(text, name, _is_heading), name)


def _headings(cells: Iterable[str]) -> list[str]:
    names = [cell.strip().lstrip("\ufeff").lower() for cell in cells]
    return [_ALIASES.get(name, name) for name in names]


def _is_heading(cells: Iterable[str]) -> bool:
    names = set(_headings(cells))
    return any(names & set(_COLUMNS[field]) for field in ("id", "name", "last", "email"))


def _students(table: Sequence[Sequence[str]], name: str) -> list[Student]:
    worksheet = bool(table and grade_places(table))
    place = next((i for i, cells in enumerate(table[:_HEADING_LINES]) if _is_heading(cells)), 0 if worksheet else None)
    if place is None:
        raise UsageError(f"{name} needs a heading line with at least one of id, name, email")
    head = _headings(table[place])
    if worksheet:
        head[:2] = "identifier", "full name"  # in whatever language they stand there
    places = {field: _place(head, names) for field, names in _COLUMNS.items()}
    students: list[Student] = []
    keys: dict[str, int] = {}
    for number, cells in enumerate(table[place + 1 :], place + 2):
        if not any(cell.strip() for cell in cells) or _is_platforms_own(cells):
            continue
        role = dict(zip(head, cells, strict=False)).get("role", "")
        if role.strip().lower() in _STAFF:
            continue
        student = _student(head, cells, places)
        if not student.key:
            raise UsageError(f"{name}, line {number}: neither id nor e-mail nor name")
        if re.search(r"\S\s*;\s*\S", student.team):
            raise UsageError(
                f"{name}, line {number}: {student.key} is in several teams ({student.team}); one team for a person"
            )
        if student.key in keys and worksheet:  # two people of one name, whom the platform's number tells apart
            student = replace(student, key=student.ids["identifier"])
        if student.key in keys:
            _refuse_twice(student, number, students[[*keys].index(student.key)], keys[student.key], name)
        keys[student.key] = number
        students.append(student)
    if not students:
        raise UsageError(f"{name} names nobody below its headings")
    return students


def _refuse_twice(student: Student, line: int, before: Student, first: int, name: str) -> NoReturn:
    if student.team and before.team and student.team != before.team:
        told = f"{student.key} is in the team {student.team!r}, and in {before.team!r} by line {first}"
        raise UsageError(f"{name}, line {line}: {told}; one team for a person")
    raise UsageError(
        f"{name}, line {line}: {student.key} is in line {first} already; a column id tells people of one name apart"
    )


def read_teams(path: Path, listed: Sequence[Student]) -> list[Student]:
    """The class list with the teams of another file: a line for each member, with a column ``team`` (or ``group``).

    Where nobody is listed, the members are the list. Raises UsageError naming who is in no list or in two teams.
    """
    members = [_grouped(member) for member in read_roster(path)]
    if not any(member.team for member in members):
        raise UsageError(f"{path} needs a column team")
    if not listed:
        return members
    roster = Roster(listed)
    teams: dict[str, str] = {}
    for member in members:
        who = Identity(member.id or member.name, member.name or member.id, member.email)
        keys = roster.candidates(who)
        if len(keys) != 1:
            several = f"may be several people ({', '.join(keys)})" if keys else "is not on the list"
            raise UsageError(f"{path}: {who.label!r} of the team {member.team!r} {several}")
        if teams.setdefault(keys[0], member.team) != member.team:
            raise UsageError(
                f"{path}: {keys[0]} is in the teams {teams[keys[0]]!r} and {member.team!r}; one team for a person"
            )
    return [replace(student, team=teams.get(student.key, student.team)) for student in listed]


def _grouped(member: Student) -> Student:
    return member if member.team else replace(member, team=member.ids.get(GROUP, ""))


def _is_platforms_own(cells: Sequence[str]) -> bool:
    """Canvas' rows above and with the possible points: no person, only words such as "Manual Posting"."""
    words = {cell.strip().lower() for cell in cells if cell.strip()}
    first = cells[0].strip().lower()
    return "points possible" in first or all(re.match(r"manual posting|muted|\(read only\)", word) for word in words)


def _place(head: Sequence[str], names: Iterable[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)


def _student(head: Sequence[str], cells: Sequence[str], places: Mapping[str, int | None]) -> Student:
    def cell(field: str) -> str:
        place = places[field]
        return cells[place].strip() if place is not None and place < len(cells) else ""

    ids = {head[i]: cells[i].strip() for i in range(min(len(head), len(cells))) if head[i] in _PLATFORM}
    name = cell("name") or f"{cell('first')} {cell('last')}".strip()
    if not cell("name") and re.search(r"[\u4e00-\u9fff]", name):
        name = cell("last") + cell("first")
    person, email = cell("id"), cell("email")
    if name.casefold() == "student, test" and "sis login id" in ids:
        ids[TEST_STUDENT] = "yes"
    return Student(
        person or email or name, person, name, email, cell("section"), True, ids, cell("team"), cell("language")
    )
