"""Whom a check blames when no worker could be had, or when the suite itself raises."""

import types
from dataclasses import replace

import pytest
from support import MINI, checks_of, copy_of_mini, grade_here, result_of

from torchgrade.checks import CheckSpec
from torchgrade.course import Course
from torchgrade.errors import IsolationError
from torchgrade.grading.job import Job
from torchgrade.grading.run import broken_grade, missing_grade
from torchgrade.grading.runner import CheckRunner, Run
from torchgrade.model import Status
from torchgrade.report.learner_view import learner_view
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


FORGED = """
import os, socket, struct, sys
import msgpack

end = socket.socket(fileno=os.dup(3))

def scale(x, factor=2.0):
    frame = sys._getframe()
    while "sequence" not in frame.f_locals:
        frame = frame.f_back
    told = ["l", ["l", "RuntimeError"], "it is the engine that fails", ["l"]]
    packed = msgpack.packb([["l", frame.f_locals["sequence"], "ours", told], []])
    end.sendall(struct.pack(">BI", 0, len(packed)) + packed)
    os._exit(0)
"""


def test_a_submission_that_says_the_engine_failed_has_failed(mini):
    """Where the reference passes, whatever the worker says of the engine is the submission's."""
    solution = (mini / "solutions" / "task01_scale.py").read_text()
    (mini / "exercises" / "task01_scale.py").write_text(solution + FORGED)
    check = checks_of(result_of("task01", cwd=mini, code=1))["test_scale"]
    assert check["status"] == "failed"
    assert "it is the engine that fails" in check["got"]


HIDDEN = """
from torchgrade.authoring import check, expect


@check("it stays a number", points=1, category="values", hidden=True)
def test_secret(submission):
    expect.close(submission.scale(41.75), 83.5)
"""


@pytest.mark.parametrize("body", [
    "type(f'In_{x}', (), {})()", "type(f'In_{x}', (dict,), {})(a=f'In_{x}')", "{f'In_{x}': x}", "f'In_{x}'", "[x] * 4",
    "[].index(f'In_{x}')", "(_ for _ in ()).throw(type(f'In_{x}', (Exception,), {})(x))", "lambda: x",
])  # fmt: skip
def test_nothing_that_a_submission_words_is_told_of_a_hidden_check(tmp_path, body):
    root = copy_of_mini(tmp_path)
    (root / "graders" / "task01_scale" / "checks.py").write_text(HIDDEN)
    (outcome,) = grade_here(root, f"def scale(x):\n    return {body}\n").values()
    assert outcome.status in (Status.FAILED, Status.CRASHED)
    assert "41" not in repr(learner_view(replace(outcome, seconds=0.0)))


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
