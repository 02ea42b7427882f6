"""The rule by which every command's jobs are fed and tried again, with an executor that follows a script."""

from typing import get_args

import msgpack
import pytest

from torchgrade.grading.events import (
    CheckBegan,
    CheckEnded,
    Event,
    Fault,
    Graded,
    GraderEnded,
    GraderFailed,
    Met,
    PictureShown,
    Ready,
    Recorded,
    Retried,
    Started,
    StepsTaken,
    Traced,
    from_data,
    to_data,
)
from torchgrade.grading.job import Job, JobQueue
from torchgrade.grading.pool import PATIENCE, TRIES, Pool
from torchgrade.model import Outcome, Status, TaskGrade
from torchgrade.submission import Source

SOURCE = Source("a.py", {"a.py": b""})


def job(number, memory_mb=0.0, task="task01_scale", **fields):
    return Job(number, task, SOURCE, memory_mb=memory_mb, **fields)


def outcome(status=Status.PASSED):
    return Outcome("test_a", "it holds", "values", "cpu", status, 0.0, 1.0, message="no room")


def grade(status=Status.PASSED):
    return TaskGrade("task01_scale", "Scale", status, 1.0, 1.0, 0.1, "suite", "source", (outcome(status),))


class Script:
    """Each call of ``events`` ends the jobs that run as ``ends`` says, by number; else they pass."""

    def __init__(self, ends=None, memory_mb=1e9, slots=1):
        self.ends = ends or {}
        self.memory_mb, self.slots = memory_mb, slots
        self.running, self.submitted, self.closed = {}, [], None

    def room(self, memory_mb):
        used = sum(job.memory_mb for job in self.running.values())
        return not self.running or (len(self.running) < self.slots and used + memory_mb <= self.memory_mb)

    def submit(self, job):
        assert self.room(job.memory_mb)
        self.running[job.id] = job
        self.submitted.append(job)

    def events(self, timeout):
        numbers = list(self.running)
        self.running.clear()
        return [self.ends[n].pop(0) if self.ends.get(n) else Graded(n, grade()) for n in numbers]

    def close(self, *, now=False):
        self.closed = "now" if now else "orderly"


def test_each_job_is_started_and_graded_in_order():
    with Pool(executor := Script()) as pool:
        told = list(pool.events([job(0), job(1)]))
    assert told == [Started(0), Graded(0, grade()), Started(1), Graded(1, grade())]
    assert executor.closed == "orderly"


@pytest.mark.parametrize("fault", [Fault(0, "it died"), Graded(0, grade(Status.BROKEN))])
def test_our_own_fault_is_tried_once_more_and_then_told(fault):
    """By whatever way it is told: a grader that died, or a check that is broken."""
    reason = "it died" if isinstance(fault, Fault) else "it holds: no room"
    healed = list(Pool(Script({0: [fault]})).events([job(0)]))
    assert healed == [Started(0), Retried(0, reason, 1), Started(0), Graded(0, grade())]

    lasting = list(Pool(Script({0: [fault] * TRIES})).events([job(0)]))
    assert lasting == [Started(0), Retried(0, reason, 1), Started(0), fault]


def test_a_lost_machine_costs_no_try_but_has_an_end():
    lost = Fault(0, "the machine left", lost=True)
    told = list(Pool(Script({0: [lost] * 100})).events([job(0)]))
    assert told.count(Started(0)) == PATIENCE + TRIES
    assert told[-1] == lost


def test_what_is_tried_again_comes_next():
    executor = Script({0: [Fault(0, "no")]})
    events = list(Pool(executor).events([job(0), job(1)]))
    assert [job.id for job in executor.submitted] == [0, 0, 1]
    assert isinstance(next(event for event in events if not isinstance(event, Started)), Retried)


def test_what_overran_is_tried_again_alone():
    """When what runs has ended, with nothing beside it; those that wait come after."""
    dear = Fault(1, "too dear", overran=True)

    class Beside(Script):
        def submit(self, job):
            super().submit(job)
            self.beside = [*getattr(self, "beside", []), len(self.running) - 1]

    executor = Beside({1: [dear, dear], 2: [Fault(2, "too dear", overran=True)]}, slots=2)
    events = list(Pool(executor).events(map(job, range(5))))
    assert [job.id for job in executor.submitted] == [0, 1, 1, 2, 3, 2, 4]
    assert executor.beside == [0, 1, 0, 0, 1, 0, 0]
    assert [event for event in events if isinstance(event, Fault)] == [dear]
    assert sorted(event.job for event in events if isinstance(event, Graded)) == [0, 2, 3, 4]


def test_tries_are_counted_anew_for_each_call():
    pool = Pool(Script({0: [Fault(0, "once"), Graded(0, grade()), Fault(0, "once")]}))
    for _ in range(2):
        assert isinstance(list(pool.events([job(0)]))[-1], Graded)


def test_a_later_queue_fills_the_memory_that_an_earlier_one_leaves():
    executor = Script(memory_mb=1000, slots=3)
    list(Pool(executor).events([job(0, 700), job(1, 700)], [job(2, 200), job(3, 200)]))
    assert [job.id for job in executor.submitted] == [0, 2, 1, 3]


def test_a_job_that_never_fits_runs_alone():
    executor = Script(memory_mb=10, slots=3)
    assert len([e for e in Pool(executor).events([job(0, 50), job(1, 50)]) if isinstance(e, Graded)]) == 2


def test_stopping_ends_the_feeding_and_finishes_what_runs():
    executor = Script(slots=2)
    told = list(Pool(executor).events(map(job, range(9)), stopping=lambda: len(executor.submitted) >= 4))
    assert [event.job for event in told if isinstance(event, Graded)] == [0, 1, 2, 3]


def test_a_pool_that_is_left_with_jobs_running_ends_them_at_once():
    executor = Script()
    with Pool(executor) as pool:
        next(pool.events([job(0)]))
    assert executor.closed == "now"


def test_jobs_are_made_only_when_they_are_looked_at():
    made = []

    def jobs():
        for number in range(5):
            made.append(number)
            yield job(number, task="task01_scale" if number < 2 else "task02_train")

    queue = JobQueue(jobs())
    assert made == []
    assert [job.id for job in queue.while_task("task01_scale")] == [0, 1]
    assert made == [0, 1, 2]
    queue.put_back(job(9))
    assert [queue.take().id for _ in range(2) if queue.peek()] == [9, 2]


EVENTS = (
    Ready("2.9"),
    Started(1),
    CheckBegan(1, "it holds"),
    StepsTaken(1, 40),
    CheckEnded(1, outcome()),
    Recorded(1, "loss", 0.5, 2),
    Met(1, "test_a", ["the factor is added, not multiplied"]),
    Traced(1, "test_a", "scale"),
    PictureShown(1, "cpu", {"kind": "grid", "name": "faces", "images": {"shape": [1, 2, 2], "pixels": b"\0\1\2\3"}}),
    Graded(1, grade()),
    Fault(1, "it died", lost=True),
    Retried(1, "it died", 1),
    GraderFailed("no suite"),
    GraderEnded(-9),
)


def test_every_event_comes_back_from_its_bytes():
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    for event in EVENTS:
        assert from_data(msgpack.unpackb(msgpack.packb(to_data(event)))) == event
