"""How one outcome reads: fixed labels in a fixed order, absent when empty. Plain text, no colour, no I/O."""

from __future__ import annotations

import re

from rich.cells import cell_len, chop_cells

from torchgrade.i18n import noop
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Status

WIDTH = 80
INDENT = 8
LABEL = 10
PRINTED = 5  # lines of what the code printed, where not all of it is asked for

_WIDE = "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6"
_PIECES = re.compile(rf"\s+|(?:[{_WIDE}]|[^\s{_WIDE}]+)[，。；：、！？）】》”’]*")  # what stays on one line

WORDS = {
    Status.PASSED: noop("pass"),
    Status.HELD: noop("held"),
    Status.FAILED: noop("FAIL"),
    Status.TODO: noop("todo"),
    Status.SKIPPED: noop("skip"),
    Status.CRASHED: noop("CRASH"),
    Status.TIMED_OUT: noop("TIME"),
    Status.OUT_OF_MEMORY: noop("MEM"),
    Status.BROKEN: noop("BROKEN"),
    Status.UNAVAILABLE: noop("n/a"),
}


def points_text(points: float, possible: float) -> str:
    return f"{points:g}/{possible:g}"


def outcome_lines(
    outcome: Outcome, width: int = WIDTH, public: bool = False, others: int = 0, score: str = "", whole: bool = False
) -> list[str]:
    """The block for one outcome. ``public``: a hidden check tells its sentence and category only.

    ``others``: so many more checks have the same root. ``score`` replaces the outcome's own points. ``whole``: all
    that the code printed.
    """
    score = score or points_text(outcome.points, outcome.max_points)
    title = outcome.title if outcome.device == "cpu" else f"{outcome.title} [{outcome.device}]"
    word = f"{padded(_(WORDS[outcome.status]), 5)} "
    room = width - cell_len(word) - len(score) - 1
    head = wrap(title, room)
    lines = [f"{word}{head[0]}{' ' * (room - cell_len(head[0]))} {score}"]
    lines += [f"      {more}" for more in head[1:]]
    if outcome.hidden and public:
        size = [_field(_("got"), outcome.message, width)] if outcome.status is Status.FAILED and outcome.message else []
        return [*lines, _field(_("category"), _(outcome.category), width), *size]
    return lines + details(outcome, width, others, whole)


def details(outcome: Outcome, width: int = WIDTH, others: int = 0, whole: bool = False) -> list[str]:
    lines: list[str] = []
    if outcome.message and not (outcome.status is Status.FAILED and outcome.got):
        lines += _block(outcome.message, width)
    fields = [
        (noop("given"), outcome.given),
        (noop("expected"), outcome.expected),
        (noop("got") if outcome.status is Status.FAILED else noop("trace"), outcome.got),
        (noop("likely"), outcome.likely),
        (noop("look at"), outcome.where),
        (noop("hint"), outcome.hint),
    ]
    for label, text in fields:
        if text:
            lines.append(_field(_(label), text, width))
        if label == "got" and outcome.table:
            lines.append(_labelled(_("values"), outcome.table.split("\n")))
    if others:
        lines.append(_field(_("also"), others_text(others), width))
    if outcome.output.strip():
        printed = outcome.output.strip("\n").rstrip().splitlines()
        shown = printed if whole or len(printed) <= PRINTED + 1 else printed[:PRINTED]
        if len(shown) < len(printed):
            shown = [*shown, _("… and {count} more lines").format(count=len(printed) - len(shown))]
        lines.append(_labelled(_("printed"), shown))
    return [line for entry in lines for line in entry.split("\n")]


def others_text(count: int) -> str:
    words = _("1 more check, for the same reason") if count == 1 else _("{count} more checks, for the same reason")
    return words.format(count=count)


def _field(label: str, text: str, width: int) -> str:
    inside = width - INDENT - LABEL
    return _labelled(label, [part for line in text.split("\n") for part in wrap(line, inside)])


def _labelled(label: str, parts: list[str]) -> str:
    head = f"{'':{INDENT}}{label}{' ' * (LABEL - cell_len(label))}{parts[0]}"
    return "\n".join([head, *(f"{'':{INDENT + LABEL}}{part}" for part in parts[1:])])


def _block(text: str, width: int) -> list[str]:
    """Free text; lines that are indented (a caret under its column) are kept as they are."""
    lines = []
    for line in text.split("\n"):
        wrapped = [line[: width - INDENT]] if line.startswith(" ") else wrap(line, width - INDENT)
        lines += [f"{'':{INDENT}}{part}" for part in wrapped]
    return lines


def padded(text: str, width: int, centred: bool = False) -> str:
    """At least ``width`` columns, a Chinese character taking two."""
    room = max(width - cell_len(text), 0)
    left = room // 2 if centred else 0
    return " " * left + text + " " * (room - left)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` columns, a Chinese character taking two; only a longer word is cut."""
    lines = [""]
    for piece in _PIECES.findall(text):
        if cell_len(lines[-1] + piece) <= width or piece.isspace():
            lines[-1] += piece if lines[-1] or not lines[:-1] else piece.lstrip()
            continue
        lines[-1] = lines[-1].rstrip()
        lines += chop_cells(piece, width)
    return [line.rstrip() for line in lines if line.strip()] or [""]
