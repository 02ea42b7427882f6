"""How one outcome reads: fixed labels in a fixed order, absent when empty. Plain text, no colour, no I/O."""

from __future__ import annotations

import textwrap

from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Status

WIDTH = 80
INDENT = 8
LABEL = 10

WORDS = {
    Status.PASSED: "pass",
    Status.HELD: "held",
    Status.FAILED: "FAIL",
    Status.TODO: "todo",
    Status.SKIPPED: "skip",
    Status.CRASHED: "CRASH",
    Status.TIMED_OUT: "TIME",
    Status.OUT_OF_MEMORY: "MEM",
    Status.BROKEN: "BROKEN",
    Status.UNAVAILABLE: "n/a",
}


def points_text(points: float, possible: float) -> str:
    return f"{points:g}/{possible:g}"


def outcome_lines(outcome: Outcome, width: int = WIDTH, public: bool = False) -> list[str]:
    """The block for one outcome. ``public``: a hidden check tells its sentence and category only."""
    score = points_text(outcome.points, outcome.max_points)
    title = outcome.title if outcome.device == "cpu" else f"{outcome.title} [{outcome.device}]"
    head = _wrap(title, width - 7 - len(score) - 1)
    word = f"{_(WORDS[outcome.status]):<5} "
    lines = [f"{word}{head[0]:<{width - len(word) - len(score) - 1}} {score}"]
    lines += [f"      {more}" for more in head[1:]]
    if outcome.hidden and public:
        size = [_field(_("got"), outcome.message, width)] if outcome.status is Status.FAILED and outcome.message else []
        return [*lines, _field(_("category"), outcome.category, width), *size]
    return lines + details(outcome, width)


def details(outcome: Outcome, width: int = WIDTH) -> list[str]:
    lines: list[str] = []
    if outcome.message and not (outcome.status is Status.FAILED and outcome.got):
        lines += _block(outcome.message, width)
    fields = [
        ("given", outcome.given),
        ("expected", outcome.expected),
        ("got" if outcome.status is Status.FAILED else "trace", outcome.got),
        ("likely", outcome.likely),
        ("look at", outcome.where),
        ("hint", outcome.hint),
    ]
    for label, text in fields:
        if text:
            lines.append(_field(_(label), text, width))
    if outcome.output.strip():
        printed = outcome.output.strip().splitlines()
        shown = [line[: width - INDENT - LABEL] for line in printed[:5]]
        more = [_("… and {count} more lines").format(count=len(printed) - 5)] if len(printed) > 5 else []
        lines.append(_field(_("printed"), "\n".join(shown + more), width))
    return [line for entry in lines for line in entry.split("\n")]


def _field(label: str, text: str, width: int) -> str:
    inside = width - INDENT - LABEL
    parts = [part for line in text.split("\n") for part in (_wrap(line, inside) or [""])]
    head = f"{'':{INDENT}}{label:<{LABEL}}{parts[0]}"
    return "\n".join([head, *(f"{'':{INDENT + LABEL}}{part}" for part in parts[1:])])


def _block(text: str, width: int) -> list[str]:
    """Free text; lines that are indented (a caret under its column) are kept as they are."""
    lines = []
    for line in text.split("\n"):
        wrapped = [line[: width - INDENT]] if line.startswith(" ") else _wrap(line, width - INDENT)
        lines += [f"{'':{INDENT}}{part}" for part in wrapped]
    return lines


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=True, break_on_hyphens=False) or [""]
