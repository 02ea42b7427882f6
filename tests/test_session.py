"""One grading session, in this process: what it tells, in which order, and what it refuses."""

import sys

import pytest
from support import MINI

from torchgrade.course import Course
from torchgrade.errors import CourseError
from torchgrade.grading.events import CheckBegan, CheckEnded, Graded
from torchgrade.grading.job import Job
from torchgrade.grading.sandbox import Sandbox
from torchgrade.grading.session import Session
from torchgrade.isolation.launch.launcher import Limits, open_launcher
from torchgrade.model import Status
from torchgrade.submission import Source

SOLUTIONS = {stem: (MINI / "solutions" / f"{stem}.py").read_text() for stem in ("task01_scale", "task02_train")}


def job(number, task="task01_scale", text=None, **fields):
    return Job(number, task, Source(f"{task}.py", {f"{task}.py": (text or SOLUTIONS[task]).encode()}), **fields)


@pytest.fixture
def told(monkeypatch):
    """Grade jobs of a course in this process; the events."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # as a session leaves it

    def grade(*jobs, root=MINI):
        for name in [name for name in sys.modules if name.endswith(".checks")]:  # a grader has but one course
            monkeypatch.delitem(sys.modules, name)
        events = []
        Session(Course.load(root), lambda isolation, device: None, events.append).grade(jobs)
        return events

    return grade


def test_a_job_tells_each_check_and_its_grade_last(told):
    events = told(job(4))
    began = [event.title for event in events if isinstance(event, CheckBegan)]
    ended = [event.outcome for event in events if isinstance(event, CheckEnded)]
    assert began == [outcome.title for outcome in ended]
    assert [outcome.id for outcome in ended] == ["test_scale", "test_total", "test_gradient", "test_affine"]
    assert {event.job for event in events} == {4}
    grade = events[-1].grade
    assert (grade.status, grade.points, grade.max_points) == (Status.PASSED, 8.0, 8.0)
    assert [outcome.points for outcome in ended] == [0.0] * 4  # awarded when all are known
    assert [check.points for check in grade.checks] == [2.0, 1.0, 2.0, 3.0]


def test_who_is_not_watched_is_told_no_beginnings(told):
    assert {type(event) for event in told(job(1, watched=False))} == {CheckEnded, Graded}


def test_consecutive_jobs_of_a_task_share_its_suite(told, monkeypatch):
    runs, main = [], pytest.main
    monkeypatch.setattr(pytest, "main", lambda *args, **kw: runs.append(args) or main(*args, **kw))
    events = told(job(1), job(2, text="x = 1\n"), job(3, "task02_train"), job(4))
    assert len(runs) == 3
    assert [event.job for event in events if isinstance(event, Graded)] == [1, 2, 3, 4]


def test_only_some_checks_and_the_first_failure(told):
    wrong = SOLUTIONS["task01_scale"].replace("x * factor", "x + factor")
    some = told(job(1, only=("test_total", "test_gradient")))
    assert [event.outcome.id for event in some if isinstance(event, CheckEnded)] == ["test_total", "test_gradient"]
    first = told(job(1, text=wrong, first_failure=True))
    assert [event.outcome.id for event in first if isinstance(event, CheckEnded)] == ["test_scale"]
    whole = told(job(1, text=wrong))[-1].grade
    assert [check.status for check in whole.checks][:1] == [Status.FAILED]
    assert whole.checks[0].likely == "the factor is added, not multiplied"
    assert whole.checks[2].message == "waits for scale multiplies every element"


@pytest.mark.parametrize(
    ("suite", "sentence"),
    [
        (None, "there is no suite graders/task01_scale/checks.py"),
        (
            "def test_bare(submission):\n    pass\n",
            "the suite of task01_scale cannot be collected: test_bare is not marked",
        ),
        ("import nothing_of_this_name\n", "the suite of task01_scale cannot be collected: .*nothing_of_this_name"),
    ],
)
def test_a_suite_that_cannot_be_used_is_the_authors_fault(told, mini, suite, sentence):
    place = mini / "graders" / "task01_scale" / "checks.py"
    place.unlink() if suite is None else place.write_text(suite)
    with pytest.raises(CourseError, match=sentence):
        told(job(1), root=mini)


def test_all_that_a_submission_prints_has_one_budget():
    """Each check keeps so much at most, and all together keep no more than eight of them; the sentence says it."""
    source = Source("t.py", {"t.py": b"def chat(n):\n    print('\\n'.join(['x' * 99] * n))\n    return n\n"})
    with open_launcher() as launcher:
        sandbox = Sandbox(launcher, Limits(), (), source, "t", None, 60.0, lambda steps: None)
        kept = []
        for number in range(10):
            submission = sandbox.submission()
            submission.torchgrade_client.begin(number, 60.0)
            submission.chat(500)
            kept.append(sandbox.output())
        submission.torchgrade_client.begin(99, 60.0)
        assert sandbox.output() == "", "who prints nothing is told nothing"
        sandbox.close()
    assert all(text.endswith("… the rest is not kept: it printed more than 16000 characters") for text in kept[:7])
    assert {text.splitlines()[-1] for text in kept[8:]} == {
        "… not kept: all checks together printed more than 128000 characters"
    }
    assert sum(map(len, kept)) <= 128_300
