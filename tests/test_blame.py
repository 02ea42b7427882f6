"""Whom a check blames when no worker could be had."""

import types

from support import MINI

from torchgrade.checks import CheckSpec
from torchgrade.course import Course
from torchgrade.errors import IsolationError
from torchgrade.grading.job import Job
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
        name="test_scale", obj=types.SimpleNamespace(check=CheckSpec("it scales", 1, "values"))
    )
    sandbox = NoWorker()

    job = Job(1, "task01_scale", Source("a.py", {"a.py": b""}))
    outcome = runner.record(Run(item, job, "cpu"), sandbox).outcome

    assert outcome.status is Status.BROKEN
    assert "could not be confined" in outcome.message
    assert sandbox.asked == 2
