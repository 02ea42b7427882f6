"""What a task's board is made of: bars, aligned numbers, roots told once, lines of Chinese, and whom a check is about."""

from dataclasses import replace

import pytest
from rich.cells import cell_len
from support import ROOT

from torchgrade.course import Course
from torchgrade.handin.source import excerpt
from torchgrade.i18n import speaking
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.report.board import aligned, bar, entries, groups
from torchgrade.report.feedback_text import outcome_lines, wrap
from torchgrade.report.scoreboard import all_wait, next_lines, next_lines_of, to_do
from torchgrade.submission import wanted_names
from torchgrade.suites import parse_suite, read_suite

SUITE = """
TABLE = {"relu": 1, "gelu": 2, "elu": 3}

def every(submission):
    return [getattr(submission, name) for name in TABLE]

@pytest.fixture
def net(submission):
    return submission.Net()

@check("Net has two layers", points=1, category="values")
def test_net(net): ...

@check("gelu is smooth", points=1, category="values")
def test_gelu(submission):
    every(submission)

@check("elu and relu agree above 0", points=1, category="values")
def test_both(submission):
    every(submission)

@check("elu reaches -1, where relu is 0", points=1, category="values")
def test_first(submission):
    every(submission)

@check("nothing is printed", points=1, category="values")
def test_all(submission):
    every(submission)
"""


def test_a_check_is_about_what_it_takes_or_what_its_title_names():
    subjects = parse_suite(SUITE, "checks.py").subjects({"relu", "gelu", "elu", "Net", "forward"})
    assert subjects == {
        "test_net": ("Net",),
        "test_gelu": ("gelu",),
        "test_both": ("elu", "gelu", "relu"),
        "test_first": ("elu",),
        "test_all": ("elu", "gelu", "relu"),
    }


@pytest.mark.parametrize("task", Course.load(ROOT).tasks, ids=lambda task: task.short)
def test_every_check_of_the_course_is_about_something(task):
    subjects = read_suite(task).subjects(wanted_names([task])[task.stem])
    assert [name for name, about in subjects.items() if not about] == []


def test_numbers_stand_below_each_other_on_the_point():
    assert aligned([(0.0, 3.5), (17.5, 30.0), (1.25, 2.0)]) == [" 0.00 /  3.50", "17.50 / 30.00", " 1.25 /  2.00"]
    assert aligned([(1.0, 2.0)]) == ["1 / 2"]


@pytest.mark.parametrize(
    ("points", "shown"), [(0, "....."), (0.01, "#...."), (5, "##..."), (9.99, "####."), (10, "#####")]
)
def test_a_bar_is_full_and_empty_only_when_it_is_so(points, shown):
    assert bar(points, 10, ascii_only=True, width=5) == shown


def outcome(number, status, device="cpu", **fields):
    return Outcome(f"test_{number}", f"check {number}", "values", device, status, 0.0, 1.0, **fields)


def test_one_root_is_one_entry_and_two_are_two():
    crash = {"message": "ValueError: 3 rows", "where": "a.py:5  f()"}
    found = entries(
        [
            outcome(1, Status.CRASHED, **crash),
            outcome(2, Status.CRASHED, **{**crash, "message": "ValueError: 4 rows"}),
            outcome(3, Status.CRASHED, **{**crash, "message": "TypeError: 4 rows"}),
            outcome(4, Status.CRASHED, **{**crash, "where": "a.py:6  f()"}),
            outcome(5, Status.FAILED, given="x", got="1", where="a.py:5  f()"),
            outcome(6, Status.FAILED, given="x", got="1", where="a.py:5  f()"),
            outcome(7, Status.FAILED, expected="a definition of f", got="no such name"),
            outcome(8, Status.FAILED, expected="a definition of f", got="no such name"),
            outcome(9, Status.SKIPPED, message="waits for check 1"),
            outcome(10, Status.SKIPPED, message="waits for check 2"),
        ]
    )
    assert [entry.checks for entry in found] == [2, 1, 1, 1, 1, 2, 1, 1]
    assert found[0].summed.max_points == 2.0
    assert "also      1 more check, for the same reason" in "\n".join(outcome_lines(found[0].summed, others=1))


def test_what_is_about_several_stands_last():
    checks = [outcome(1, Status.PASSED), outcome(2, Status.PASSED), outcome(3, Status.PASSED)]
    found = groups(checks, {"test_1": ("f", "g"), "test_2": ("f",), "test_3": ("g",)})
    assert [(group.name, len(group.outcomes)) for group in found] == [("f", 1), ("g", 1), ("", 1)]


def test_chinese_counts_two_columns_and_breaks_anywhere_but_before_a_comma():
    lines = wrap("二维卷积层，它的输出应该与给定的张量相同 conv2d 的形状", 20)
    assert max(map(cell_len, lines)) <= 20
    assert "".join(lines).replace(" ", "") == "二维卷积层，它的输出应该与给定的张量相同conv2d的形状"
    assert not any(line.startswith("，") for line in lines)
    assert wrap("x" * 45, 20) == ["x" * 20, "x" * 20, "x" * 5]
    block = outcome_lines(outcome(1, Status.FAILED, got="张量" * 40, expected="形状 (2, 3)"), width=60)
    assert max(map(cell_len, block)) <= 60


def test_a_first_line_is_as_wide_as_it_may_be_in_chinese_too():
    with speaking("zh_CN"):
        heads = [outcome_lines(outcome(1, status), width=60)[0] for status in Status]
    assert {cell_len(head) for head in heads} == {60}


@pytest.mark.parametrize("column", [0, 8, 40, 90, 110])
@pytest.mark.parametrize(
    "line", ["        x = " + "value + " * 20, "        s = '中文' + " + "说明" * 40 + " + 1" * 20]
)
def test_the_caret_of_a_long_line_stands_below_its_character(line, column):
    shown, before = excerpt(line, column)
    assert cell_len(shown) <= 47
    assert next(rest for end, rest in enumerate(shown) if cell_len(shown[:end]) == before) == line[column]


def test_a_file_that_cannot_be_executed_is_told_once_whichever_check_met_it():
    checks = (outcome(1, Status.SKIPPED), outcome(2, Status.CRASHED, message="no Python"), outcome(3, Status.SKIPPED))
    task = TaskGrade("task01_scale", "Scale", Status.CRASHED, 0.0, 3.0, 0.1, "", "", checks)
    told = to_do(task)
    assert told is not None
    assert (told.outcome.title, told.outcome.max_points, told.checks) == ("the file can be executed", 3.0, 1)
    assert list(next_lines_of(task))[-1] == "next: no Python"
    assert not all_wait(replace(task, checks=(*checks, outcome(4, Status.TODO))))


def test_a_function_that_crashes_is_no_file_that_cannot_be_executed():
    waiting = outcome(2, Status.SKIPPED, message="waits for check 1")
    checks = (outcome(1, Status.CRASHED, message="ValueError: x"), waiting, outcome(3, Status.SKIPPED))
    task = TaskGrade("task01_scale", "Scale", Status.CRASHED, 0.0, 3.0, 0.1, "", "", checks)
    told = to_do(task)
    assert told is not None
    assert told.outcome.title == "check 1"


def test_a_task_that_could_not_be_graded_does_not_hide_what_is_next():
    broken, failed, passed = (
        TaskGrade(
            f"task0{number}_x", "X", status, 0.0, 1.0, 0.1, "", "", (outcome(number, status, message="no Python"),)
        )
        for number, status in enumerate((Status.BROKEN, Status.CRASHED, Status.PASSED))
    )

    def lines(*tasks):
        return list(next_lines(Result("", "", "", 0, "", ("cpu",), tasks), onward="next: task09"))

    assert lines(broken, failed)[0].startswith("task00_x could not be graded")
    assert lines(broken, failed)[-1] == 'next: "check 1"'
    assert len(lines(broken, passed)) == 1
