"""A class whose people have pseudonyms in all that markers read. The gradebook knows the names, and so do the exports.

A pseudonym is drawn from the student's key with a secret of the gradebook: it stays the same from batch to batch.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace

from torchgrade.batch.gradebook.gradebook import Gradebook
from torchgrade.classes.standing import Standing
from torchgrade.handin.kinds import split_suffix
from torchgrade.marks import TEST_STUDENT, Row, Student

_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that are taken for each other, and no words
_LENGTH = 6


def set_anonymous(book: Gradebook, wanted: bool) -> None:
    """From now on, or not any more."""
    if wanted and not book.setting("pseudonyms"):
        book.set_setting("pseudonyms", secrets.token_hex(16))
    book.set_setting("anonymous", "yes" if wanted else "")


def pseudonyms(book: Gradebook) -> dict[str, str]:
    """key -> pseudonym; empty where the class is not anonymous."""
    if not book.setting("anonymous"):
        return {}
    drawn = bytes.fromhex(book.setting("pseudonyms") or "")
    found: dict[str, str] = {}
    for student in book.students():
        length = _LENGTH
        while (name := _drawn("S-", student.key, drawn, length)) in found.values():
            length += 1
        found[student.key] = name
    return found


def _drawn(prefix: str, key: str, drawn: bytes, length: int) -> str:
    number = int.from_bytes(hashlib.blake2s(key.encode("utf-8", "surrogatepass"), key=drawn).digest(), "big")
    signs = ""
    for _ in range(length):
        number, place = divmod(number, len(_SIGNS))
        signs += _SIGNS[place]
    return prefix + signs


def masked(found: Standing, names: Mapping[str, str]) -> Standing:
    """The same class under its pseudonyms; as it is where there are none."""
    if not names:
        return found
    people = {student.key: student for student in found.students}
    teams = {student.team: f"T-{names[student.key][2:]}" for student in found.students if student.team}
    return replace(
        found,
        students=sorted((_student(s, names[s.key], teams) for s in found.students), key=lambda student: student.key),
        every=[_row(row, people[row.student], names[row.student]) for row in found.every],
        table={
            names[key]: {task: _row(row, people[key], names[key]) for task, row in mine.items()}
            for key, mine in found.table.items()
        },
        marks={names[key]: mark for key, mark in found.marks.items()},
        comments={names[key]: said for key, said in found.comments.items() if key in names},
        pseudonyms=names,
    )


def _student(student: Student, name: str, teams: Mapping[str, str]) -> Student:
    own = {TEST_STUDENT: "yes"} if TEST_STUDENT in student.ids else {}
    team = teams.get(student.team, "")
    return Student(name, "", "", "", student.section, student.listed, own, team, student.language)


def _row(row: Row, student: Student, name: str) -> Row:
    label = f"{name}/{row.task}{split_suffix(row.label)[1]}" if row.label else ""
    notes = tuple(_hidden(note, student, name) for note in row.notes)
    return replace(row, student=name, label=label, reason=_hidden(row.reason, student, name), notes=notes)


def _hidden(text: str, student: Student, name: str) -> str:
    """The text with the pseudonym in place of the person's names and ids, which names of files may hold."""
    names = {student.name, *re.split(r"[\s,]+", student.name)}
    signs = {student.key, student.id, student.email, *student.ids.values(), *names}
    known = sorted((sign for sign in signs if len(sign) > 2), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, known)), name, text, flags=re.IGNORECASE) if known else text
