"""What people read, word for word: kept in ``tests/golden`` and read as prose where it changes.

``TORCHGRADE_GOLDEN=write pytest tests/test_golden.py`` writes today's texts; ``git diff`` then shows what a reader sees.
"""

import difflib
import io
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from class_support import TASKS, make_class, marks_of
from rich.console import Console
from support import MINI, ROOT

from torchgrade import errors, expect, i18n
from torchgrade.cli import build_parser
from torchgrade.commands import learner
from torchgrade.commands.watch.view import View, board_page, rows
from torchgrade.course import Course, Task, Track
from torchgrade.course_tools.messages import without_numbers
from torchgrade.course_tools.variants import read_mutants
from torchgrade.grading.events import Graded
from torchgrade.grading.job import Options
from torchgrade.grading.outcomes import PASSED, Verdict, verdict_of
from torchgrade.grading.pool import Pool
from torchgrade.i18n import translate
from torchgrade.marks import Row, Student
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.policy import Policy
from torchgrade.progress import Reached
from torchgrade.report import scoreboard
from torchgrade.report.class_report import ClassFacts, TrackPart, class_report
from torchgrade.report.feedback import feedback_markdown
from torchgrade.report.feedback_text import outcome_lines
from torchgrade.scoring import award, task_status
from torchgrade.scoring import total as sum_of
from torchgrade.submission import Source
from torchgrade.sums import total

FOLDER = Path(__file__).with_name("golden")
STEM = "task07_pooling_norm"
TITLE = "BatchNorm2d normalises each channel over batch and map"
LINE = errors.TraceFrame(f"exercises/{STEM}.py", 83, "BatchNorm2d.forward", "return (x - mean) / var.sqrt()")


def compared(got, expected, **told):
    """What ``expect.close`` raises."""
    try:
        expect.close(got, expected, **told)
    except errors.Mismatch as mismatch:
        return mismatch
    raise AssertionError("they agree")


def mismatch():
    expected = torch.zeros(2, 4, 3, 5)
    expected[0, 0, 1, 2] = 2.9215
    got = torch.full_like(expected, 0.01)
    got[0, 0, 1, 2] = 2.8724
    likely = {"the variance divides by N - 1, not by N": got}
    return compared(
        got, expected, given=i18n.also("BatchNorm2d(num_features=4)(x)", "x float32 [2, 4, 3, 5]"), likely=likely
    )


# What a check may raise, by the status that it becomes.
RAISED = {
    Status.FAILED: mismatch,
    Status.TODO: errors.SubmissionRaised(["NotImplementedError"], "", [LINE]),
    Status.CRASHED: errors.SubmissionRaised(["RuntimeError"], "shape '[2, 4]' is invalid for input of size 9", [LINE]),
    Status.TIMED_OUT: errors.TimedOut(10.0),
    Status.OUT_OF_MEMORY: errors.OutOfMemory(2048),
    Status.UNAVAILABLE: errors.Unavailable("this machine has no CUDA device"),
}
WITHOUT_ERROR = {
    Status.PASSED: lambda: PASSED,
    Status.HELD: lambda: Verdict(
        Status.HELD, translate("right, but it counts once the values of {name} are right").format(name="BatchNorm2d")
    ),
    Status.SKIPPED: lambda: Verdict(Status.SKIPPED, translate("waits for {title}").format(title=translate(TITLE))),
    Status.BROKEN: lambda: Verdict(Status.BROKEN, "KeyError: 'floor'", where="graders/checks.py:12"),
}
EXPECTED = torch.tensor([[1.0, 0.25, -3.0], [2.0, 0.5, 0.125]])


def other_errors():
    return (
        compared(EXPECTED * torch.tensor([1.0, 1.0, 2.0]), EXPECTED),
        compared(torch.arange(12.0).reshape(2, 6) / 7, torch.arange(12.0).reshape(2, 6) / 8),
        errors.MissingName("max_pool2d", ["maxpool2d"]),
        errors.LoadFailed("SyntaxError: '(' was never closed (exercises/task07_pooling_norm.py, line 3)"),
        errors.SubmissionRaised(["ModuleNotFoundError"], "No module named 'scipy'", [LINE]),
        errors.WorkerDied("its process was killed"),
        errors.BadAnswer("it returned a generator"),
    )


def outcome(verdict, number=0):
    def told(text):
        return i18n.translate_built(text, STEM) if text else text

    return Outcome(
        id=f"test_{number}",
        title=translate(TITLE),
        category="values",
        device="cpu",
        status=verdict.status,
        points=0.0,
        max_points=1.5,
        message=told(verdict.message),
        given=told(verdict.given),
        expected=told(verdict.expected),
        got=told(verdict.got),
        table=verdict.table,
        likely=told(verdict.likely),
        where=verdict.where,
    )


def of_status(status):
    place = "exercises/task07_pooling_norm.py:83  BatchNorm2d.forward()"
    error = RAISED.get(status)
    return WITHOUT_ERROR[status]() if error is None else verdict_of(error() if callable(error) else error, place)


def grade(stem, title, *statuses):
    checks = award([outcome(of_status(status), number) for number, status in enumerate(statuses)])
    points, possible = sum_of(checks)
    return TaskGrade(stem, title, task_status(checks), points, possible, 0.5, "suite", "source", checks)


def result(*grades):
    return Result("TorchGrade", "1.0", "2.9", 7, "exercises", ("cpu",), grades)


def printed(show):
    console = Console(file=io.StringIO(), width=80, color_system=None, highlight=False, markup=False)
    show(console)
    return console.file.getvalue()


def whole_course():
    tasks = (
        grade("task05_convolution", translate("The convolution layer"), Status.PASSED, Status.PASSED),
        grade(STEM, translate("Pooling and normalisation layers"), Status.PASSED, Status.FAILED, Status.SKIPPED),
        grade("task08_vgg", "VGG", Status.TODO),
    )
    tracks = (
        Track("layers", "Layers by hand", "What torch.nn computes.", tuple(Task(t.task, MINI) for t in tasks[:2])),
        Track("networks", "Networks", "Published architectures.", (Task("task08_vgg", MINI),)),
    )
    return printed(lambda console: scoreboard.show(console, result(*tasks), tracks, seconds=4.2, known=1))


def every_status():
    blocks = [outcome_lines(outcome(of_status(status))) for status in Status]
    blocks += [outcome_lines(outcome(verdict_of(error, None))) for error in other_errors()]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


# Of one task: the status of each check, what it is about, and its title.
CHECKS = (
    (Status.PASSED, ("max_pool2d",), "max_pool2d takes the maximum of each window of each channel"),
    (Status.PASSED, ("max_pool2d",), "max_pool2d spreads its windows by the dilation"),
    (Status.TODO, ("lp_pool2d",), "lp_pool2d runs from the sum (p = 1) towards the maximum"),
    (Status.FAILED, ("BatchNorm2d",), "BatchNorm2d normalises each channel over batch and map"),
    (Status.PASSED, ("BatchNorm2d",), "BatchNorm2d(4) has 8 parameters"),
    (Status.SKIPPED, ("BatchNorm2d",), "BatchNorm2d tracks one batch after the other"),
    (Status.CRASHED, ("GroupNorm",), "GroupNorm normalises blocks of neighbouring channels"),
    (Status.CRASHED, ("GroupNorm", "LayerNorm"), "the norm layers keep their precision far from zero"),
    (Status.CRASHED, ("GroupNorm", "LayerNorm"), "the norm layers normalise half precision in float32"),
    (Status.HELD, ("BatchNorm2d", "LayerNorm"), "normalisation is written without PyTorch's normalisation"),
)


def one_task(verbose=False):
    made = grade(STEM, translate("Pooling and normalisation layers"), *(status for status, _about, _title in CHECKS))
    checks = tuple(
        replace(out, title=translate(title)) for out, (_s, _a, title) in zip(made.checks, CHECKS, strict=True)
    )
    subjects = {f"test_{number}": about for number, (_status, about, _title) in enumerate(CHECKS)}
    shown = result(replace(made, checks=checks))
    return printed(lambda console: scoreboard.show(console, shown, verbose=verbose, seconds=3.3, subjects=subjects))


def a_passed_task():
    shown = result(grade(STEM, translate("Pooling and normalisation layers"), Status.PASSED, Status.PASSED))
    subjects = {"test_0": ("max_pool2d",), "test_1": ("BatchNorm2d",)}
    onward = "next: exercises/task08_vgg.py  VGG"
    return printed(lambda console: scoreboard.show(console, shown, seconds=3.3, subjects=subjects, onward=onward))


def a_syntax_error():
    text = f"exercises/{STEM}.py:26, column 9: invalid syntax\n    x = = 2\n        ^"
    made = grade(STEM, translate("Pooling and normalisation layers"), Status.CRASHED, Status.SKIPPED, Status.SKIPPED)
    unread = replace(outcome(verdict_of(errors.LoadFailed(text), None)), id="test_0")
    waiting = (replace(out, message=translate("waits for the file to be loaded")) for out in made.checks[1:])
    return printed(lambda console: scoreboard.show(console, result(replace(made, checks=(unread, *waiting)))))


def feedback():
    """With a hidden check, of which a learner reads no more than the sentence and its kind."""
    made = grade(STEM, translate("Pooling and normalisation layers"), Status.PASSED, Status.FAILED)
    hidden = replace(made.checks[1], id="test_2", title="GroupNorm is right for one group", hidden=True)
    checks = (*made.checks, hidden)
    task = replace(made, checks=checks, max_points=4.5)
    row = Row("ada", STEM, "failed", task.points, 4.5, 1, 1, label="ada/task07.py", checks=checks)
    mark = total([row], [TASKS[0].__class__(STEM, made.title, 4.5)], Policy())
    return feedback_markdown(Student("ada", name="Ada"), result(task), {STEM: row}, mark)


def watched(width=80, height=24):
    """The screen of ``watch`` after a save that has mended something."""
    made = grade(STEM, translate("Pooling and normalisation layers"), *(status for status, _about, _title in CHECKS))
    checks = tuple(
        replace(out, title=translate(title)) for out, (_s, _a, title) in zip(made.checks, CHECKS, strict=True)
    )
    task = Course.load(ROOT).find("task07")
    view = View(task, {}, {f"test_{number}": 1.5 for number in range(len(CHECKS))})
    before = replace(made, checks=tuple(replace(out, status=Status.FAILED) for out in checks[:2]) + checks[2:])
    view.finish(before, 2.3, "20:15:07")
    view.finish(replace(made, checks=checks), 2.3, "20:15:09")
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
    for row in rows(view, console, height):
        console.print(row)
    return console.file.getvalue()


class Text(HTMLParser):
    """What a reader sees of a page, a line for each row and block."""

    def __init__(self):
        super().__init__()
        self.lines, self.skip = [""], 0

    def handle_starttag(self, tag, attributes):
        self.skip += tag in ("style", "script", "svg")
        if tag in ("tr", "p", "li", "h1", "h2", "h3", "summary", "caption", "form", "table"):
            self.lines.append("")

    def handle_endtag(self, tag):
        self.skip -= tag in ("style", "script", "svg")
        if tag in ("td", "th"):
            self.lines[-1] += " | "

    def handle_data(self, data):
        if not self.skip and data.strip():
            self.lines[-1] += " ".join(data.split()) + " "


def class_page():
    students, rows = make_class(6)
    students, rows = students[1:], [row for row in rows if row.student != students[0].key]
    tracks = [TrackPart("Numbers", TASKS[:1]), TrackPart("Networks", TASKS[1:])]
    facts = ClassFacts("A course", "2026-01-01", {"torch": "2.9"}, {}, [("task02_pooling", "KeyError: 'x'")], 3, 2)
    parser = Text()
    parser.feed(class_report(students, rows, TASKS, marks_of(rows, Policy(passing=0.5)), facts, tracks))
    return "\n".join(line.rstrip(" |") for line in parser.lines if line.strip(" |")) + "\n"


def course_list(monkeypatch):
    console = Console(file=io.StringIO(), width=80, color_system=None, highlight=False, markup=False)
    monkeypatch.setattr(learner, "make_console", lambda: console)
    monkeypatch.setattr(learner, "load_progress", lambda root: {"task01_scale": Reached(5.5, 8.0, (0,))})
    tracks = (
        Track("first", "First things", "Where one begins.", (Task("task01_scale", MINI),)),
        Track("second", "Second things", "Where one goes on.", (Task("task02_train", MINI),)),
    )
    learner.list_tasks(None, Course(MINI, "A miniature course", tracks))
    return console.file.getvalue()


def help_of(*command):
    parser = build_parser()
    for name in command:
        parser = next(action for action in parser._actions if action.choices and name in action.choices).choices[name]
    return re.sub(r"^(usage: )\S+", r"\1grade.py", parser.format_help())


@pytest.fixture
def chinese(monkeypatch):
    for name in ("LANGUAGE", "TORCHGRADE_LANG"):
        monkeypatch.setenv(name, "zh_CN")
    i18n.read_course(ROOT)
    i18n.lend_to_gettext()
    with i18n.speaking("zh_CN"):
        yield


TEXTS = {
    "scoreboard": whole_course,
    "one_task": one_task,
    "one_task_unfolded": lambda: one_task(verbose=True),
    "a_passed_task": a_passed_task,
    "a_syntax_error": a_syntax_error,
    "every_status": every_status,
    "watch": watched,
    "watch_on_60_columns": lambda: watched(60, 16),
    "feedback": feedback,
    "class_page": class_page,
    "help": help_of,
    "help_grade": lambda: help_of("grade"),
}


def first_failures(language):
    """Of each task, what is read by whoever makes the mistake of its first mutant."""
    course = Course.load(ROOT)
    mutants = {task: read_mutants(task)[0] for task in course.tasks}
    jobs = [
        Options().job(
            number,
            task.stem,
            Source(f"{task.stem}.py", {f"{task.stem}.py": mutant.text.encode()}),
            memory_mb=task.manifest.memory_mb,
            only=mutant.fails[:1],
            language=language,
        )
        for number, (task, mutant) in enumerate(mutants.items())
    ]
    with Pool.local(ROOT, 1) as pool:
        grades = {event.job: event.grade for event in pool.events(jobs) if isinstance(event, Graded)}
    assert len(grades) == len(jobs)
    blocks = []
    for number, (task, mutant) in enumerate(mutants.items()):
        told = next(out for out in grades[number].checks if out.id in mutant.fails)
        assert told.status not in (Status.PASSED, Status.BROKEN), (task.stem, told)
        lines = outcome_lines(replace(told, title=translate(told.title)))
        blocks.append("\n".join([f"{task.short} {translate(grades[number].title)}", *lines]))
    return "\n\n".join(blocks) + "\n"


def compare(name, text, same=lambda text: text):
    place = FOLDER / f"{name}.txt"
    if os.environ.get("TORCHGRADE_GOLDEN") == "write":
        place.parent.mkdir(exist_ok=True)
        place.write_text(text, encoding="utf-8")
    kept = place.read_text(encoding="utf-8")
    if same(kept) != same(text):
        difference = difflib.unified_diff(kept.splitlines(), text.splitlines(), "kept", "today", lineterm="", n=2)
        pytest.fail(f"{name} reads otherwise than it did:\n" + "\n".join(difference), pytrace=False)


@pytest.mark.parametrize("name", TEXTS)
def test_what_people_read(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    compare(name, TEXTS[name]())


@pytest.mark.parametrize("name", TEXTS)
def test_what_people_read_in_chinese(name, monkeypatch, chinese):
    monkeypatch.setenv("COLUMNS", "80")
    compare(f"zh_CN/{name}", TEXTS[name]())


def test_the_first_failure_of_each_task_in_chinese(chinese):
    """In English ``messages.txt`` beside each task has them all."""
    compare("zh_CN/first_failures", first_failures("zh_CN"), same=without_numbers)


@pytest.mark.parametrize("screen", ["learning.md: one_task", "learning.md: watch", "zh-CN/learning.md: zh_CN/one_task"])
def test_the_pages_for_learners_show_screens_as_they_are(screen):
    page, _, name = screen.partition(": ")
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert f"```\n{(FOLDER / f'{name}.txt').read_text(encoding='utf-8')}```" in text


def test_the_list_of_the_course(monkeypatch):
    compare("list", course_list(monkeypatch))


def test_a_hint_is_seen_however_much_is_printed_and_a_syntax_error_loses_nothing():
    """The screen of ``watch``: hints stand first, and what is compared is what could be executed."""
    made = grade(STEM, "Norms", Status.PASSED, Status.FAILED)
    wordy = replace(made, checks=(made.checks[0], replace(made.checks[1], output="printed\n" * 99)))
    unread = replace(
        made, checks=(replace(made.checks[0], status=Status.SKIPPED), outcome(of_status(Status.CRASHED), 1))
    )
    view = View(Course.load(ROOT).find("task07"), {}, {"test_0": 1.5, "test_1": 1.5})
    view.finish(wordy, 1.0, "20:15:07")
    view.hints = ["hint 1/5  Begin with one map."]
    console = Console(file=io.StringIO(), width=60, height=16, color_system=None)
    shown = [row.plain for row in rows(view, console, 16)]
    assert "hint 1/5  Begin with one map." in shown
    assert any(row.startswith("FAIL ") for row in shown)
    view.offset = view.room - 2  # space was pressed
    below = [row.plain for row in rows(view, console, 16)]
    assert [row.split()[0] for row in (shown[10], below[4], below[5])] == ["expected", "atol", "got"]
    view.running, view.steps = "a check with a title that is as long as the screen is wide", 1234
    assert rows(view, console, 16)[2].plain == "grading  0 of 2 (optimiser step 1,234)  a check with a titl…"
    view.finish(unread, 1.0, "20:15:08")
    assert (view.fixed, view.lost) == ([], [])
    assert not any(row.plain.startswith("skip") for row in board_page(view, console))
    view.finish(replace(made, checks=(made.checks[0], replace(made.checks[0], id="test_1"))), 1.0, "20:15:09")
    assert (view.fixed, view.lost) == ([TITLE], [])


def test_every_status_is_shown_and_none_is_told_by_another_error():
    assert set(RAISED) | set(WITHOUT_ERROR) == set(Status)
    for status in Status:
        assert of_status(status).status is status


def test_no_text_is_kept_that_nobody_makes():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {*TEXTS, "list"}
    assert {path.stem for path in (FOLDER / "zh_CN").iterdir()} == {*TEXTS, "first_failures"}
