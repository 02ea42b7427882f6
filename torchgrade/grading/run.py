"""Grade some tasks of one submission and collect the result; what happens meanwhile is told to an observer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

import torchgrade
from torchgrade.course import Course, Task
from torchgrade.environment import clean_this_process
from torchgrade.errors import TorchGradeError
from torchgrade.grading.events import Event, Fault, Graded, Ready, Started
from torchgrade.grading.job import Job, Options
from torchgrade.grading.pool import Pool
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Result, Status, TaskGrade
from torchgrade.submission import Submission
from torchgrade.suites import read_suite

Observer = Callable[[Event], None]


def grade_tasks(
    course: Course,
    submission: Submission,
    tasks: Sequence[Task],
    options: Options,
    observe: Observer,
    only: Sequence[str] = (),
) -> Result:
    """One result for ``tasks``; a task whose file is missing gets a row that says so.

    A job's number is the place of its task in ``tasks``. ``only``: ids of the checks to run; all when empty.
    """
    jobs = [
        options.job(
            number, task.stem, submission.sources[task.stem], memory_mb=task.manifest.memory_mb, only=tuple(only)
        )
        for number, task in enumerate(tasks)
        if task.stem in submission.sources
    ]
    grades: dict[int, TaskGrade] = {}
    torch_version = version("torch")  # as long as no grader has told
    for event in debug_events(course, jobs, options) if options.debug else pool_events(course, jobs, options):
        observe(event)
        if isinstance(event, Ready):
            torch_version = event.torch
        elif isinstance(event, Graded):
            grades[event.job] = event.grade
        elif isinstance(event, Fault):
            task = tasks[event.job]
            grades[event.job] = (
                overrun_grade(task, event.message) if event.overran else broken_grade(task, event.message)
            )
    return Result(
        course=course.title,
        engine=torchgrade.__version__,
        torch=torch_version,
        seed=options.seed,
        submission=submission.label,
        devices=options.devices,
        tasks=tuple(
            grades.get(number) or missing_grade(task, submission.reasons.get(task.stem))
            for number, task in enumerate(tasks)
        ),
    )


def pool_events(course: Course, jobs: Sequence[Job], options: Options) -> Iterator[Event]:
    """Grade in processes of their own: one, or several side by side where there is work for them."""
    with Pool.local(course.root, min(options.jobs, len(jobs))) as pool:
        yield from pool.events(jobs)


def debug_events(course: Course, jobs: Sequence[Job], options: Options) -> Iterator[Event]:
    """Grade in this very process, so that ``breakpoint()`` and ``--pdb`` work."""
    clean_this_process()
    from torchgrade.grading.debugger import stop_where_it_raised
    from torchgrade.grading.session import Session

    events: list[Event] = []
    session = Session(course, lambda isolation, device: None, events.append)
    if options.pdb:
        session.debugger = stop_where_it_raised
    for job in jobs:
        yield Started(job.id)
        try:
            session.grade([job])
        except TorchGradeError as error:
            events.append(Fault(job.id, str(error)))
        yield from events
        events.clear()


def missing_grade(task: Task, reason: str | None = None) -> TaskGrade:
    """The row of a task that nothing was handed in for, or nothing readable (``reason``): none of its points."""
    message = reason or _("there is no file {name}").format(name=f"{task.stem}.py")
    title = _("{name} is handed in").format(name=f"{task.stem}.py")
    return _whole(task, Status.FAILED, title, message, read_suite(task).points)


def overrun_grade(task: Task, message: str) -> TaskGrade:
    """The row of a submission whose answers kept the grader too busy, twice: none of the task's points."""
    return _whole(task, Status.FAILED, _("the answers can be compared"), message, read_suite(task).points)


def broken_grade(task: Task, message: str) -> TaskGrade:
    """The row of a task that could not be graded, through no fault of the learner: it counts for nothing."""
    return _whole(task, Status.BROKEN, _("the grader works"), message, 0.0)


def _whole(task: Task, status: Status, title: str, message: str, max_points: float) -> TaskGrade:
    outcome = Outcome(
        id="file",
        title=title,
        category="robustness",
        device="cpu",
        status=status,
        points=0.0,
        max_points=max_points,
        message=message,
    )
    return TaskGrade(
        task=task.stem,
        title=task.manifest.title,
        status=status,
        points=0.0,
        max_points=outcome.max_points,
        seconds=0.0,
        grader_hash=task.grader_hash,
        submission_hash="",
        checks=(outcome,),
    )
