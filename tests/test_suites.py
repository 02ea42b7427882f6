"""One reader of what a suite's text says; two of one name are refused in one sentence wherever they are met."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import MINI, checks_of, result_of

from torchgrade.checks import CheckSpec, check
from torchgrade.course import Course
from torchgrade.course_tools.verify import verify_tasks
from torchgrade.errors import AuthoringError, CourseError
from torchgrade.grading.job import Options
from torchgrade.suites import parse_suite, points_of, read_suite

TWICE = '\n\n@check("once more", points=1, category="values")\ndef test_total(submission):\n    raise ValueError\n'


def test_the_text_says_what_the_decorator_says() -> None:
    """The reader and the running suite agree on every check of every task."""
    for course in (Course.load(MINI), Course.load(MINI.parents[1])):
        for task in course.tasks:
            suite = read_suite(task)
            assert points_of(task) == suite.points > 0
            space: dict[str, object] = {"__name__": "suite", "__file__": str(task.suite)}
            if course.root == MINI:
                exec(compile(suite.text, str(task.suite), "exec"), space)
                marked = {name: value.check for name, value in space.items() if hasattr(value, "check")}
                spec: CheckSpec
                for written, (name, spec) in zip(suite.checks, marked.items(), strict=True):
                    assert (written.name, written.title, written.points) == (name, spec.title, spec.points)
                    assert (written.category, written.seconds, written.hidden) == (
                        spec.category,
                        spec.seconds,
                        spec.hidden,
                    )
            assert suite.points > 0
            assert len(suite.names) == suite.text.count("@check(")


def test_who_takes_calibration_or_pictures_records() -> None:
    text = '@check("{0}", points=1, category="values")\ndef test_{0}(submission, {1}):\n    pass\n'
    suite = parse_suite(
        text.format("a", "calibration") + text.format("b", "device") + text.format("c", "pictures"), "s"
    )
    assert [written.name for written in suite.checks if written.records] == ["test_a", "test_c"]


def test_sentences_that_are_written_out() -> None:
    assert read_suite(Course.load(MINI).tasks[0]).sentences == {
        "the factor is added, not multiplied",
        "the bias is missing",
    }


def test_computed_facts_and_broken_text_are_refused_with_the_line() -> None:
    with pytest.raises(CourseError, match=r"s:2: points= of a check is written out"):
        parse_suite('@check("t", points=P, category="values")\ndef test_a(submission): ...\n', "s")
    with pytest.raises(CourseError, match=r"s:1: "):
        parse_suite("def f(:\n", "s")


def test_two_checks_of_one_name_are_refused_where_the_suite_is_read_and_where_it_runs() -> None:
    text = read_suite(Course.load(MINI).tasks[0]).text
    with pytest.raises(CourseError, match=r"s:\d+: a second check called test_total hides the one of line \d+"):
        parse_suite(text + TWICE, "s")
    space: dict[str, object] = {"check": check}
    with pytest.raises(AuthoringError, match="test_total is the name of the check 'once more' already"):
        exec(TWICE + TWICE, space)


def test_grade_and_verify_name_the_cause(mini: Path) -> None:
    suite = mini / "graders" / "task01_scale" / "checks.py"
    suite.write_text(suite.read_text() + TWICE)
    (row,) = checks_of(result_of("task01", "--solutions", cwd=mini)).values()
    assert row["status"] == "broken"
    assert "test_total is the name of the check 'total sums all elements' already" in row["message"]
    course = Course.load(mini)
    lines = list(verify_tasks(course, course.tasks[:1], Options(), lambda *_: None))
    assert [line for line in lines if "a second check called test_total hides the one of line" in line.text] == lines[
        :1
    ]


def test_a_task_is_listed_once(mini: Path) -> None:
    place = mini / "course.yaml"
    place.write_text(place.read_text() + "  - task01_scale\n")
    with pytest.raises(CourseError, match=r"course\.yaml lists task01_scale 2 times"):
        Course.load(mini)


def test_every_sentence_that_a_learner_may_read_is_found_for_translation():
    """However it reaches an expectation: what only looks like one stands where nobody reads it."""
    suite = parse_suite(
        """
@check("t", points=1, category="values")
def test_t(submission):
    "no sentence of it"
    slips = {"a whole table": 1} if submission else {}
    slips |= {"joined on": 3}
    slips["one more"] = 4
    for given, x in (("a row of cases", 4), ("another row", 5)):
        helper(x, given, slips, "handed to a helper")
    expect.equal(1, 2, trivial="for the author alone", likely=slips)
    expect.true(slips["looked up there"] == "compared with it", "what was asked for", got="what came of it")
    if "not {}".format(x).replace("one part of", "a text that"):
        raise ValueError("raised for nobody")
""",
        "checks.py",
    )
    assert set(suite.built) == {
        "a whole table", "joined on", "one more", "a row of cases", "another row", "handed to a helper", "what was asked for",
        "what came of it",
    }  # fmt: skip
    assert suite.sentences == set()


def test_sentences_that_f_strings_build_are_known_by_their_fixed_parts():
    text = """
def test_a(submission, found, mode):
    given = f"a model in {mode} mode{', which raises an error' if found else ''}"
    expect.equal(1, 2, given=f"{given}; the files of {found['x']} and {found[0]}")
    expect.equal(1, 2, given=f"lr={mode}, {submission.f(found)}", got=f"{len(found)} of the {len(mode)} {{odd}} ones")
    shown = f"all of them in {{}} mode, {mode}"
"""
    assert set(parse_suite(text, "s").built) == {
        "a model in {mode} mode{value}",
        ", which raises an error",
        "{given}; the files of {found} and {found2}",
        "{len} of the {len2} {{odd}} ones",
        "all of them in {value} mode, {mode}",
    }
