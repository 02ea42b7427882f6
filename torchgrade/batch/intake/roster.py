"""The class list: a CSV of the instructor's, and finding the person that a file name means."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torchgrade.errors import UsageError
from torchgrade.marks import Student

# Column names, lower case, of plain lists and of the exports of Canvas, Moodle and Gradescope.
_COLUMNS = {
    "id": ("id", "student id", "sid", "id number", "sis user id", "login", "username", "matriculation"),
    "name": ("name", "student", "full name", "student name"),
    "first": ("first name", "firstname", "given name"),
    "last": ("last name", "lastname", "surname", "family name"),
    "email": ("email", "e-mail", "email address", "mail", "sis login id"),
    "section": ("section", "sections", "group", "groups"),
}
# Kept word for word, for the tables that go back to the platform.
_PLATFORM = ("id", "sis user id", "sis login id", "id number", "username", "sid")


class Identity(NamedTuple):
    """What a file name or an export says about a person; any part may be empty."""

    id: str = ""
    name: str = ""
    email: str = ""


def read_roster(path: Path) -> list[Student]:
    """The students of a CSV file in the order of the file; raises UsageError naming the line to mend."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    for encoding in ("utf-8-sig", "gb18030", "cp1252"):
        try:
            return parse_roster(data.decode(encoding), str(path))
        except UnicodeDecodeError:
            continue
    raise UsageError(f"{path} is not text in UTF-8, GBK or Windows-1252")


def parse_roster(text: str, name: str) -> list[Student]:
    """The students of a roster's text."""
    try:
        dialect: type[csv.Dialect] | str = csv.Sniffer().sniff(text[:4096].split("\n")[0], ",;\t")
    except csv.Error:
        dialect = "excel"
    table = list(csv.reader(io.StringIO(text), dialect))
    head = [cell.strip().lower() for cell in table[0]] if table else []
    places = {field: _place(head, names) for field, names in _COLUMNS.items()}
    if all(places[field] is None for field in ("id", "name", "last", "email")):
        raise UsageError(f"{name} needs a heading line with at least one of id, name, email")
    students: list[Student] = []
    keys: dict[str, int] = {}
    for number, cells in enumerate(table[1:], 2):
        if not any(cell.strip() for cell in cells) or cells[0].strip().lower() == "points possible":
            continue
        student = _student(head, cells, places)
        if not student.key:
            raise UsageError(f"{name}, line {number}: neither id nor e-mail nor name")
        if student.key in keys:
            raise UsageError(f"{name}, line {number}: {student.key} is in line {keys[student.key]} already")
        keys[student.key] = number
        students.append(student)
    return students


def _place(head: Sequence[str], names: Iterable[str]) -> int | None:
    return next((head.index(name) for name in names if name in head), None)


def _student(head: Sequence[str], cells: Sequence[str], places: Mapping[str, int | None]) -> Student:
    def cell(field: str) -> str:
        place = places[field]
        return cells[place].strip() if place is not None and place < len(cells) else ""

    ids = {head[i]: cells[i].strip() for i in range(min(len(head), len(cells))) if head[i] in _PLATFORM}
    name = cell("name") or f"{cell('first')} {cell('last')}".strip()
    person, email = cell("id"), cell("email")
    return Student(person or email or name, person, name, email, cell("section"), True, ids)


class Roster:
    """Finds the student that an identity means; people that are not on the list get an entry of their own."""

    def __init__(self, listed: Sequence[Student] = ()) -> None:
        self.students: dict[str, Student] = {student.key: student for student in listed}
        self._index: dict[str, str | None] = {}
        for student in listed:
            for sign in _signs(student):
                # A sign that two people share names nobody.
                self._index[sign] = None if sign in self._index else student.key

    def find(self, who: Identity) -> Student:
        """The listed student with this id, e-mail or name, in this order; else a new, unlisted one."""
        for sign in (who.id, who.email, who.email.split("@")[0], who.name):
            key = self._index.get(_folded(sign)) if sign else None
            key = key or (self._index.get(_sorted(sign)) if sign else None)
            if key:
                return self._known(key, who)
        key = who.id or who.email or who.name
        if key not in self.students:
            self.students[key] = Student(key, who.id, who.name, who.email)
        return self.students[key]

    def _known(self, key: str, who: Identity) -> Student:
        """The listed student, with the platform's own number kept for the tables that go back to it."""
        student = self.students[key]
        if who.id and who.id not in (student.id, student.key):
            student = self.students[key] = replace(student, ids={**student.ids, "platform": who.id})
        return student


def _signs(student: Student) -> set[str]:
    mail = student.email
    exact = {student.key, student.id, mail, mail.split("@")[0], student.name, *student.ids.values()}
    words = student.name.replace(",", " ").split()
    # Canvas joins the last name and the first ones.
    joined = {"".join([*words[i:], *words[:i]]) for i in range(len(words))}
    return {_folded(sign) for sign in exact | joined if sign} | ({_sorted(student.name)} if words else set())


def _folded(text: str) -> str:
    """Without case, accents, blanks and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if c.isalnum() or c in "@.")


def _sorted(text: str) -> str:
    words = text.replace(",", " ").replace("_", " ").split()
    return " ".join(sorted(_folded(word) for word in words))
