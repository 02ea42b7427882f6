"""From a class's files to hand-ins: every file ends with a student and a task, or on the list with a reason.

What students sent stays bytes here: archives and notebooks are opened by another process (``unfold``),
sources are searched but never parsed.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.storage import Handin, Unmatched, source_hash
from torchgrade.batch.intake.folder import Entry, Files
from torchgrade.batch.intake.layouts import Layout, Owner, metadata_path, recognise
from torchgrade.batch.intake.roster import Roster
from torchgrade.batch.intake.unfold import Unfolder
from torchgrade.errors import UsageError
from torchgrade.handin.archives import is_archive
from torchgrade.handin.matching import match
from torchgrade.handin.names import Refused
from torchgrade.handin.naming import is_junk
from torchgrade.handin.notebooks import is_notebook
from torchgrade.marks import Student

MODULE = 1 << 20  # bytes of one module
ARCHIVE = 20 << 20
HELPERS = 20


@dataclass(frozen=True)
class Piece:
    """One module or unreadable file of one hand-in, before it has an attempt number."""

    label: str
    task: str
    order: tuple[str, int, float, str]
    bundle: Bundle | None
    reason: str = ""
    submitted: str = ""
    late: bool | None = None


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
    listed: Sequence[Student] = (),
    *,
    keep: Callable[[str, bytes], None],
    pattern: str | None = None,
    attempt: str = "last",
    unfold: Callable[[], Unfolder] = Unfolder,
) -> Intake:
    """Read everything. ``wanted`` maps each task to the names that it defines; ``attempt`` is last, best or all."""
    place = metadata_path(files.entries)
    metadata = files.entries[place].read().decode("utf-8", "replace") if place else None
    entries = files.all()
    layout = recognise(entries, metadata, pattern)
    intake = Intake(keep, layout.name)
    intake.unmatched += [Unmatched(path, "", why) for path, why in layout.unmatched.items()]
    intake.unmatched += [Unmatched(p, "", "an operating system left it") for p in entries if is_junk(p)]
    roster = Roster(listed)
    with unfold() as unfolder:
        for owner, group in _groups(entries, layout):
            reader = _Reader(wanted, unfolder)
            for path, entry in group:
                reader.take(path, entry, layout.owners[path])
            students = [roster.find(who) for who in owner.owners]
            _record(intake, students, reader, attempt)
    intake.students = list(roster.students.values())
    return intake


def _groups(entries: Mapping[str, Entry], layout: Layout) -> Iterator[tuple[Owner, list[tuple[str, Entry]]]]:
    """The files of one hand-in after another, so that helpers are found beside the modules that use them."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for path in sorted(layout.owners):
        groups.setdefault(tuple(layout.owners[path].owners), []).append(path)
    for paths in groups.values():
        yield layout.owners[paths[0]], [(path, entries[path]) for path in paths]


class _Reader:
    """Reads the files of one student."""

    def __init__(self, wanted: Mapping[str, frozenset[str]], unfolder: Unfolder) -> None:
        self.wanted = wanted
        self.unfolder = unfolder
        self.pieces: list[Piece] = []
        self.helpers: dict[str, bytes] = {}
        self.leftovers: list[tuple[str, str]] = []

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
        if not notebook and not name.lower().endswith(".py"):
            self.leftovers.append((path, "it is neither a Python file, a notebook nor an archive"))
            return
        task, how = match(name, data, self.wanted)
        task = self._named(owner) or task
        if task is None and not notebook and len(data) <= MODULE and len(self.helpers) < HELPERS:
            self.helpers[posixpath.basename(name)] = data
            self.leftovers.append((path, f"{how}; it is kept as a helper module"))
            return
        if task is None:
            self.leftovers.append((path, how))
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

    def _lost(self, path: str, name: str, entry: Entry, owner: Owner, reason: str) -> None:
        """A file that cannot be opened: a row for the task that its name tells, else for all of them."""
        self.leftovers.append((path, reason))
        if not (is_archive(name) or is_archive(path) or is_notebook(name) or name.lower().endswith(".py")):
            return
        task = self._named(owner) or match(name, b"", self.wanted).task
        for stem in [task] if task else self.wanted:
            self._piece(path, stem, entry, owner, None, reason)

    def _named(self, owner: Owner) -> str | None:
        """The task that ``--pattern`` says; raises UsageError when it says one that does not exist."""
        if not owner.task:
            return None
        task = match(owner.task, b"", self.wanted).task or match(f"task{owner.task}", b"", self.wanted).task
        if task is None:
            raise UsageError(f"--pattern finds the task {owner.task!r} in {owner.file!r}, which the course lacks")
        return task

    def _piece(self, path: str, task: str, entry: Entry, owner: Owner, bundle: Bundle | None, reason: str) -> None:
        order = (owner.submitted, owner.order, entry.modified, path)
        self.pieces.append(Piece(path, task, order, bundle, reason, owner.submitted, owner.late))


def _record(intake: Intake, students: Sequence[Student], reader: _Reader, attempt: str) -> None:
    """Number the attempts of each task and keep those that are asked for."""
    for student in students:
        intake.unmatched += [Unmatched(path, student.key, why) for path, why in reader.leftovers]
    kept: dict[int, str | None] = {}
    for task in reader.wanted:
        pieces = sorted((piece for piece in reader.pieces if piece.task == task), key=lambda piece: piece.order)
        readable = [piece for piece in pieces if piece.bundle is not None]
        # A file that cannot be opened is no attempt while another one can.
        attempts = readable or pieces[-1:]
        for number, piece in _chosen(attempts, attempt):
            source = _keep(intake, piece, reader.helpers, kept)
            for student in students:
                row = (student.key, task, number, piece.label, source, piece.reason, piece.submitted, piece.late)
                intake.handins.append(Handin(*row))
        skipped = {number for number, _ in _chosen(attempts, attempt)}
        for number, piece in enumerate(attempts, 1):
            if number not in skipped:
                why = f"an earlier attempt at {task}; --attempt best or all grades it too"
                intake.unmatched += [Unmatched(piece.label, student.key, why) for student in students]


def _chosen(attempts: Sequence[Piece], attempt: str) -> list[tuple[int, Piece]]:
    numbered = list(enumerate(attempts, 1))
    return numbered[-1:] if attempt == "last" else numbered


def _keep(intake: Intake, piece: Piece, helpers: Mapping[str, bytes], kept: dict[int, str | None]) -> str | None:
    if piece.bundle is None:
        return None
    if id(piece) not in kept:
        bundle = Bundle(piece.bundle.main, helpers, piece.bundle.starts, piece.bundle.cells)
        packed = bundle.pack()
        intake.keep(posixpath.basename(piece.label), packed)
        kept[id(piece)] = source_hash(packed)
    return kept[id(piece)]


def unlisted(students: Iterable[Student]) -> list[Student]:
    """Those who handed in and are not on the roster."""
    return [student for student in students if not student.listed]
