"""Graders that stay warm: the order of checks, runs that are dropped, and a spare that takes over."""

import queue
import time

import pytest
from support import MINI

from torchgrade.grading.events import CheckBegan, Fault, Graded
from torchgrade.grading.job import Options
from torchgrade.grading.warm import Warm
from torchgrade.model import Status
from torchgrade.submission import Source

SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
SLOW = SOLUTION.replace("return x.sum()", "import time; time.sleep(30); return x.sum()")


class Listening:
    """A warm session of the miniature course, and what its graders say."""

    def __init__(self):
        self.heard = queue.Queue()
        self.warm = Warm(MINI, self.heard.put)
        self.jobs = 0

    def job(self, text, task="task01_scale", **changes):
        self.jobs += 1
        name = f"exercises/{task}.py"
        return Options().job(self.jobs, task, Source(name, {name: text.encode()}), **changes)

    def events(self, until, seconds=60.0):
        """What the running job tells, up to an event of one of the kinds ``until``."""
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                event = self.warm.hear(self.heard.get(timeout=0.2))
            except queue.Empty:
                continue
            if event is not None:
                found.append(event)
                if isinstance(event, until):
                    return found
        raise AssertionError(f"none of {until} came: {found}")

    def graded(self, text, **changes):
        self.warm.run(self.job(text, **changes))
        return self.events((Graded, Fault))


@pytest.fixture(scope="module")
def session():
    listening = Listening()
    yield listening
    listening.warm.close()


def titles(events):
    return [event.title for event in events if isinstance(event, CheckBegan)]


def test_what_failed_last_runs_first_and_the_verdict_is_the_same(session):
    """What a check waits for goes before it; the grade tells the checks as they are written."""
    plain = session.graded(SOLUTION)
    order = ("test_affine", "test_total", "no such check")
    other = session.graded(SOLUTION, order=order)
    assert titles(plain) == [
        "scale multiplies every element",
        "total sums all elements",
        "gradients flow through scale",
        "Affine has two parameters and they learn",
    ]
    assert titles(other) == [titles(plain)[0], titles(plain)[3], titles(plain)[1], titles(plain)[2]]
    grades = [[(out.id, out.status, out.points) for out in events[-1].grade.checks] for events in (plain, other)]
    assert grades[0] == grades[1]


def test_a_run_is_dropped_and_nothing_of_it_is_told(session):
    session.warm.run(session.job(SLOW))
    session.events(CheckBegan)
    started = time.monotonic()
    events = session.graded(SOLUTION)
    assert time.monotonic() - started < 20
    assert {event.job for event in events} == {session.jobs}
    assert events[-1].grade.status is Status.PASSED


def test_a_spare_grader_has_the_suite_open(session):
    """Behind a dropped run stands one that begins at once, also with another task."""
    session.graded(SOLUTION)
    for task, text in (
        ("task02_train", (MINI / "solutions" / "task02_train.py").read_text()),
        ("task01_scale", SOLUTION),
    ):
        session.warm.prepare(session.job(text, task))
        assert session.graded(text, task=task)[-1].grade.status is Status.PASSED


def test_between_two_runs_a_worker_stands_ready_and_no_run_finds_another_ones_traces(session):
    """Each run has a worker of its own, though it was started before its file was known."""
    traces = "import builtins; print(hasattr(builtins, 'kept')); builtins.kept = 1; return x.sum()"
    leave = SOLUTION.replace("return x.sum()", traces)
    for _ in range(3):
        grade = session.graded(leave, again=True)[-1].grade
        assert grade.status is Status.PASSED
        assert [out.output for out in grade.checks if out.output] == ["False\n"]


def test_a_grader_that_dies_ends_its_run_with_a_fault_and_the_next_one_is_fresh(session):
    session.warm.run(session.job(SLOW))
    session.events(CheckBegan)
    session.warm._current.kill()
    assert isinstance(session.events((Fault, Graded))[-1], Fault)
    assert session.graded(SOLUTION)[-1].grade.status is Status.PASSED
