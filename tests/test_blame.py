"""Whom a check blames when no worker could be had, or when the suite itself raises."""

import types

import pytest
from support import MINI, copy_of_mini, grade_here

from torchgrade.checks import CheckSpec
from torchgrade.course import Course
from torchgrade.errors import IsolationError
from torchgrade.grading.job import Job
from torchgrade.grading.run import broken_grade, missing_grade
from torchgrade.grading.runner import CheckRunner, Run
from torchgrade.model import Status
from torchgrade.submission import Source


class NoWorker:
    """A sandbox whose workers are killed before they are confined."""

    def __init__(self):
        self.asked = 0

    def submission(self):
        self.asked += 1
        raise IsolationError("A worker could not be confined: no answer")

    def restart(self):
        pass

    def output(self):
        return ""


def test_a_worker_that_cannot_be_started_is_our_fault_and_tried_again():
    def reference(*_):
        raise AssertionError("the reference has nothing to say about it")

    runner = CheckRunner(Course.load(MINI).find("task01"), reference, lambda *_: None)
    item = types.SimpleNamespace(
        name="test_scale",
        path=MINI / "graders" / "task01_scale" / "checks.py",
        obj=types.SimpleNamespace(check=CheckSpec("it scales", 1, "values")),
    )
    sandbox = NoWorker()

    job = Job(1, "task01_scale", Source("a.py", {"a.py": b""}))
    outcome = runner.record(Run(item, job, "cpu"), sandbox).outcome

    assert outcome.status is Status.BROKEN
    assert "could not be confined" in outcome.message
    assert sandbox.asked == 2


SUITE = """
from torchgrade.authoring import check, expect


@check("the total can be used", points=1, category="values")
def test_total(submission):
    submission.total(1.0).backward()


@check("the engine is used wrongly", points=1, category="values")
def test_engine(submission):
    submission.total(1.0)
    expect.between(0.5, "low", 1)
"""


@pytest.mark.parametrize("folder", ["plain", "torchgrade-course"])
def test_without_a_reference_the_one_that_acted_last_is_to_blame_wherever_the_course_lies(tmp_path, folder):
    root = copy_of_mini(tmp_path / folder)
    (root / "solutions" / "task01_scale.py").unlink()
    (root / "graders" / "task01_scale" / "checks.py").write_text(SUITE)
    outcomes = grade_here(root, "def total(x): return None\n").values()
    assert [str(outcome.status) for outcome in outcomes] == ["failed", "broken"]


def test_a_task_that_could_not_be_graded_counts_for_nothing():
    task = Course.load(MINI).find("task01")
    assert broken_grade(task, "no worker").max_points == 0
    assert missing_grade(task).max_points == 8
