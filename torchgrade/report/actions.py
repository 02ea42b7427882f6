"""What GitHub Actions shows of a result: annotations beside the code, and the summary of a run. Pure.

Of each kind it keeps ten annotations a step and drops the rest without a word; a summary above 1 MB it drops whole.
"""

from __future__ import annotations

import re

from torchgrade.i18n import noop, translate_built
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report.escape import code_block, markdown, plain
from torchgrade.report.feedback_text import WORDS, details, points_text

MOST = 10
SUMMARY = 1 << 20  # bytes, with room for what is said at its end
_PLACE = re.compile(r"(?P<file>[^\s:]+\.py):(?P<line>\d+)")
FINAL = noop("This is feedback: the final marks come from the instructor's own grading, with hidden checks.")
_SETTLED = (Status.PASSED, Status.TODO, Status.UNAVAILABLE)


def begun(result: Result) -> list[TaskGrade]:
    """The tasks of which something is filled in."""
    return [task for task in result.tasks if task.status is not Status.TODO]


def annotated(result: Result) -> list[str]:
    """Lines for standard output: what is wrong, the most expensive first, then the sum."""
    wrong = [(task, check) for task in begun(result) for check in task.checks if check.status not in _SETTLED]
    wrong = [pair for pair in wrong if pair[1].status not in (Status.SKIPPED, Status.HELD)]
    wrong.sort(key=lambda pair: pair[1].points - pair[1].max_points)
    lines = [_annotation(task, check) for task, check in wrong[:MOST]]
    points = points_text(result.points, result.max_points)
    told = _("{points} points of the public checks. {final}").format(points=points, final=_(FINAL))
    more = _(" {count} more things are wrong; the summary of the run tells them.").format(count=len(wrong) - MOST)
    title = _property(plain(_(result.course), lines=False))
    return [*lines, f"::notice title={title}::{_data(told + (more if len(wrong) > MOST else ''))}"]


def _annotation(task: TaskGrade, check: Outcome) -> str:
    place = _PLACE.match(check.where or "")
    where = f"file={_property(place['file'])},line={place['line']}," if place else ""
    title = _property(plain(f"{task.short}: {_(check.title)}", lines=False))
    text = plain("\n".join(line.strip() for line in details(check)))
    return f"::error {where}title={title}::{_data(text[:4000] or _(WORDS[check.status]))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def summary(result: Result) -> str:
    """The run's page in Markdown: points by task, then what is wrong in those that are begun."""
    head = [
        f"# {markdown(_(result.course))}",
        "",
        f"**{points_text(result.points, result.max_points)}** {markdown(_('points of the public checks'))}. "
        + markdown(_(FINAL)),
        "",
        f"| {_('task')} | {_('points')} | {_('status')} |",
        "|---|---|---|",
    ]
    for task in result.tasks:
        score = points_text(task.points, task.max_points)
        head.append(f"| {task.short} {markdown(_(task.title))} | {score} | {_(str(task.status))} |")
    lines = list(head)
    size = _size(lines)
    for task in begun(result):
        for part in _of_task(task):
            size += _size([part])
            if size > SUMMARY - 2000:
                return "\n".join([*lines, "", _("The rest is cut: GitHub shows no more.")]) + "\n"
            lines.append(part)
    return "\n".join(lines) + "\n"


def _of_task(task: TaskGrade) -> list[str]:
    wrong = [check for check in task.checks if check.status not in _SETTLED]
    parts = [
        "",
        f"## {task.short} {markdown(_(task.title))}",
        *(f"- {markdown(translate_built(note))}" for note in task.notes),
    ]
    for check in wrong:
        text = "\n".join(line.strip() for line in details(check))
        parts += ["", f"**{_(WORDS[check.status])}** {markdown(_(check.title))}", *([code_block(text)] if text else [])]
    return parts if wrong or task.notes else []


def _size(lines: list[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)
