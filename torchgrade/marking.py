"""What people add to a verdict: points for the questions that only they grade, other points for checks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from torchgrade.i18n import noop
from torchgrade.manifest import Question
from torchgrade.marks import MISSING, OPEN, UNMARKED, UNREADABLE, HandPart, Remark, Row
from torchgrade.model import Outcome

NOTHING_CAME = (MISSING, UNREADABLE)  # waits for nobody: worth 0 unless a person says otherwise


def marked(row: Row, questions: Sequence[Question], remarks: Mapping[str, Remark]) -> Row:
    """The row with what people gave and said. Where a question is not marked yet its status is ``unmarked``."""
    by_hand = tuple(_part(question, remarks, row.status in NOTHING_CAME) for question in questions)
    is_open = any(part.points is None for part in by_hand)
    checks = _with_points(row, remarks)
    earned = row.earned
    if earned is not None:
        earned = round(earned + sum(check.points for check in checks) - sum(check.points for check in row.checks), 6)
    return replace(
        row,
        status=UNMARKED if is_open and row.status not in OPEN else row.status,
        reason=row.reason or (noop("people have not marked everything yet") if is_open else ""),
        earned=earned,
        max_points=row.max_points + sum(part.max_points for part in by_hand),
        checks=checks,
        by_hand=by_hand,
        remarks=remarks,
    )


def _part(question: Question, remarks: Mapping[str, Remark], worth_nothing: bool) -> HandPart:
    def points(name: str) -> float | None:
        given = remarks[name].points if name in remarks else None
        return 0.0 if given is None and worth_nothing else given

    items = tuple(
        HandPart(f"{question.name}/{title}", title, most, points(f"{question.name}/{title}"))
        for title, most in question.rubric
    )
    if not items:
        return HandPart(question.name, question.title, question.points, points(question.name))
    known = [item.points for item in items if item.points is not None]
    total = round(sum(known), 6) if len(known) == len(items) else None
    return HandPart(question.name, question.title, question.points, total, items)


def _with_points(row: Row, remarks: Mapping[str, Remark]) -> tuple[Outcome, ...]:
    """The outcomes with the points that people gave a check, shared evenly among its devices."""
    runs = Counter(check.id for check in row.checks)
    given = {part: remark.points for part, remark in remarks.items() if remark.points is not None}
    return tuple(
        replace(check, points=given[check.id] / runs[check.id]) if check.id in given else check for check in row.checks
    )


def gone(row: Row) -> list[Remark]:
    """What was said about a check or question that the task has no more; known once checks have run."""
    there = {check.id for check in row.checks} | {part.name for whole in row.by_hand for part in (whole, *whole.items)}
    return [remark for part, remark in row.remarks.items() if part and part not in there and row.checks]
