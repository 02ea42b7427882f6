"""The page and the table of ``similar``: rare shared fragments side by side, without a verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

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
    def fragments(self) -> Sequence[SharedFragment]: ...


class AlikeWork(Protocol):
    """What the page shows of a task."""

    @property
    def pairs(self) -> Sequence[AlikePair]: ...

    @property
    def groups(self) -> Sequence[Sequence[str]]: ...


def similar_html(
    course: str, found: Mapping[str, AlikeWork], names: Mapping[str, str], sizes: Mapping[str, int]
) -> str:
    """One self-contained page. ``found`` maps a task to pairs and groups, ``sizes`` to how many are compared."""
    template = environment().get_template("similar.html.j2")
    return template.render(course=course, found=found, names=names, sizes=sizes)


def similar_csv(found: Mapping[str, AlikeWork]) -> str:
    """One line for each pair; ``group`` is the number of the group that both belong to."""
    head = (
        "task", "left", "right", "weight", "shared_fingerprints", "identical", "rarest_fragment_shared_by", "group",
    )  # fmt: skip
    lines = [
        (
            task, p.left, p.right, p.weight, p.shared, p.identical, min((f.people for f in p.fragments), default=None),
            next((n for n, group in enumerate(alike.groups, 1) if {p.left, p.right} <= set(group)), None),
        )
        for task, alike in found.items()
        for p in alike.pairs
    ]  # fmt: skip
    return to_csv(head, lines)
