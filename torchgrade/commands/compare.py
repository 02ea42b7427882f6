"""``compare``: what a learner wrote beside the reference, function by function, once the task is complete."""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from torchgrade.commands.grade import run_options
from torchgrade.commands.study import is_complete, subjects_of
from torchgrade.course import Course, Task
from torchgrade.course_tools.sealed import is_sealed, unseal
from torchgrade.course_tools.variants import solution_text
from torchgrade.errors import UsageError
from torchgrade.grading.events import Graded, Traced
from torchgrade.grading.job import Job, Options
from torchgrade.grading.pool import Pool
from torchgrade.handin.source import decode
from torchgrade.i18n import plural
from torchgrade.i18n import translate as _
from torchgrade.last_run import last_grade
from torchgrade.model import ExitCode, Status, TaskGrade
from torchgrade.report.board import Subjects
from torchgrade.report.parts import facts_of, parts_of
from torchgrade.report.scoreboard import Progress, make_console
from torchgrade.submission import Source, read_exercises

SIDE_BY_SIDE = 130  # columns from which both texts stand beside each other
ROUNDS = 2  # each is graded so often, in turn; the faster time counts
COUNTED = "counted_calls"  # what a file that counts is asked for
COUNTING = """

from torchgrade.isolation.worker.counting import count as _count

_count(globals(), {names!r})
"""
Calls = Mapping[str, tuple[int, int]]  # by definition: the fewest and the most calls into torch that a call of it made


@dataclass(frozen=True)
class Measured:
    """What both cost when they were graded in turn: seconds and calls into torch by definition, and the peak memory of
    the process in MB.
    """

    seconds: tuple[Mapping[str, float], Mapping[str, float]]
    torch_calls: tuple[Calls, Calls]
    peak_mb: tuple[float, float]


def compare(options: argparse.Namespace, course: Course) -> int:
    task = course.find(options.task)
    own = _own_source(course, task)
    names = list(parts_of(_reference(course, task)))
    unknown = [name for name in options.names if name not in names]
    if unknown:
        sentence = _("{task} has no {name}; it has: {names}")
        raise UsageError(sentence.format(task=task.short, name=unknown[0], names=", ".join(names)))
    console = make_console(options.no_color)
    measured = None if options.no_run else _measure(course, task, own, run_options(options), console)
    show_comparison(console, course, task, measured, options.names)
    return int(ExitCode.PASSED)


def show_comparison(
    console: Console, course: Course, task: Task, measured: Measured | None = None, names: Sequence[str] = ()
) -> None:
    """Print it; UsageError where the task is not complete or its reference is not here."""
    reference = parts_of(_reference(course, task))
    source = _own_source(course, task)
    own = parts_of(decode(source.files[source.main]))
    console.print(Text(f"{task.short}  {_(task.manifest.title)}", style="bold"))
    for name, theirs in reference.items():
        if names and name not in names:
            continue
        yours = own.get(name, "")
        console.print()
        console.print(Text(name, style="bold"))
        for place, (who, text) in enumerate(((_("yours"), yours), (_("reference"), theirs))):
            cost = _cost_text(measured, place, name) if measured is not None and text else ""
            console.print(f"  {who:<10} {_facts_text(text)}{cost}", soft_wrap=True)
        _print_code(console, yours, theirs)
    if measured is not None:
        console.print()
        words = _("memory of the process at most: {own:.0f} MB with yours, {reference:.0f} MB with the reference")
        console.print(words.format(own=measured.peak_mb[0], reference=measured.peak_mb[1]), soft_wrap=True)
    ideas = _ideas(task)
    if ideas and not names:
        console.print()
        where = f"graders/{task.stem}/alternatives"
        console.print(Text(_("other ways to write it, in {place}").format(place=where), style="bold"))
        for file, idea in ideas.items():
            console.print(f"  {file}  {idea}", soft_wrap=True)


def has_reference(task: Task) -> bool:
    """Whether there is one to compare with, be it sealed."""
    return task.solution.is_file() or is_sealed(task)


def _ideas(task: Task) -> dict[str, str]:
    """The first sentence of each alternative, by the name of its file."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(task.folder.glob("alternatives/*.py"))}
    found = {name: ast.get_docstring(ast.parse(text)) or "" for name, text in texts.items()}
    return {name: " ".join(idea.split()) for name, idea in found.items() if idea}


def _print_code(console: Console, yours: str, theirs: str) -> None:
    def code(text: str) -> Syntax:
        return Syntax(text.rstrip(), "python", background_color="default", word_wrap=True)

    if console.width < SIDE_BY_SIDE:
        console.print(code(theirs))
        return
    table = Table(box=None, expand=True, padding=(0, 2, 0, 0))
    table.add_column(_("yours"), ratio=1)
    table.add_column(_("reference"), ratio=1)
    table.add_row(code(yours), code(theirs))
    console.print(table)


def _facts_text(text: str) -> str:
    if not text:
        return _("not defined under this name")
    facts = facts_of(text)
    loops = plural("{count} loop", "{count} loops", facts.loops) if facts.loops else _("no loop")
    return f"{plural('{count} line', '{count} lines', facts.lines)}, {loops}"


def _cost_text(measured: Measured, place: int, name: str) -> str:
    words = ""
    if name in measured.torch_calls[place]:
        low, high = measured.torch_calls[place][name]
        one = plural("; {count} call into torch", "; {count} calls into torch", low)
        words = one if low == high else _("; {low} to {high} calls into torch").format(low=low, high=high)
    if name in measured.seconds[place]:
        words += _("; its checks took {seconds:.2f} s").format(seconds=measured.seconds[place][name])
    return words


def _reference(course: Course, task: Task) -> str:
    if not is_complete(course, task):
        sentence = _("compare opens when {task} is complete: python grade.py {task} says what is missing")
        raise UsageError(sentence.format(task=task.short))
    if not task.solution.is_file() and unseal(task, last_grade(course.root, task.stem)) is None:
        raise UsageError(_("the reference of {task} is not part of this edition").format(task=task.short))
    return solution_text(task)


def _own_source(course: Course, task: Task) -> Source:
    sources = read_exercises(course.root / "exercises", [task]).sources
    return sources[task.stem]


def _measure(course: Course, task: Task, own: Source, settings: Options, console: Console) -> Measured:
    """Grade both in turn, in one grader. UsageError where the learner's file does not pass as it stands."""
    name = f"{task.stem}.py"
    sources = (own, Source(name, {name: task.solution.read_bytes()}))
    both = len(sources)
    jobs = [settings.job(number, task.stem, sources[number % both]) for number in range(ROUNDS * both)]
    jobs += [_counting(settings, len(jobs) + place, task, source) for place, source in enumerate(sources)]
    found: dict[int, list[TaskGrade]] = {0: [], 1: []}
    calls: dict[int, dict[str, tuple[int, int]]] = {0: {}, 1: {}}
    with Progress(console, [task.short] * len(jobs)) as progress, Pool.local(course.root, 1) as pool:
        for event in pool.events(jobs):
            progress.observe(event)
            if isinstance(event, Traced):
                _add(calls[event.job % both], event.said)
            elif isinstance(event, Graded) and event.job < ROUNDS * both:
                found[event.job % both].append(event.grade)
    if any(grade.status is not Status.PASSED for grade in found[0]):
        sentence = _("{file} does not pass as it stands: python grade.py {task}")
        raise UsageError(sentence.format(file=f"exercises/{task.stub.name}", task=task.short))
    subjects = subjects_of(task)
    yours, theirs = (_fastest(found[place], subjects) for place in (0, 1))
    peaks = [max((grade.peak_mb for grade in found[place]), default=0.0) for place in (0, 1)]
    return Measured((yours, theirs), (calls[0], calls[1]), (peaks[0], peaks[1]))


def _counting(settings: Options, number: int, task: Task, source: Source) -> Job:
    """Grades the same once more, with its calls into torch counted; what that costs is not measured."""
    text = decode(source.files[source.main])
    text += COUNTING.format(names=list(parts_of(solution_text(task))))
    counted = Source(source.main, {**source.files, source.main: text.encode()})
    return settings.job(number, task.stem, counted, tracing=COUNTED)


def _add(calls: dict[str, tuple[int, int]], said: str) -> None:
    for name, (low, high) in json.loads(said).items():
        before = calls.get(name, (low, high))
        calls[name] = min(before[0], low), max(before[1], high)


def _fastest(grades: Sequence[TaskGrade], subjects: Subjects) -> dict[str, float]:
    """Seconds of the checks that are about one definition alone, in its fastest run."""
    found: dict[str, float] = {}
    for grade in grades:
        spent: dict[str, float] = {}
        for outcome in grade.checks:
            about = subjects.get(outcome.id, ())
            if len(about) == 1:
                spent[about[0]] = spent.get(about[0], 0.0) + outcome.seconds
        found = {name: min(seconds, found.get(name, seconds)) for name, seconds in spent.items()}
    return found
