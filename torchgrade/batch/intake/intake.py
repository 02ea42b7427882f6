"""From a class's files to hand-ins: every file ends with a student and a task, or on the list with a reason.

``layouts`` says whose file it is, ``handin.reading`` what answers a task; here attempts are numbered and kept.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.storage import Handin, Unmatched, source_hash
from torchgrade.batch.intake.layouts import Layout, Owner, metadata_path, recognise
from torchgrade.batch.intake.roster import Roster
from torchgrade.errors import UsageError
from torchgrade.handin.files import Entry, Files
from torchgrade.handin.matching import by_name
from torchgrade.handin.naming import is_junk
from torchgrade.handin.opener import Opener
from torchgrade.handin.reading import Answer, Given, Reading, read_handin
from torchgrade.marks import Student


@dataclass
class Intake:
    """What was read: ``handins``, the students, and the leftovers. ``keep`` takes (file name, bundle) as they come."""

    keep: Callable[[str, bytes], None]

    layout: str = ""
    students: list[Student] = field(default_factory=list)
    handins: list[Handin] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)


def read_class(
    files: Files,
    wanted: Mapping[str, frozenset[str]],
    opener: Callable[[], Opener],
    listed: Sequence[Student] = (),
    *,
    keep: Callable[[str, bytes], None],
    asked: Sequence[str] | None = None,
    pattern: str | None = None,
    attempt: str = "last",
    ignore: Sequence[str] = (),
) -> Intake:
    """Read everything. ``wanted`` maps each task of the course to the names that it defines, ``asked`` are those that
    count; ``attempt`` is last, best or all."""
    place = metadata_path(files.entries)
    metadata = files.entries[place].read().decode("utf-8", "replace") if place else None
    entries = files.all()
    layout = recognise(entries, metadata, pattern)
    intake = Intake(keep, layout.name)
    intake.unmatched += [Unmatched(path, "", why) for path, why in [*layout.unmatched.items(), *files.ignored.items()]]
    intake.unmatched += [Unmatched(p, "", "a program left it; it is no hand-in") for p in entries if is_junk(p)]
    roster = Roster(listed)
    for owner, group in _groups(entries, layout):
        given = [_given(path, entry, layout.owners[path], wanted) for path, entry in group]
        with opener() as own:
            reading = read_handin(given, wanted, own, ignore)
        owners = {id(entry): layout.owners[entry.path] for entry in given}
        _record(intake, [roster.find(who) for who in owner.owners], reading, owners, asked or list(wanted), attempt)
    intake.students = list(roster.students.values())
    return intake


def _given(path: str, entry: Entry, owner: Owner, wanted: Mapping[str, frozenset[str]]) -> Given:
    order = (owner.submitted, owner.order)
    return Given(path, owner.file, entry.read, entry.modified, order, _named(owner, wanted))


def _named(owner: Owner, wanted: Mapping[str, frozenset[str]]) -> str:
    """The task that ``--pattern`` says; raises UsageError when it says one that does not exist."""
    if not owner.task:
        return ""
    task = by_name(owner.task, wanted) or by_name(f"task{owner.task}", wanted)
    if task is None:
        raise UsageError(f"--pattern finds the task {owner.task!r} in {owner.file!r}, which the course lacks")
    return task


def _groups(entries: Mapping[str, Entry], layout: Layout) -> Iterator[tuple[Owner, list[tuple[str, Entry]]]]:
    """The files of one hand-in after another, so that helpers are found beside the modules that use them."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for path in sorted(layout.owners):
        groups.setdefault(tuple(layout.owners[path].owners), []).append(path)
    for paths in groups.values():
        yield layout.owners[paths[0]], [(path, entries[path]) for path in paths]


def _record(
    intake: Intake,
    students: Sequence[Student],
    reading: Reading,
    owners: Mapping[int, Owner],
    asked: Sequence[str],
    attempt: str,
) -> None:
    """Number the attempts of each task and keep those that are asked for."""
    for student in students:
        intake.unmatched += [Unmatched(path, student.key, why) for path, why in reading.aside]
    for task in asked:
        answers = reading.answers[task]
        readable = [answer for answer in answers if answer.code is not None]
        # A file that cannot be opened is no attempt while another one can.
        attempts = readable or list(answers[-1:])
        chosen = _chosen(attempts, attempt)
        for number, answer in chosen:
            source, owner = _keep(intake, answer), owners[id(answer.given)]
            for student in students:
                row = (student.key, task, number, answer.path, source, answer.reason, owner.submitted, owner.late)
                intake.handins.append(Handin(*row))
        graded = {id(answer) for _, answer in chosen}
        for answer in answers:
            if id(answer) not in graded:
                why = answer.reason or f"an earlier attempt at {task}; --attempt best or all grades it too"
                intake.unmatched += [Unmatched(answer.path, student.key, why) for student in students]


def _chosen(attempts: Sequence[Answer], attempt: str) -> list[tuple[int, Answer]]:
    numbered = list(enumerate(attempts, 1))
    return numbered[-1:] if attempt == "last" else numbered


def _keep(intake: Intake, answer: Answer) -> str | None:
    if answer.code is None:
        return None
    packed = Bundle(answer.code, answer.helpers).pack()
    intake.keep(posixpath.basename(answer.path), packed)
    return source_hash(packed)


def unlisted(students: Iterable[Student]) -> list[Student]:
    """Those who handed in and are not on the roster."""
    return [student for student in students if not student.listed]
