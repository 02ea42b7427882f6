"""The page and the table of ``similar``: rare shared fragments side by side, without a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torchgrade.report.feedback import environment
from torchgrade.report.tables import to_csv


class SharedFragment(Protocol):
    """Lines in both texts, each with the number of the first, and how many students have them."""

    @property
    def left(self) -> tuple[int, str]: ...

    @property
    def right(self) -> tuple[int, str]: ...

    @property
    def people(self) -> int: ...


class AlikePair(Protocol):
    """What the page shows of two students."""

    @property
    def left(self) -> str: ...

    @property
    def right(self) -> str: ...

    @property
    def weight(self) -> float: ...

    @property
    def shared(self) -> int: ...

    @property
    def identical(self) -> bool: ...

    @property
    def fragments(self) -> Sequence[Any]: ...


def similar_html(
    course: str, found: Mapping[str, Sequence[AlikePair]], names: Mapping[str, str], sizes: Mapping[str, int]
) -> str:
    """One self-contained page. ``found`` maps a task to its pairs, ``sizes`` to the number of students compared."""
    template = environment().get_template("similar.html.j2")
    return template.render(course=course, found=found, names=names, sizes=sizes)


def similar_csv(found: Mapping[str, Sequence[AlikePair]]) -> str:
    """One line for each pair."""
    head = ("task", "left", "right", "weight", "shared_fingerprints", "identical", "rarest_fragment_shared_by")
    lines = [
        (task, p.left, p.right, p.weight, p.shared, p.identical, min((f.people for f in p.fragments), default=None))
        for task, pairs in found.items()
        for p in pairs
    ]
    return to_csv(head, lines)
