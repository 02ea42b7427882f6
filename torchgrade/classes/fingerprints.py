"""What a learner put into the gaps of one module, and its fingerprints, found in a confined worker.

copydetect (winnowing, the algorithm of MOSS) makes the fingerprints: names, strings, comments and layout do not matter
to it. A text can be made to keep a lexer or a comparison busy for days, so both run in a worker with limits.
"""

from __future__ import annotations

import difflib
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchgrade.errors import UsageError
from torchgrade.isolation.launch.launcher import Launcher, Limits, WorkerProcess
from torchgrade.isolation.worker import snippet

KGRAM = 25  # characters after normalisation; copydetect's own defaults: shorter matches are noise,
WINDOW = 6  # and every match of KGRAM + WINDOW - 1 = 30 characters is found
SECONDS = 20.0  # for one text
LIMITS = Limits(memory_mb=1024, wall_seconds=3600.0, file_mb=16)


@dataclass(frozen=True)
class Document:
    """A student's own lines, their numbers in the file, and where each fingerprint begins in the lines' text."""

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    places: Mapping[int, tuple[int, int]]  # fingerprint -> first and last index of ``lines``


def own_lines(text: str, stub: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The lines that are not the stub's, and their numbers; blank lines are left out."""
    mine = [line.rstrip() for line in text.splitlines()]
    theirs = [line.strip() for line in stub.splitlines()]
    matcher = difflib.SequenceMatcher(None, theirs, [line.strip() for line in mine], autojunk=False)
    numbers = [
        number
        for kind, _, _, begin, end in matcher.get_opcodes()
        if kind in ("insert", "replace")
        for number in range(begin, end)
        if mine[number].strip()
    ]
    return tuple(mine[number] for number in numbers), tuple(number + 1 for number in numbers)


def document(text: str, stub: str) -> Document:
    tools = _tools()
    lines, numbers = own_lines(text, stub)
    # Line by line: so every character of the normalised text knows its line.
    parts = [tools.filter_code(line + "\n", "answer.py", language="python")[0] for line in lines]
    line_of = [number for number, part in enumerate(parts) for _ in part]
    if len(line_of) < KGRAM:
        return Document(lines, numbers, {})
    _, index = tools.get_document_fingerprints("".join(parts), KGRAM, WINDOW)
    places = {int(m): (line_of[int(at[0])], line_of[int(at[0]) + KGRAM - 1]) for m, at in index.items()}
    return Document(lines, numbers, places)


def _tools() -> Any:
    try:
        from copydetect import utils
    except ImportError:
        raise UsageError("`similar` needs copydetect: pip install 'torchgrade[similar]'") from None
    return utils


def serve(end: socket.socket) -> None:
    """In the worker: a JSON pair of text and stub, answered by the document, until the other end closes."""
    while (request := snippet.receive(end)) is not None:
        found = document(*json.loads(request))
        answer = [found.lines, found.numbers, [[mark, *place] for mark, place in found.places.items()]]
        snippet.send(end, json.dumps(answer).encode())


class Reader:
    """Reads texts in confined workers of ``launcher``; a worker that fails is replaced by the next."""

    def __init__(self, launcher: Launcher) -> None:
        _tools()
        self._launcher = launcher
        self._worker: WorkerProcess | None = None

    def __call__(self, text: str, stub: str) -> Document | None:
        """The document, or None where the text takes too much time or memory."""
        if self._worker is None:
            self._worker = self._launcher.start(LIMITS, serve="torchgrade.classes.fingerprints:serve")
        try:
            return _checked(snippet.exchange(self._worker.socket, json.dumps([text, stub]).encode(), SECONDS))
        except (OSError, EOFError, ValueError, TypeError, RecursionError):
            self.close()
            return None

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _checked(answer: Any) -> Document:
    """The worker's answer, which is believed only where it makes sense. ValueError or TypeError else."""
    lines, numbers, marks = answer
    found = Document(tuple(map(str, lines)), tuple(map(int, numbers)), {int(m): (int(a), int(b)) for m, a, b in marks})
    if len(found.lines) != len(found.numbers):
        raise ValueError("lines without numbers")
    if any(not 0 <= a <= b < len(found.lines) for a, b in found.places.values()):
        raise ValueError("a fingerprint without lines")
    return found
