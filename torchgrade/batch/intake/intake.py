"""From a class's files to hand-ins: every file ends with a student and a task, or on the list with a reason.

What students sent stays bytes here: archives and notebooks are opened by another process (``unfold``),
sources are searched but never parsed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.gradebook import Handin, Unmatched, source_hash
from torchgrade.batch.intake.folder import Entry, Files
from torchgrade.batch.intake.layouts import Layout, Owner, metadata_path, recognise
from torchgrade.batch.intake.naming import is_container
from torchgrade.batch.intake.roster import Found, Identity, Roster
from torchgrade.batch.intake.unfold import Unfolder
from torchgrade.errors import UsageError
from torchgrade.handin.archives import is_archive
from torchgrade.handin.matching import match
from torchgrade.handin.names import Refused, shown
from torchgrade.handin.naming import is_junk
from torchgrade.handin.notebooks import is_notebook
from torchgrade.marks import Student
from torchgrade.policy import moment

MODULE = 1 << 20  # bytes of one module
ARCHIVE = 20 << 20
HELPERS = 20
_NAMED = 8  # so many names a sentence holds


@dataclass(frozen=True)
class Piece:
    """One module or unreadable file of one hand-in, before it has an attempt number.

    ``student`` is the key of whom a person gave the file to, empty where its place tells.
    """

    label: str
    task: str
    order: tuple[str, int, int, float, str]
    bundle: Bundle | None
    reason: str = ""
    submitted: str = ""
    late: bool | None = None
    student: str = ""


@dataclass(frozen=True)
class Decided:
    """What people settled before: labels that mean a student (or, empty, nobody), files that belong to a student and
    a task, and everybody who was ever known."""

    labels: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    past: Sequence[Student] = ()


@dataclass
class Intake:
    """What was read: ``handins``, the students, the leftovers, and what is in doubt.

    ``doubts`` are sentences with the option that mends them. ``keep`` takes (file name, bundle) as they come;
    ``found`` says whom each name was taken for.
    """

    keep: Callable[[str, bytes], None]

    layout: str = ""
    students: list[Student] = field(default_factory=list)
    handins: list[Handin] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    found: Mapping[Identity, Found] = field(default_factory=dict)


class Line(NamedTuple):
    """One line of what was read: a file, whose it is, for which task, and what else is to be said."""

    file: str
    person: str
    task: str
    note: str


def table(intake: Intake) -> list[Line]:
    """File, person, task: the hand-ins by person, then the files that are nobody's or no task's."""
    names = {student.key: student for student in intake.students}
    tasks: dict[tuple[str, str, str], list[str]] = {}
    for handin in sorted(intake.handins):
        note = handin.reason if handin.source is None else ""
        tasks.setdefault((handin.student, handin.label, note), []).append(handin.task)
    lines = []
    for (key, label, note), answered in tasks.items():
        shown_name = names[key].shown
        person = key if shown_name == key else f"{shown_name} ({key})"
        several = f"{answered[0]} and {len(answered) - 1} more"
        lines.append(Line(label, person, several if len(answered) > 1 else answered[0], note))
    used = {line.file for line in lines}
    others = [entry for entry in sorted(intake.unmatched) if entry.origin not in used]
    return lines + [Line(entry.origin, entry.student or "?", "-", entry.reason) for entry in others]


def read_class(
    files: Files,
    wanted: Mapping[str, frozenset[str]],
    listed: Sequence[Student] = (),
    *,
    keep: Callable[[str, bytes], None],
    tasks: Collection[str] | None = None,
    pattern: str | None = None,
    attempt: str = "last",
    decided: Decided | None = None,
    unfold: Callable[[], Unfolder] = Unfolder,
) -> Intake:
    """Read everything.

    ``wanted`` maps each task of the course to the names that it defines; of these ``tasks`` are asked for (default:
    all), and files of the others are passed over. ``attempt`` is last, best or all. Raises UsageError where nothing
    is a hand-in.
    """
    decided = decided or Decided()
    place = metadata_path(files.entries)
    metadata = files.entries[place].read().decode("utf-8", "replace") if place else None
    entries = files.all()
    roster = Roster(listed, decided.labels, decided.past)
    layout = recognise(entries, metadata, pattern, tasks=list(wanted), known=roster.knows if listed else None)
    intake = Intake(keep, layout.name)
    given = {path: (roster.present(key), task) for path, (key, task) in decided.files.items()}
    intake.unmatched += [Unmatched(path, "", why) for path, why in layout.unmatched.items() if path not in given]
    intake.unmatched += [Unmatched(p, "", "an operating system left it") for p in entries if is_junk(p)]
    intake.found = roster.find(who for owner in layout.owners.values() for who in owner.owners)
    handed: dict[str, _Handed] = {}
    with unfold() as unfolder:
        for owner, group in _groups(entries, layout, given):
            reader = _Reader(wanted, unfolder, given)
            for path, entry in group:
                reader.take(path, entry, layout.owners.get(path, owner))
            keys = list(dict.fromkeys(key for who in owner.owners for key in intake.found[who].keys))
            _hand_over(handed, keys, reader)
            if not keys:
                why = "nobody's: its student was removed" if owner.owners else "it was given to somebody"
                intake.unmatched += [Unmatched(path, "", why) for path, _ in group if path not in given]
    for key in handed:
        if key not in roster.students:
            roster.find([Identity(key)])
    asked = [task for task in wanted if tasks is None or task in tasks]
    for key, work in handed.items():
        _record(intake, key, work, asked, attempt)
    intake.students = roster.class_of()
    if not any(work.pieces for work in handed.values()) and not any(
        s.listed and s.key in handed for s in intake.students
    ):
        raise UsageError(f"nothing is handed in here: none of the {len(entries)} files fits a task of the course")
    intake.doubts = [*layout.doubts, *_doubts(intake, layout, listed, decided)]
    return intake


def _groups(
    entries: Mapping[str, Entry], layout: Layout, given: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[Owner, list[tuple[str, Entry]]]]:
    """The files of one hand-in after another, so that helpers are found beside the modules that use them."""
    groups: dict[tuple[Identity, ...], list[str]] = {}
    for path in sorted(layout.owners):
        if path not in given:
            groups.setdefault(tuple(layout.owners[path].owners), []).append(path)
    for paths in groups.values():
        yield layout.owners[paths[0]], [(path, entries[path]) for path in paths]
    for path in sorted(set(given) & set(entries)):
        yield Owner((), posixpath.basename(path)), [(path, entries[path])]


class _Reader:
    """Reads the files of one hand-in."""

    def __init__(
        self, wanted: Mapping[str, frozenset[str]], unfolder: Unfolder, given: Mapping[str, tuple[str, str]]
    ) -> None:
        self.wanted = wanted
        self.unfolder = unfolder
        self.given = given
        self.pieces: list[Piece] = []
        self.helpers: dict[str, bytes] = {}
        self.leftovers: list[tuple[str, str]] = []
        self.strange: list[tuple[str, str]] = []  # what came and is no submission

    def take(self, path: str, entry: Entry, owner: Owner) -> None:
        """Read one file; whatever is wrong with it becomes a row or a leftover with a sentence."""
        try:
            data = entry.read()
        except Refused as refusal:
            self._lost(path, owner.file, entry, owner, str(refusal))
            return
        if not is_archive(owner.file) and not is_archive(path):
            self._file(path, owner.file, data, entry, owner)
            return
        if path in self.given:
            self._lost(path, owner.file, entry, owner, "it is an archive; give one of its files")
            return
        if len(data) > ARCHIVE:
            self._lost(path, owner.file, entry, owner, f"the archive is larger than {ARCHIVE >> 20} MB")
            return
        found = self.unfolder.archive(data)
        if found.error or not found.files:
            reason = found.error or "the archive holds no file that can be read"
            self._lost(path, owner.file, entry, owner, reason)
        for name, why in found.refused:
            self.leftovers.append((f"{path}/{name}", why))
        for name, content in found.files.items():
            if not is_junk(name):
                self._file(f"{path}/{name}", name, content, entry, owner)

    def _file(self, path: str, name: str, data: bytes, entry: Entry, owner: Owner) -> None:
        notebook = is_notebook(name)
        if owner.note or not (notebook or name.lower().endswith(".py") or path in self.given):
            self._lost(path, name, entry, owner, owner.note or "it is neither a Python file, a notebook nor an archive")
            return
        task, how = match(name, data, self.wanted)
        task = self.given[path][1] if path in self.given else self._named(owner) or task
        if task is None and not notebook and len(data) <= MODULE and len(self.helpers) < HELPERS:
            self.helpers[posixpath.basename(name)] = data
            self.leftovers.append((path, f"{how}; it is kept as a helper module"))
            self.strange.append((path, how))
            return
        if task is None:
            self._odd(path, how)
            return
        if not notebook and len(data) > MODULE:
            self._piece(path, task, entry, owner, None, f"the file is larger than {MODULE >> 20} MB")
            return
        bundle, reason = self._notebook(path, data) if notebook else (Bundle(data), "")
        self._piece(path, task, entry, owner, bundle, reason)

    def _notebook(self, path: str, data: bytes) -> tuple[Bundle | None, str]:
        found = self.unfolder.notebook(data)
        self.leftovers += [(f"{path}, {place}", why) for place, why in found.refused]
        if found.error:
            return None, found.error
        [text] = found.files.values()
        return Bundle(text, starts=found.starts, cells=found.cells), ""

    def _odd(self, path: str, why: str) -> None:
        self.leftovers.append((path, why))
        self.strange.append((path, why))

    def _lost(self, path: str, name: str, entry: Entry, owner: Owner, reason: str) -> None:
        """A file that cannot be opened: a row for the task that its name tells, else one that came and is strange."""
        given = self.given.get(path, ("", ""))[1]
        task = given or self._named(owner) or match(name, b"", self.wanted).task
        if not task:
            self._odd(path, reason)
            return
        self.leftovers.append((path, reason))
        self._piece(path, task, entry, owner, None, reason)

    def _named(self, owner: Owner) -> str | None:
        """The task that ``--pattern`` says; raises UsageError when it says one that does not exist."""
        if not owner.task:
            return None
        task = match(owner.task, b"", self.wanted).task or match(f"task{owner.task}", b"", self.wanted).task
        if task is None:
            raise UsageError(f"--pattern finds the task {owner.task!r} in {owner.file!r}, which the course lacks")
        return task

    def _piece(self, path: str, task: str, entry: Entry, owner: Owner, bundle: Bundle | None, reason: str) -> None:
        if bundle is not None:
            bundle = Bundle(bundle.main, self.helpers, bundle.starts, bundle.cells)  # helpers that come later count too
        order = (owner.submitted, -owner.file.count("/"), owner.order, entry.modified, path)
        student = self.given.get(path, ("", ""))[0]
        self.pieces.append(Piece(path, task, order, bundle, reason, owner.submitted, owner.late, student))


@dataclass
class _Handed:
    """All that one student handed in, from however many places."""

    pieces: list[Piece] = field(default_factory=list)
    leftovers: list[tuple[str, str]] = field(default_factory=list)
    strange: list[tuple[str, str]] = field(default_factory=list)


def _hand_over(handed: dict[str, _Handed], keys: Sequence[str], reader: _Reader) -> None:
    for piece in reader.pieces:
        for key in [piece.student] if piece.student else keys:
            handed.setdefault(key, _Handed()).pieces.append(piece)
    for key in keys:
        work = handed.setdefault(key, _Handed())
        work.leftovers += reader.leftovers
        work.strange += reader.strange


def _record(intake: Intake, key: str, work: _Handed, asked: Sequence[str], attempt: str) -> None:
    """Number the attempts at each task and keep those that are asked for."""
    intake.unmatched += [Unmatched(path, key, why) for path, why in work.leftovers]
    for task in asked:
        pieces = sorted((piece for piece in work.pieces if piece.task == task), key=lambda piece: piece.order)
        readable = [piece for piece in pieces if piece.bundle is not None]
        # A file that cannot be opened is no attempt while another one can.
        attempts = readable or pieces[-1:]
        chosen = list(enumerate(attempts, 1))[-1 if attempt == "last" else 0 :]
        for number, piece in chosen:
            source = _keep(intake, piece)
            row = (key, task, number, piece.label, source, piece.reason, piece.submitted, piece.late)
            intake.handins.append(Handin(*row))
        why = f"an earlier attempt at {task}; --attempt best or all grades it too"
        intake.unmatched += [Unmatched(piece.label, key, why) for piece in attempts[: len(attempts) - len(chosen)]]
        if not attempts and (strange := _instead(work)):
            several = [f"{shown(posixpath.basename(path))}: {why}" for path, why in strange[:3]]
            reason = "; ".join(several) if len(strange) > 1 else strange[0][1]
            more = f"; and {len(strange) - 3} more files" if len(strange) > 3 else ""
            intake.handins.append(Handin(key, task, 1, strange[0][0], None, reason + more))


def _instead(work: _Handed) -> list[tuple[str, str]]:
    """What came where no file answers a task: archives that stay closed may hold it, anything else if it is all."""
    closed = [(path, why) for path, why in work.strange if is_container(path)]
    return closed or (work.strange if not work.pieces else [])


def _keep(intake: Intake, piece: Piece) -> str | None:
    if piece.bundle is None:
        return None
    packed = piece.bundle.pack()
    intake.keep(posixpath.basename(piece.label), packed)
    return source_hash(packed)


# What does not fit


def _doubts(intake: Intake, layout: Layout, listed: Sequence[Student], decided: Decided) -> Iterator[str]:
    by_key = {student.key: student for student in intake.students}
    claims: dict[str, list[str]] = {}
    for who, found in intake.found.items():
        if found.doubt:
            yield f"{found.doubt}; give the list a column that tells them apart, or --pattern"
        told = who.own or who.team or who.label in decided.labels
        for key in found.keys if not told else ():
            claims.setdefault(key, []).append(who.label)
    settled = {*decided.labels.values(), *(key for key, _ in decided.files.values())}  # no strangers: somebody said so
    keys = {key for found in intake.found.values() for key in found.keys}
    if listed and not any(by_key[key].listed for key in keys):
        yield (f"nobody of the list handed in; the names that were read are {_some(sorted(keys))}: "
               "is it the right --roster? --pattern says where a path names the student")  # fmt: skip
    elif strangers := sorted(key for key in keys - settled if not by_key[key].listed) if listed else []:
        yield (f"not on the list: {_some(strangers)}; add them to --roster, say by --pattern where a path names the "
               "student, or go on with --yes")  # fmt: skip
    for key, labels in claims.items():
        if len(labels) > 1:
            yield (f"{_some(labels)} are all taken for {by_key[key].shown}; --pattern tells people apart, "
                   "with --yes they are attempts of one person")  # fmt: skip
    odd = sorted(
        {owner.submitted for owner in layout.owners.values() if owner.submitted and not moment(owner.submitted)}
    )
    if odd:
        yield f"not read as a date: {_some(odd)}; the group `date` of --pattern wants 2026-03-01 or 2026-03-01T23:59"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(repr(shown(name)) for name in every[:_NAMED]) + more
