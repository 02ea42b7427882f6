"""Who wrote alike: fingerprints of what learners put into the gaps, weighted by rarity. No verdict.

The fingerprints come from fingerprints.py. What the stub already holds is left out before, and what many students
share weighs little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from torchgrade.classes.fingerprints import Document
from torchgrade.report.statistics import fence

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
class Alike:
    """The most alike pairs of a task, and groups: whoever is linked by pairs more alike than neighbours usually are.

    What is usual is how alike each student of the class is to the one who is nearest, and what lies beyond its inner
    fence links; where more than a quarter of a class copied, that is the usual, and no group is told.
    """

    pairs: tuple[Pair, ...]
    groups: tuple[tuple[str, ...], ...]


def similar(documents: Mapping[str, Document], pairs: int = 30) -> Alike:
    """The ``pairs`` most alike pairs of one task, rarest agreement first. ``documents`` maps students to texts."""
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
    nearest: dict[str, float] = dict.fromkeys(documents, 0.0)
    for pair in rare:
        nearest.update({student: max(nearest[student], weights[pair]) for student in pair})
    limit = fence(list(nearest.values()), 1.5)
    found = (
        Pair(
            *pair, round(weights[pair], 2), len(shared[pair]),
            same[pair],
            _fragments(documents[pair[0]], documents[pair[1]], shared[pair], holders),
        )
        for pair in best
    )  # fmt: skip
    return Alike(tuple(found), _groups([pair for pair in rare if weights[pair] > limit]))


def _groups(pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """The connected components of the graph that the pairs draw, the largest first."""
    group_of: dict[str, set[str]] = {}
    for left, right in pairs:
        joined = group_of.get(left, {left}) | group_of.get(right, {right})
        group_of.update(dict.fromkeys(joined, joined))
    different = {id(group): tuple(sorted(group)) for group in group_of.values()}
    return tuple(sorted(different.values(), key=lambda group: (-len(group), group)))


def _fragments(
    left: Document, right: Document, marks: Sequence[int], holders: Mapping[int, Sequence[str]]
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


def _cut(document: Document, first: int, last: int) -> tuple[int, str]:
    return document.numbers[first], "\n".join(document.lines[first : last + 1])
