"""One student's feedback, in Markdown and HTML: what the scoreboard would have said, hidden checks with care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from torchgrade.marks import UNREADABLE, Row, Student
from torchgrade.model import Outcome, Result, short_name
from torchgrade.policy import Total
from torchgrade.report.escape import code_block, markdown, plain
from torchgrade.report.feedback_text import WORDS, details, points_text
from torchgrade.report.learner_view import learner_result

TEMPLATES = Path(__file__).parent / "templates"


@cache  # each template is compiled once
def environment() -> Environment:
    """Templates that escape everything, and that fail where a value is missing."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.filters["short"] = short_name
    made.filters["plain"] = lambda text: plain(str(text))
    made.filters["line"] = lambda text: plain(str(text), lines=False)
    made.filters["number"] = lambda value: "" if value is None else f"{value:g}"
    return made


def feedback_markdown(student: Student, result: Result, rows: Mapping[str, Row], mark: Total) -> str:
    """A Markdown document; every text in it is shown as it is, and none becomes markup."""
    seen = learner_result(result)
    lines = [f"# {markdown(seen.course)}", "", f"**{markdown(student.shown)}**: {_headline(mark)}", ""]
    for task in seen.tasks:
        row = rows[task.task]
        lines += [f"## {markdown(task.title)} ({task.task})", "", _task_line(row), ""]
        lines += [f"- {markdown(note)}" for note in row.notes] + [""] * bool(row.notes)
        lines += [part for check in task.checks for part in _check_markdown(check)]
    lines += _hidden_note(result)
    return "\n".join(lines).rstrip() + "\n"


def _headline(mark: Total) -> str:
    if mark.percent is None:
        return f"not complete yet; open: {', '.join(mark.open_tasks)}"
    verdict = {True: ", passed", False: ", not passed", None: ""}[mark.passed]
    dropped = f"; not counted: {', '.join(mark.dropped)}" if mark.dropped else ""
    return f"{round(mark.percent, 1):g} % ({points_text(mark.points, mark.max_points)} points){verdict}{dropped}"


def _task_line(row: Row) -> str:
    if row.points is None:
        return f"No points yet: {markdown(row.reason or row.status)}. This is not your fault and costs you nothing."
    parts = [f"{points_text(row.points, row.max_points)} points.", *map(markdown, handed(row))]
    return " ".join(parts)


def handed(row: Row) -> list[str]:
    """What was graded, in sentences: the file, which attempt, when it came, and whether that was late."""
    when = f", handed in {row.submitted.replace('T', ' ')}" if row.submitted else ""
    read = "Came" if row.status == UNREADABLE else "Graded"
    file = [f"{read}: {row.label}{when}."] if row.label else []
    several = [f"Attempt {row.attempt} of {row.attempts}."] if row.attempts > 1 else []
    return [*file, *several, *(["Handed in late."] if row.late else [])]


def _check_markdown(check: Outcome) -> list[str]:
    where = "" if check.device == "cpu" else f" [{check.device}]"
    hidden = " (hidden)" if check.hidden else ""
    score = points_text(check.points, check.max_points)
    word = WORDS[check.status].lower()
    lines = [f"- **{word}** {markdown(check.title)}{where}{hidden}, {check.category}, {score}"]
    text = "\n".join(_undented(details(check)))
    return [*lines, "", code_block(text), ""] if text else lines


def _undented(lines: Sequence[str]) -> list[str]:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[indent:] for line in lines]


def _hidden_note(result: Result) -> list[str]:
    count = sum(check.hidden for task in result.tasks for check in task.checks)
    if not count:
        return []
    return ["", f"Hidden checks: {count}; of these you read the sentence, the category and the size of the error."]


def feedback_html(
    student: Student, result: Result, rows: Mapping[str, Row], mark: Total, home: str = "../../report.html"
) -> str:
    """One self-contained page. ``home`` leads back to the class's page; empty for a page that is handed out."""
    seen = learner_result(result)
    hidden = sum(check.hidden for task in result.tasks for check in task.checks)
    blocks = [
        {
            "grade": task,
            "row": rows[task.task],
            "handed": handed(rows[task.task]),
            "checks": [
                {
                    "check": c,
                    "word": WORDS[c.status].lower(),
                    "text": "\n".join(_undented(details(c))),
                }
                for c in task.checks
            ],
        }
        for task in seen.tasks
    ]
    template = environment().get_template("feedback.html.j2")
    return template.render(
        course=seen.course, student=student, headline=_headline(mark), tasks=blocks, hidden=hidden, home=home
    )
