"""GraderProcess processes: how they are had, kept, lost and ended. With real ones, on the miniature course."""

import os
import queue
import signal
import textwrap
import time

import pytest
from support import MINI, copy_of_mini

from torchgrade.course import Course
from torchgrade.errors import TorchGradeError
from torchgrade.grading import local, run
from torchgrade.grading.events import Fault, Graded, GraderEnded, Ready, Retried
from torchgrade.grading.grader import GraderProcess
from torchgrade.grading.job import Job, Options
from torchgrade.grading.local import LocalExecutor
from torchgrade.grading.nursery import Nursery
from torchgrade.grading.pool import Pool
from torchgrade.grading.run import grade_tasks, pool_events
from torchgrade.isolation.confine import watch
from torchgrade.model import Status
from torchgrade.submission import Source, Submission

pytestmark = pytest.mark.timeout(300)
SOLUTION = (MINI / "solutions" / "task01_scale.py").read_text()
SLEEPS = SOLUTION.replace("return x * factor", "import time; time.sleep(60)")


def job(number, text=SOLUTION, **fields):
    name = "task01_scale.py"
    source = Source(name, {name: text.encode()})
    return Job(number, "task01_scale", source, **{"isolation": "process", "only": ("test_scale",), **fields})


def end_of(executor, seconds=120.0):
    """All events up to the end of a job."""
    told, deadline = [], time.monotonic() + seconds
    while not any(isinstance(event, (Graded, Fault)) for event in told):
        assert time.monotonic() < deadline
        told += executor.events(0.2)
    return told


@pytest.fixture
def executor():
    made = LocalExecutor(MINI, 1)
    yield made
    made.close(now=True)


def grader_below(pid=None):
    """The one process that this one has started, once it is there."""
    (found,) = watch.children_of(pid or os.getpid())
    return found


def test_an_idle_grader_gets_the_next_job_and_leaves_by_itself(executor):
    executor.submit(job(1))
    first = end_of(executor)
    assert [type(event) for event in first][:1] == [Ready]
    assert first[-1].grade.checks[0].status is Status.PASSED
    executor.submit(job(2))
    assert not any(isinstance(event, Ready) for event in end_of(executor))  # the same one
    pid = grader_below()
    executor.close()
    assert pid not in watch.children_of(os.getpid())


def test_a_grader_that_dies_is_told_and_replaced(executor):
    executor.submit(job(1, SLEEPS))
    while not any(isinstance(event, Ready) for event in executor.events(0.2)):
        pass
    assert not executor.room(0.0)
    os.kill(grader_below(), signal.SIGKILL)
    assert end_of(executor)[-1] == Fault(1, "the grader process ended with status -9")
    executor.submit(job(2))
    assert isinstance(end_of(executor)[-1], Graded)


def test_a_grader_that_says_nothing_is_given_up():
    executor = LocalExecutor(MINI, 1, silence=0.1)
    executor.submit(job(1))
    assert end_of(executor)[-1] == Fault(1, "the grader said nothing for 0.1 s")
    assert watch.children_of(os.getpid()) == []
    executor.close()


GREEDY = """
    from torchgrade.authoring import check, expect


    @check("one is one", points=1, category="values")
    def test_one(submission):
        expect.close(submission.one(), 1)


    @check("one answer is cheap", points=1, category="values")
    def test_cheap(submission):
        kept = []
        while submission.dear() == "seconds":
            pass
        while submission.dear() == "memory":
            kept.append(bytearray(1 << 24))
        expect.close(submission.one(), 1)
"""


@pytest.mark.parametrize(
    ("dear", "limits", "words"),
    [("seconds", {"own_seconds": 0.5}, "more than 0.5 s of computing"), ("memory", {"own_mb": 600}, "than 600 MB")],
)
def test_an_answer_that_keeps_the_grader_busy_fails_its_submission(tmp_path, dear, limits, words):
    """It is tried once more; then the task has failed, where another fault of ours would leave it open."""
    root = copy_of_mini(tmp_path)
    (root / "graders" / "task01_scale" / "checks.py").write_text(textwrap.dedent(GREEDY))
    text = f"def one(): return 1\ndef dear(): return {dear!r}\n"
    with Pool(LocalExecutor(root, 1, **limits)) as pool:
        told = list(pool.events([job(1, text, only=()), job(2, text.replace(dear, ""), only=())]))
    (retried,) = [event for event in told if isinstance(event, Retried)]
    (fault,) = [event for event in told if isinstance(event, Fault)]
    assert words in fault.message == retried.reason
    assert "after the check 'one is one'" in fault.message
    assert fault.overran
    assert [event.grade.status for event in told if isinstance(event, Graded)] == [Status.PASSED]
    assert watch.children_of(os.getpid()) == []


def test_an_answer_that_keeps_the_grader_busy_is_no_fault_of_ours(monkeypatch):
    fault = Fault(0, "comparing what came back takes more than 30 s of computing (in the first check)", overran=True)
    monkeypatch.setattr(run, "pool_events", lambda course, jobs, options: iter([fault]))
    course = Course.load(MINI)
    submission = Submission("task01_scale.py", {"task01_scale": job(1).source})
    (grade,) = grade_tasks(course, submission, [course.find("task01")], Options(), lambda event: None).tasks
    assert (grade.status, grade.points, grade.max_points) == (Status.FAILED, 0.0, 8.0)
    assert grade.checks[0].message == fault.message


def test_what_cannot_be_graded_is_told_in_the_graders_words(executor):
    executor.submit(job(1, isolation="perfect"))
    (fault,) = [event for event in end_of(executor) if isinstance(event, Fault)]
    assert fault.message.startswith("isolation is one of auto, strict, standard, process")
    assert executor.room(1e12)


def test_memory_that_is_promised_is_not_promised_twice():
    executor = LocalExecutor(MINI, 2, memory_mb=3000)
    executor.submit(job(1, SLEEPS, memory_mb=1000))
    assert executor.room(1000)
    assert not executor.room(2000)
    with pytest.raises(TorchGradeError, match="while jobs run"):
        executor.close()
    executor.close(now=True)
    assert watch.children_of(os.getpid()) == []


def test_a_single_job_starts_its_grader_directly(monkeypatch):
    """A nursery costs an import of torch before the suite is read; it is for several."""
    made = []
    monkeypatch.setattr(local, "Nursery", lambda root: made.append(root))
    course = Course.load(MINI)
    assert isinstance(list(pool_events(course, [job(1)], Options(jobs=8)))[-1], Graded)
    assert made == []


def test_graders_of_a_nursery_share_it_and_end_each_in_its_own_way():
    nursery, sink = Nursery(MINI), queue.Queue()
    try:
        graders = [GraderProcess(MINI, sink, job(number, SLEEPS), nursery) for number in range(2)]
        ready = [sink.get(timeout=120) for _ in graders]
        assert {type(event) for _, event in ready} >= {Ready}
        assert len(watch.children_of(os.getpid())) == 1
        graders[0].kill()
        assert next(e for grader, e in iter(sink.get, None) if grader is graders[0]) == GraderEnded(-9)
        below = watch.children_of(grader_below())
        os.kill(grader_below(), signal.SIGKILL)  # the nursery: its graders end with it
        assert next(e for _, e in iter(lambda: sink.get(timeout=30), None) if isinstance(e, GraderEnded)) == (
            GraderEnded(None)
        )
        deadline = time.monotonic() + 20
        while any(os.path.exists(f"/proc/{pid}") for pid in below):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        again = GraderProcess(MINI, sink, job(3), nursery)  # from a new one
        assert isinstance(
            next(e for grader, e in iter(lambda: sink.get(timeout=120), None) if isinstance(e, Graded)), Graded
        )
        again.close()
    finally:
        nursery.close()
    assert watch.children_of(os.getpid()) == []
