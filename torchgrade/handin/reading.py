"""One hand-in: from the files that came to the file that answers each task, or the reason why none does.

A name beats a match by content, the exercises of a whole course beat anything beside them, the shallowest and then the
newest file counts. The order of paths decides nothing. Every file that is not used is named with a sentence.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchgrade.handin.inflate import megabytes
from torchgrade.handin.kinds import is_archive, is_code, is_notebook, may_hold_anything, objection, split_suffix
from torchgrade.handin.limits import FILE, HANDIN, HELPERS, MODULE
from torchgrade.handin.matching import BY_CONTENT, BY_NAME, NEITHER, by_content, by_name, definitions
from torchgrade.handin.names import Refused
from torchgrade.handin.naming import Ignored, attempt_number, folder_number, is_spare
from torchgrade.handin.notebooks import is_document
from torchgrade.handin.opener import Opener

NOTHING = "nothing in it can be graded"


@dataclass(frozen=True)
class Given:
    """A file as it came. ``path`` is for reports, ``name`` its path inside the hand-in.

    ``order`` is (date, attempt) as a platform says it, ``task`` what somebody named. ``read`` may raise Refused.
    """

    path: str
    name: str
    read: Callable[[], bytes]
    modified: float = 0.0
    order: tuple[str, int] = ("", 0)
    task: str = ""


@dataclass(frozen=True)
class Answer:
    """What was handed in for a task. ``code`` is None where ``reason`` says why it cannot be read.

    ``helpers`` maps paths, seen from the folder of the task's file, to the modules that it imports. ``given`` is the
    file that came, an archive perhaps; ``path`` leads into it.
    """

    task: str
    path: str
    given: Given
    code: bytes | None
    reason: str = ""
    how: str = ""
    helpers: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """``answers`` holds for each task what answers it, the last one counts; ``aside`` every file not used, and why.

    Where a task has no answer at all, nothing that came can be one.
    """

    answers: Mapping[str, tuple[Answer, ...]]
    aside: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _File:
    """A piece of code, or something that is none (``reason``)."""

    given: Given
    path: str
    name: str
    code: bytes | None
    reason: str = ""


def read_handin(
    given: Sequence[Given], wanted: Mapping[str, frozenset[str]], opener: Opener, ignore: Sequence[str] = ()
) -> Reading:
    """Read what one person handed in. ``wanted`` maps each task of the course to the names that it asks for."""
    reader = _Reader(wanted, opener)
    for entry in given:
        reader.take(entry)
    return reader.result(Ignored([file.name for file in reader.files], ignore))


class _Reader:
    def __init__(self, wanted: Mapping[str, frozenset[str]], opener: Opener) -> None:
        self.wanted = wanted
        self.opener = opener
        self.files: list[_File] = []
        self._left = HANDIN

    # From bytes to code

    def take(self, given: Given) -> None:
        try:
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
        aside: list[tuple[str, str]] = []
        known = []
        for file in self.files:
            why = ignored.why(file.name)
            if why:
                aside.append((file.path, why))
            else:
                known.append(file)
        found: dict[str, list[tuple[Any, Answer]]] = {task: [] for task in self.wanted}
        used: set[str] = set()
        helping: set[int] = set()
        newest = sorted(known, key=lambda file: (-file.given.modified, file.name))
        modules = {file.name: file.code for file in newest if file.code is not None}
        for file in known:
            for task, how in self._tasks(file):
                used.add(file.path)
                helpers = helpers_of(file.name, file.code, modules) if file.code is not None else {}
                helping.update(map(id, helpers.values()))
                answer = Answer(task, file.path, file.given, file.code, file.reason, how, helpers)
                found[task].append((_rank(file, how, ignored), answer))
        answers = {
            task: tuple(answer for _, answer in sorted(entries, key=lambda entry: entry[0]))
            for task, entries in found.items()
        }
        self._explain_gaps(answers, known, used)
        for file in known:
            if file.path not in used:
                helps = id(file.code) in helping
                aside.append((file.path, "it goes along as a module" if helps else file.reason or NEITHER))
        return Reading(answers, tuple(aside))

    def _tasks(self, file: _File) -> list[tuple[str, str]]:
        """The tasks that a file answers, and by what."""
        if file.given.task:
            return [(file.given.task, BY_NAME)]
        named = by_name(file.name, self.wanted)
        found = [(named, BY_NAME)] if named else []
        if file.code is not None:
            defined = by_content(definitions(file.code), self.wanted)
            found += [(task, BY_CONTENT) for task in defined if task != named]
        return found

    def _explain_gaps(self, answers: dict[str, tuple[Answer, ...]], known: Sequence[_File], used: set[str]) -> None:
        """A task without an answer, though what cannot be opened may hold it, or nothing that came is readable."""
        closed = [file for file in known if file.code is None and file.path not in used]
        archives = [file for file in closed if may_hold_anything(file.name) or may_hold_anything(file.path)]
        readable = any(answer.code is not None for entries in answers.values() for answer in entries)
        unknown = [file for file in known if file.code is not None and file.path not in used]
        reasons = archives or ([] if readable else [*closed, *unknown])
        for task in self.wanted if reasons else ():
            if not answers[task]:
                file = reasons[0]
                answers[task] = (Answer(task, file.path, file.given, None, file.reason or NEITHER),)


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
