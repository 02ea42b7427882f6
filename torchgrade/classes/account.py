"""Everything that led to one mark: what came, what was graded and how often, what people decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torchgrade.batch.bundle import Bundle
from torchgrade.batch.gradebook.gradebook import Decision, Extension, Gradebook, PastGrading
from torchgrade.classes.standing import standing
from torchgrade.course import Course, Task
from torchgrade.i18n import listed, translate_built
from torchgrade.i18n import translate as _
from torchgrade.marks import Remark, Row, Student, TaskInfo
from torchgrade.model import Outcome
from torchgrade.report.feedback_text import outcome_lines, padded, points_text
from torchgrade.report.history_page import TaskHistory
from torchgrade.report.sum_text import late_words, line_words
from torchgrade.sums import TaskSum


@dataclass(frozen=True)
class Account:
    """One student's work on one task. ``attempts`` are all of its rows, ``row`` is the one that counts,
    ``line`` its sum.

    ``earlier`` are the gradings of the same content that are not in force, the oldest first; ``decisions`` all that
    was ever set by hand, with what was withdrawn, ``extensions`` the same for this task and its homework; ``faults``
    our own, (try, reason). ``bundle`` is what was graded, None where nothing readable came. ``current``: the suite is
    still the one that graded.
    """

    student: Student
    task: TaskInfo
    row: Row
    line: TaskSum
    attempts: tuple[Row, ...]
    rule: str
    environment: Mapping[str, object]
    finished: str
    earlier: tuple[PastGrading, ...]
    faults: tuple[tuple[int, str], ...]
    decisions: tuple[Decision, ...]
    extensions: tuple[Extension, ...]
    bundle: Bundle | None
    current: bool


def account_of(book: Gradebook, course: Course, student: Student, task: Task) -> Account | None:
    """None where the gradebook does not ask for this task."""
    found = standing(book, course, student.key)
    row = found.table[student.key].get(task.stem)
    if row is None:
        return None
    attempts = [one for one in found.every if one.task == task.stem]
    homework = found.policy.homework(task.stem)
    names = (task.stem, *([homework.name] if homework else []))
    info = next(info for info in found.tasks if info.task == task.stem)
    past = book.gradings_of(task.stem, row.submission_hash)
    force = [one for one in past if (one.suite, one.environment, one.seed) == _force(row)]
    return Account(
        student, info, row, found.marks[student.key].line(task.stem), tuple(attempts), found.attempt_at(task.stem),
        environment=book.environment(row.environment),
        finished=force[-1].finished if force else "",
        earlier=tuple(one for one in past if one not in force),
        faults=tuple((number, why) for of, source, number, why in book.faults() if (of, source) == _content(row)),
        decisions=tuple(book.decisions(student.key, task.stem)),
        extensions=tuple(one for one in book.extensions_of(student.key) if one.what in names),
        bundle=Bundle.unpack(book.source(row.submission_hash)) if row.submission_hash else None,
        current=row.grader_hash in ("", task.grader_hash),
    )  # fmt: skip


def _force(row: Row) -> tuple[str, str, int]:
    return row.grader_hash, row.environment, row.seed


def _content(row: Row) -> tuple[str, str]:
    return row.task, row.submission_hash


def lost(account: Account) -> list[Outcome]:
    """The checks that cost points, in the order of the suite."""
    return [check for check in account.row.checks if check.points < check.max_points]


def account_lines(account: Account, checks: bool = True) -> Iterator[str]:
    """For the instructor, as lines of plain text: labels and what they say, then the checks that cost points."""
    who = f"{account.student.called}, {account.task.task}"
    yield _("{place}: {what}").format(place=who, what=mark_text(account))
    for label, text in facts(account):
        yield f"  {padded(label, 12)} {text}"
    for check in lost(account) if checks else ():
        yield ""
        yield from outcome_lines(check, whole=True)


def mark_text(account: Account) -> str:
    return listed(line_words(account.line), _(account.row.status))


def history(account: Account) -> TaskHistory:
    """The account as a part of the student's page."""
    lines = ["\n".join(outcome_lines(check, whole=True)) for check in lost(account)]
    return TaskHistory(account.task.task, account.task.title, mark_text(account), tuple(facts(account)), lines)


def facts(account: Account) -> Iterator[tuple[str, str]]:
    """A label and what it says, in the order of what happened."""
    row = account.row
    yield from ((_("handed in"), _attempt(account, one)) for one in account.attempts)
    yield from ((_("left out"), translate_built(note)) for note in row.notes)
    if row.grader_hash:
        yield _("graded"), _grading(account)
        yield _("seed"), str(row.seed)
    if account.line.late:
        yield _("late"), late_words(account.line.late)
    if row.reason:
        yield _("reason"), translate_built(row.reason)
    for past in account.earlier:
        words = _("{moment}: suite {suite}, {status}, {points}")
        yield _("earlier"), words.format(
            moment=past.finished, suite=past.suite[:12], status=_(past.status),
            points=points_text(past.points, past.max_points))  # fmt: skip
    for number, why in account.faults:
        yield _("our fault"), _("try {number}: {reason}").format(number=number, reason=translate_built(why))
    for remark in account.row.remarks.values():
        points = "" if remark.points is None else f" {remark.points:g}"
        said = f"{remark.part or _('the whole task')}{points} {remark.comment}".rstrip()
        yield _("by people"), _by(remark, said)
    for extension in account.extensions:
        yield _("extension"), _extension(extension)
    for decision in account.decisions:
        yield _("decided"), _decision(decision)


def _attempt(account: Account, row: Row) -> str:
    if not row.label:
        return translate_built(row.reason)
    came = listed(f"{row.attempt}. {row.label}", *([row.submitted.replace("T", " ")] if row.submitted else []))
    late = _(", late") if row.late else ""
    counts = ""
    if len(account.attempts) > 1 and row.attempt == account.row.attempt:
        counts = _("; counts, for it is the best") if account.rule == "best" else _("; counts, for it is the last")
    verdict = _(row.status)
    if row.earned is not None:
        verdict = listed(verdict, points_text(row.earned, row.max_points))
    return _("{place}: {what}").format(place=came + late, what=verdict + counts)


def _grading(account: Account) -> str:
    row, made = account.row, account.environment
    parts = [
        account.finished,
        _("suite {suite}").format(suite=row.grader_hash[:12]),
        *(f"{name} {made[name]}" for name in ("torch", "python", "machine") if made.get(name)),
        row.isolation,
        _("{seconds:.1f} s").format(seconds=row.seconds),
        *([_("{megabytes:.0f} MB at most").format(megabytes=row.peak_mb)] if row.peak_mb else []),
    ]
    return listed(*(part for part in parts if part))


def _extension(extension: Extension) -> str:
    why = f" ({extension.why})" if extension.why else ""
    until = extension.until or _("withdrawn")
    return _by(extension, _("{place}: {what}").format(place=extension.what, what=until) + why)


def _by(said: Extension | Decision | Remark, what: str) -> str:
    return _("{place}: {what}").format(place=f"{said.made} {said.who}".rstrip(), what=what)


def _decision(decision: Decision) -> str:
    if decision.points is None:
        return _by(decision, _("withdrawn ({why})").format(why=decision.why))
    before = "-" if decision.before is None else f"{decision.before:g}"
    words = _("{points:g} instead of {before} ({why})")
    return _by(decision, words.format(points=decision.points, before=before, why=decision.why))
