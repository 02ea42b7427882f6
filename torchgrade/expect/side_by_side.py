"""Two small matrices beside each other, for where they tell more than one number does."""

from __future__ import annotations

import torch

from torchgrade.expect.describe import number_text
from torchgrade.i18n import translate as _

LARGEST = 8  # rows or columns
WIDEST = 60  # characters, so that it stands beside a label on 80 columns
DIGITS = 4


def side_by_side(expected: torch.Tensor, got: torch.Tensor, wrong: torch.Tensor | None) -> str:
    """Both matrices in lines, those values of ``got`` marked that are ``wrong``; blank where it would not be small, and
    where the shapes differ.

    Where they are too wide to stand beside each other, one stands below the other.
    """
    if wrong is None or expected.ndim != 2 or expected.is_complex():
        return ""
    if expected.numel() < 2 or max(expected.shape) > LARGEST:
        return ""
    left = _lines(expected, torch.zeros_like(wrong), _("expected"))
    right = _lines(got, wrong, _("got (* differs)"))
    width = max(map(len, left))
    together = [f"{one:<{width}}   {other}".rstrip() for one, other in zip(left, right, strict=True)]
    lines = together if max(map(len, together)) <= WIDEST else [line.rstrip() for line in (*left, *right)]
    return "\n".join(lines) if max(map(len, lines)) <= WIDEST else ""


def _lines(values: torch.Tensor, marked: torch.Tensor, title: str) -> list[str]:
    cells = [
        [_cell(value) + ("*" if mark else " ") for value, mark in zip(row, marks, strict=True)]
        for row, marks in zip(values.tolist(), marked.tolist(), strict=True)
    ]
    width = max(len(cell) for row in cells for cell in row)
    return [title, *(" ".join(f"{cell:>{width}}" for cell in row) for row in cells)]


def _cell(value: float | int | bool) -> str:
    return str(value) if isinstance(value, bool) else number_text(value, DIGITS)
