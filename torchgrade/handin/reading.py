"""One hand-in: from the files that came to the file that answers each task, or the reason why none does.

A name beats a match by content, the exercises of a whole course beat anything beside them, the shallowest and then the
newest file counts. The order of paths decides nothing. Every file that is not used is named with a sentence.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torchgrade.handin.inflate import megabytes
from torchgrade.handin.kinds import is_archive, is_code, is_notebook, may_hold_anything, objection, split_suffix
from torchgrade.handin.limits import FILE, HANDIN, HELPERS, MODULE
from torchgrade.handin.matching import BY_CONTENT, BY_NAME, NEITHER, by_content, by_name, definitions
from torchgrade.handin.names import Refused, shown
from torchgrade.handin.naming import Ignored, attempt_number, folder_number, is_spare
from torchgrade.handin.notebooks import is_document
from torchgrade.handin.opener import Opener


@dataclass(frozen=True)
class Given:
    """A file as it came. ``path`` is for reports, ``name`` its path inside the hand-in.

    ``order`` is (date, attempt) as a platform says it, ``task`` what somebody named, ``note`` why it is no submission.
    ``read`` may raise Refused.
    """

    path: str
    name: str
    read: Callable[[], bytes]
    modified: float = 0.0
    order: tuple[str, int] = ("", 0)
    task: str = ""
    note: str = ""


@dataclass(frozen=True)
class TaskEntry:
    """What was handed in for a task. ``code`` is None where ``reason`` says why it cannot be read.

    ``modules`` are the other files of the hand-in, ``name`` its own path among them. ``given`` is the file that came,
    an archive perhaps; ``path`` leads into it. Of several the one of greatest ``rank`` counts.
    """

    task: str
    path: str
    given: Given
    code: bytes | None
    reason: str = ""
    how: str = ""
    name: str = ""
    modules: Mapping[str, bytes] = field(default_factory=dict)
    rank: tuple[Any, ...] = ()

    @cached_property
    def helpers(self) -> Mapping[str, bytes]:
        """The modules that it imports by their paths from its folder, sought only for what counts: there may be many
        attempts, and many modules."""
        return helpers_of(self.name, self.code, self.modules) if self.code is not None else {}


@dataclass(frozen=True)
class Reading:
    """``aside`` names every file that answers no task, and why; ``strange`` are those that came for a submission."""

    answers: tuple[TaskEntry, ...]
    aside: tuple[tuple[str, str], ...]
    strange: tuple[tuple[str, str], ...]


def in_order(answers: Iterable[TaskEntry], task: str) -> list[TaskEntry]:
    """The answers to a task, the one that counts last. What cannot be opened is none while something else can."""
    found = sorted((answer for answer in answers if answer.task == task), key=lambda answer: answer.rank)
    return [answer for answer in found if answer.code is not None] or found[-1:]


def instead(strange: Sequence[tuple[str, str]], answered: bool) -> str:
    """Why a task without an answer is unreadable, not missing; empty where nothing came that might be its answer.

    An archive that stays closed may hold it. Anything else counts if there is nothing better (``answered``).
    """
    closed = [(path, why) for path, why in strange if may_hold_anything(path)]
    found = closed or ([] if answered else list(strange))
    if len(found) == 1:
        return found[0][1]
    more = f"; and {len(found) - 3} more files" if len(found) > 3 else ""
    return "; ".join(f"{shown(posixpath.basename(path))}: {why}" for path, why in found[:3]) + more


@dataclass(frozen=True)
class _File:
    """A piece of code, or something that is none (``reason``)."""

    given: Given
    path: str
    name: str
    code: bytes | None
    reason: str = ""


def read_handin(
    given: Sequence[Given],
    wanted: Mapping[str, frozenset[str]],
    opener: Opener,
    ignore: Sequence[str] = (),
    named: Mapping[str, str] | None = None,
) -> Reading:
    """Read what one person handed in. ``wanted`` maps each task of the course to the names that it asks for.

    ``named`` maps paths, also inside of archives, to the task that somebody decided.
    """
    reader = _Reader(wanted, opener, named or {})
    for entry in given:
        reader.take(entry)
    return reader.result(Ignored([file.name for file in reader.files], ignore))


class _Reader:
    def __init__(self, wanted: Mapping[str, frozenset[str]], opener: Opener, named: Mapping[str, str]) -> None:
        self.wanted = wanted
        self.opener = opener
        self.named = named
        self.files: list[_File] = []
        self._left = HANDIN

    # From bytes to code

    def take(self, given: Given) -> None:
        try:
            if given.note:
                raise Refused(given.note)
            self._take(given)
        except Refused as refusal:
            self.files.append(_File(given, given.path, given.name, None, str(refusal)))

    def _take(self, given: Given) -> None:
        archive = is_archive(given.name) or is_archive(given.path)
        if not archive and not is_code(given.name):
            raise Refused(objection(given.name))
        data = given.read()
        if len(data) > FILE:
            raise Refused(f"it is larger than {megabytes(FILE)}")
        if not archive and not is_document(data) and not given.name.lower().endswith(".ipynb"):
            self._add(given, given.path, given.name, data)
            return
        opened = self.opener.open(given.name if is_archive(given.name) or not archive else given.path, data)
        if opened.error:
            raise Refused(opened.error)
        for name, code in opened.files.items():
            self._add(given, *_inside(given, name), code)
        for name, why in opened.refused:
            self.files.append(_File(given, *_inside(given, name), None, why))
        for name in opened.others:
            self.files.append(_File(given, *_inside(given, name), None, objection(name)))
        if not (opened.files or opened.refused or opened.others):
            raise Refused("the archive is empty")

    def _add(self, given: Given, path: str, name: str, code: bytes) -> None:
        self._left -= len(code)
        if len(code) > MODULE:
            self.files.append(_File(given, path, name, None, f"its code is larger than {megabytes(MODULE)}"))
        elif self._left < 0:
            raise Refused(f"all files together are larger than {megabytes(HANDIN)}")
        else:
            self.files.append(_File(given, path, name, code))

    # From code to answers

    def result(self, ignored: Ignored) -> Reading:
        known = [(file, ignored.why(file.name)) for file in self.files]
        aside = [(file.path, why) for file, why in known if why]
        files = sorted((file for file, why in known if not why), key=lambda file: (-file.given.modified, file.name))
        modules = {file.name: file.code for file in files if file.code is not None}
        answers: list[TaskEntry] = []
        unused = []
        for file in files:
            tasks = self._tasks(file)
            for task, how in tasks:
                rank = _rank(file, how, ignored)
                code, why = file.code, file.reason
                answers.append(TaskEntry(task, file.path, file.given, code, why, how, file.name, modules, rank))
            if not tasks:
                unused.append(file)
        counting = [in_order(answers, task)[-1] for task in {answer.task for answer in answers}]
        helping = {id(data) for answer in counting for data in answer.helpers.values()}
        helps = {file.path for file in unused if id(file.code) in helping}
        strange = [(file.path, file.reason or NEITHER) for file in unused if file.path not in helps]
        aside += [*((path, "it goes along as a module") for path in sorted(helps)), *strange]
        return Reading(tuple(answers), tuple(aside), tuple(strange))

    def _tasks(self, file: _File) -> list[tuple[str, str]]:
        """The tasks that a file answers, and by what."""
        settled = self.named.get(file.path) or file.given.task
        if settled:
            return [(settled, BY_NAME)]
        named = by_name(file.name, self.wanted)
        defined = by_content(definitions(file.code), self.wanted, named) if file.code is not None else ()
        if named and named not in defined:
            return [(named, BY_NAME)]
        return [(task, BY_NAME if task == named else BY_CONTENT) for task in defined]


def _inside(given: Given, name: str) -> tuple[str, str]:
    """Path and name of a file that came in another one; a notebook is its own only file."""
    return (f"{given.path}/{name}", f"{given.name}/{name}") if name else (given.path, given.name)


def _rank(file: _File, how: str, ignored: Ignored) -> tuple[Any, ...]:
    """The greatest counts."""
    return (
        file.given.order,
        how == BY_NAME,
        ignored.in_exercises(file.name),
        not is_spare(file.name),
        -file.name.count("/"),
        attempt_number(file.name),
        folder_number(file.name),
        file.given.modified,
        not is_notebook(file.name),
        file.name,  # only so that the same files always give the same
    )


# Helper modules


def helpers_of(main: str, code: bytes, others: Mapping[str, bytes]) -> dict[str, bytes]:
    """The modules that a task's file mentions, and those that they mention, by path from its folder.

    ``main`` and the names of ``others`` are paths inside the hand-in. Of several modules of one name the nearest to
    the task's file counts; where two are as near, the one that comes first.
    """
    folder = posixpath.dirname(main)
    modules: dict[str, str] = {}
    for name in sorted(others, key=lambda name: _distance(folder, name)):
        if name != main and not is_notebook(name):
            modules.setdefault(_module_name(name), name)
    found: dict[str, bytes] = {}
    waiting = [code]
    for text in waiting:
        for word in sorted(_words(text) & modules.keys()):
            name = modules.pop(word)
            if len(found) < HELPERS:
                found[_seen_from(folder, name)] = others[name]
                waiting.append(others[name])
    return found


def _module_name(name: str) -> str:
    """The word that an import of this file must mention: of ``layers/__init__.py`` it is the folder."""
    stem = split_suffix(posixpath.basename(name))[0]
    return posixpath.basename(posixpath.dirname(name)) if stem == "__init__" else stem


def _words(code: bytes) -> set[str]:
    return {word.decode() for word in re.findall(rb"[A-Za-z_]\w*", code.replace(b"\0", b""))}


def _distance(folder: str, name: str) -> int:
    """How many steps from a folder to that of a file."""
    way = posixpath.relpath(posixpath.dirname(name) or ".", folder or ".")
    return 0 if way == "." else way.count("/") + 1


def _seen_from(folder: str, name: str) -> str:
    """The path of a helper from the folder of the task's file; its bare name where it does not lie below it."""
    path = posixpath.relpath(name, folder or ".")
    path = posixpath.basename(path) if path.startswith("..") else path
    return f"{split_suffix(path)[0]}.py"
