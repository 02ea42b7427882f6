"""Who wrote alike: fingerprints of what learners put into the gaps, weighted by rarity. No verdict.

copydetect (winnowing, the algorithm of MOSS) makes the fingerprints: names, strings, comments and layout do
not matter to it. What the stub already holds is left out before, and what many students share weighs little.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from torchgrade.errors import UsageError

KGRAM = 25  # characters after normalisation; copydetect's own defaults: shorter matches are noise,
WINDOW = 6  # and every match of KGRAM + WINDOW - 1 = 30 characters is found
CROWD = 50  # a fragment that more people share says nothing about two of them
FRAGMENTS = 5


@dataclass(frozen=True)
class Fragment:
    """A stretch that two students share: its lines in both texts, and how many students have it."""

    left: tuple[int, str]
    right: tuple[int, str]
    people: int


@dataclass(frozen=True)
class Pair:
    """Two students. ``weight`` sums the rarity (in bits) of the fingerprints they share; ``shared`` counts those."""

    left: str
    right: str
    weight: float
    shared: int
    identical: bool
    fragments: tuple[Fragment, ...]


@dataclass(frozen=True)
class _Document:
    """A student's own lines, their numbers in the file, and where each fingerprint begins in the lines' text."""

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    places: Mapping[int, tuple[int, int]]  # fingerprint -> first and last index of ``lines``


def similar(texts: Mapping[str, str], stub: str, pairs: int = 30) -> list[Pair]:
    """The ``pairs`` most alike pairs of one task, rarest agreement first. ``texts`` maps a student to a module."""
    documents = {student: _document(text, stub) for student, text in texts.items()}
    holders: dict[int, list[str]] = {}
    for student, document in documents.items():
        for mark in document.places:
            holders.setdefault(mark, []).append(student)
    size = max(len(documents), 2)
    shared: dict[tuple[str, str], list[int]] = {}
    for mark, students in holders.items():
        if 2 <= len(students) <= CROWD:
            for pair in combinations(sorted(students), 2):
                shared.setdefault(pair, []).append(mark)
    rarity = {mark: math.log2(size / len(students)) for mark, students in holders.items()}
    weights = {pair: sum(rarity[mark] for mark in marks) for pair, marks in shared.items()}
    same = {pair: documents[pair[0]].lines == documents[pair[1]].lines for pair in weights}
    rare = [pair for pair in weights if weights[pair] > 0]
    best = sorted(rare, key=lambda pair: (-weights[pair], not same[pair], pair))[:pairs]
    return [
        Pair(
            *pair, round(weights[pair], 2), len(shared[pair]),
            same[pair],
            _fragments(documents[pair[0]], documents[pair[1]], shared[pair], holders),
        )
        for pair in best
    ]  # fmt: skip


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


def _document(text: str, stub: str) -> _Document:
    tools = _tools()
    lines, numbers = own_lines(text, stub)
    # Line by line: so every character of the normalised text knows its line.
    parts = [tools.filter_code(line + "\n", "answer.py", language="python")[0] for line in lines]
    line_of = [number for number, part in enumerate(parts) for _ in part]
    if len(line_of) < KGRAM:
        return _Document(lines, numbers, {})
    _, index = tools.get_document_fingerprints("".join(parts), KGRAM, WINDOW)
    places = {int(m): (line_of[int(at[0])], line_of[int(at[0]) + KGRAM - 1]) for m, at in index.items()}
    return _Document(lines, numbers, places)


def _tools() -> Any:
    try:
        from copydetect import utils
    except ImportError:
        raise UsageError("`similar` needs copydetect: pip install 'torchgrade[similar]'") from None
    return utils


def _fragments(
    left: _Document, right: _Document, marks: Sequence[int], holders: Mapping[int, Sequence[str]]
) -> tuple[Fragment, ...]:
    """The rarest shared stretches, neighbouring fingerprints joined."""
    spans: list[list[int]] = []
    for mark in sorted(marks, key=lambda mark: left.places[mark]):
        a, b = left.places[mark], right.places[mark]
        people = len(holders[mark])
        if spans and a[0] <= spans[-1][1] + 1 and b[0] <= spans[-1][3] + 1 and b[0] >= spans[-1][2]:
            last = spans[-1]
            spans[-1] = [last[0], max(last[1], a[1]), last[2], max(last[3], b[1]), min(last[4], people)]
        else:
            spans.append([*a, *b, people])
    spans.sort(key=lambda span: (span[4], span[0] - span[1]))
    return tuple(Fragment(_cut(left, s[0], s[1]), _cut(right, s[2], s[3]), s[4]) for s in spans[:FRAGMENTS])


def _cut(document: _Document, first: int, last: int) -> tuple[int, str]:
    return document.numbers[first], "\n".join(document.lines[first : last + 1])
