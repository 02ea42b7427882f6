"""One student's feedback, in Markdown and HTML: what the scoreboard would have said, hidden checks with care."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from torchgrade.i18n import language_tag, listed, run_on, translate, translate_built
from torchgrade.i18n import translate as _
from torchgrade.marks import UNREADABLE, Row, Student
from torchgrade.model import Outcome, Result, TaskGrade, short_name
from torchgrade.report.escape import code_block, markdown, plain
from torchgrade.report.feedback_text import WORDS, details, points_text
from torchgrade.report.learner_view import learner_result
from torchgrade.report.student_result import LATE, PEOPLE
from torchgrade.report.sum_text import SumTable, late_words, line_words, number, percent_words, sum_table
from torchgrade.sums import TaskSum, Total

TEMPLATES = Path(__file__).parent / "templates"


@cache  # each template is compiled once
def environment() -> Environment:
    """Templates that escape everything, and that fail where a value is missing."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals["_"] = translate
    made.globals["lang"] = language_tag
    made.filters["told"] = translate_built
    made.filters["short"] = short_name
    made.filters["plain"] = lambda text: plain(str(text))
    made.filters["line"] = lambda text: plain(str(text), lines=False)
    made.filters["number"] = number
    return made


def feedback_markdown(
    student: Student,
    result: Result,
    rows: Mapping[str, Row],
    mark: Total,
    rules: Sequence[str] = (),
    comment: str = "",
) -> str:
    """A Markdown document; every text in it is shown as it is, and none becomes markup. ``rules`` made the mark,
    ``comment`` is about the whole hand-in.
    """
    seen = learner_result(result)
    who = f"**{markdown(student.shown)}**{markdown(_team(student))}"
    head = _("{place}: {what}").format(place=who, what=_headline(mark))
    lines = [f"# {markdown(_(seen.course))}", "", head, ""]
    lines += [*_sum_markdown(sum_table(mark)), *(f"{rule}\n" for rule in rules)]
    lines += [_("{place}: {what}").format(place=_("comment"), what=markdown(comment)), ""] if comment else []
    for task in seen.tasks:
        row, line = rows[task.task], mark.line(task.task)
        lines += [f"## {markdown(_(task.title))} ({task.task})", "", _task_words(row, line, markdown), ""]
        lines += [f"- {markdown(translate_built(note))}" for note in row.notes] + [""] * bool(row.notes)
        lines += [part for check in _told_apart(task) for part in _check_markdown(check)]
        lines += [""] * bool(lines[-1])
    lines += _hidden_note(result)
    return "\n".join(lines).rstrip() + "\n"


def _sum_markdown(table: SumTable) -> list[str]:
    align = ["---", *["---:"] * (len(table.head) - 1)]
    rows = [table.head, align, *table.rows]
    return [*("| " + " | ".join(row) + " |" for row in rows), "", table.foot, ""]


def _team(student: Student) -> str:
    return _(", team {team}").format(team=student.team) if student.team else ""


def _headline(mark: Total) -> str:
    if mark.percent is None:
        return _("not complete yet; open: {tasks}").format(tasks=", ".join(mark.open_tasks))
    verdict = {True: _(", passed"), False: _(", not passed"), None: ""}[mark.passed]
    return f"{percent_words(number(mark.percent))}{verdict}"


def _task_words(row: Row, line: TaskSum, clean: Callable[[str], str] = str) -> str:
    """What the task earned, and what of it was graded; ``clean`` is for what students wrote."""
    if line.points is None:
        words = _("No points yet: {reason}. This is not your fault and costs you nothing.")
        return words.format(reason=clean(translate_built(row.reason or row.status)))
    late = [late_words(line.late)] if line.late else []
    return run_on(line_words(line) + _("."), *map(clean, handed(row)), *late)


def handed(row: Row) -> list[str]:
    """What was graded, in sentences: the file, which attempt, when it came."""
    when = _(", handed in {moment}").format(moment=row.submitted.replace("T", " ")) if row.submitted else ""
    words = _("Came: {file}{when}.") if row.status == UNREADABLE else _("Graded: {file}{when}.")
    file = [words.format(file=row.label, when=when)] if row.label else []
    attempt = _("Attempt {number} of {all}.").format(number=row.attempt, all=row.attempts)
    return [*file, *([attempt] if row.attempts > 1 else [])]


def _told_apart(task: TaskGrade) -> list[Outcome]:
    """What is told line by line: what being late costs stands in the sentence about the file already."""
    return [check for check in task.checks if (check.id, check.category) != (LATE, PEOPLE)]


def word_of(check: Outcome) -> str:
    """What became of a check; of what people said and decided there is no verdict."""
    return _("people") if check.category == PEOPLE else _(WORDS[check.status]).lower()


def _check_markdown(check: Outcome) -> list[str]:
    where = "" if check.device == "cpu" else f" [{check.device}]"
    hidden = _(" (hidden)") if check.hidden else ""
    score = points_text(check.points, check.max_points)
    word = word_of(check)
    facts = [_(check.category)] * (check.category != PEOPLE) + [score] * bool(check.max_points)
    lines = [listed(f"- **{word}** {markdown(_(check.title))}{where}{hidden}", *facts)]
    if check.category == PEOPLE:
        return [*lines, *(f"  - {markdown(line)}" for line in check.message.splitlines())]
    text = "\n".join(_undented(details(check)))
    return [*lines, "", code_block(text), ""] if text else lines


def _undented(lines: Sequence[str]) -> list[str]:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[indent:] for line in lines]


def _hidden_note(result: Result) -> list[str]:
    count = sum(check.hidden for task in result.tasks for check in task.checks)
    if not count:
        return []
    return [_hidden_sentence(count)]


def _hidden_sentence(count: int) -> str:
    words = _("Hidden checks: {count}; of these you read the sentence, the category and the size of the error.")
    return words.format(count=count)


def feedback_html(
    student: Student, result: Result, rows: Mapping[str, Row], mark: Total, rules: Sequence[str] = (),
    comment: str = "", home: str = "../../report.html",
) -> str:  # fmt: skip
    """One self-contained page. ``home`` leads back to the class's page; empty for a page that is handed out."""
    seen = learner_result(result)
    hidden = sum(check.hidden for task in result.tasks for check in task.checks)
    blocks = [
        {
            "grade": task,
            "row": rows[task.task],
            "line": _task_words(rows[task.task], mark.line(task.task)),
            "checks": [
                {
                    "check": c,
                    "word": word_of(c),
                    "text": "\n".join(_undented(details(c))),
                }
                for c in _told_apart(task)
            ],
        }
        for task in seen.tasks
    ]
    template = environment().get_template("feedback.html.j2")
    return template.render(
        course=_(seen.course),
        student=student,
        team=_team(student),
        headline=_headline(mark),
        sum=sum_table(mark),
        rules=rules,
        comment=comment,
        tasks=blocks,
        hidden=_hidden_sentence(hidden) if hidden else "",
        home=home,
        comma=listed("", ""),
    )
