"""A class whose people have pseudonyms in all that markers read. The gradebook knows the names, and so do the exports.

A pseudonym is drawn from the student's key with a secret of the gradebook: it stays the same from batch to batch.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import replace

from torchgrade.batch.gradebook.gradebook import Gradebook, Unmatched
from torchgrade.classes.standing import Standing
from torchgrade.handin.kinds import split_suffix
from torchgrade.marks import TEST_STUDENT, Row, Student

_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that are taken for each other, and no words
_LENGTH = 6
_HAN_NAME = re.compile(r"[\u4e00-\u9fff]{2}")  # a whole name; two Latin letters may be part of any word


def set_anonymous(book: Gradebook, wanted: bool) -> bool:
    """From now on, or not any more; whether that is a change."""
    changed = wanted != bool(book.setting("anonymous"))
    if wanted and not book.setting("pseudonyms"):
        book.set_setting("pseudonyms", secrets.token_hex(16))
    book.set_setting("anonymous", "yes" if wanted else "")
    return changed


def pseudonyms(book: Gradebook, others: Iterable[str] = ()) -> dict[str, str]:
    """key -> pseudonym, of the class and of ``others``; empty where the class is not anonymous."""
    if not book.setting("anonymous"):
        return {}
    drawn = _secret(book)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for key in dict.fromkeys([*(student.key for student in book.students()), *others]):
        length = _LENGTH
        while (name := _drawn("S-", key, drawn, length)) in taken:
            length += 1
        found[key] = name
        taken.add(name)
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


def masked_files(book: Gradebook) -> dict[str, Unmatched]:
    """path -> the leftover as it is shown: in an anonymous class under pseudonyms, that of the file too."""
    left, names = book.unmatched(), pseudonyms(book)
    if not names:
        return {entry.origin: entry for entry in left}
    people = {student.key: student for student in book.students()}
    drawn, shown = _secret(book), {}
    for entry in left:
        file = _drawn("F-", entry.origin, drawn, _LENGTH) + split_suffix(entry.origin)[1]
        name = names.get(entry.student, "")
        reason = hidden(entry.reason, people[entry.student], name, entry.origin) if name else entry.reason
        shown[entry.origin] = Unmatched(file, name, re.sub(r"'[^']*'", "'…'", reason))  # which may be another's path
    return shown


def _secret(book: Gradebook) -> bytes:
    return bytes.fromhex(book.setting("pseudonyms") or "")


def _student(student: Student, name: str, teams: Mapping[str, str]) -> Student:
    own = {TEST_STUDENT: "yes"} if TEST_STUDENT in student.ids else {}
    team = teams.get(student.team, "")
    return Student(name, "", "", "", student.section, student.listed, own, team, student.language)


def _row(row: Row, student: Student, name: str) -> Row:
    label = f"{name}/{row.task}{split_suffix(row.label)[1]}" if row.label else ""
    notes = tuple(hidden(note, student, name, row.label) for note in row.notes)
    return replace(row, student=name, label=label, reason=hidden(row.reason, student, name, row.label), notes=notes)


def hidden(text: str, student: Student, name: str, file: str = "") -> str:
    """The text with the pseudonym in place of the person's names and ids, and of what the ``file`` is called."""
    names = {student.name, *re.split(r"[\s,]+", student.name)}
    called = split_suffix(posixpath.basename(file))[0]
    signs = {student.key, student.id, student.email, *student.ids.values(), *names, called}
    known = [sign for sign in signs if len(sign) > 2 or _HAN_NAME.fullmatch(sign)]
    known.sort(key=len, reverse=True)
    return re.sub("|".join(map(re.escape, known)), name, text, flags=re.IGNORECASE) if known else text
