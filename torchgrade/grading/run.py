"""Grade some tasks of one submission and collect the result; what happens meanwhile is told to an observer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torchgrade
from torchgrade.course import Course, Task
from torchgrade.environment import clean_this_process
from torchgrade.errors import TorchGradeError
from torchgrade.grading.job import Job
from torchgrade.grading.pool import Event, Pool
from torchgrade.i18n import translate as _
from torchgrade.model import Outcome, Result, Status, TaskGrade, as_json
from torchgrade.submission import Submission

Observer = Callable[[Event], None]


@dataclass(frozen=True)
class Options:
    """How to grade."""

    devices: tuple[str, ...] = ("cpu",)
    seed: int = 7
    timeout_scale: float = 1.0
    isolation: str = "auto"
    data: str = "auto"
    jobs: int = 1
    debug: bool = False
    pdb: bool = False
    proving: bool = False
    pictures: bool = False


def grade_tasks(
    course: Course, submission: Submission, tasks: Sequence[Task], options: Options, observe: Observer
) -> Result:
    """One result for ``tasks``; a task whose file is missing gets a row that says so."""
    jobs = [
        Job(
            id=number,
            task=task.stem,
            source=submission.sources[task.stem],
            devices=options.devices,
            seed=options.seed,
            timeout_scale=options.timeout_scale,
            isolation=options.isolation,
            data=options.data,
            proving=options.proving,
            pictures=options.pictures,
        )
        for number, task in enumerate(tasks)
        if task.stem in submission.sources
    ]
    grades: dict[str, TaskGrade] = {}
    torch_version = ""
    for event in _events(course, jobs, options):
        observe(event)
        if event.kind == "ready":
            torch_version = str(event.data.get("torch", ""))
        elif event.kind == "graded":
            grades[event.grade.task] = event.grade
        elif event.kind == "broken" and event.job is not None:
            task = tasks[event.job]
            grades[task.stem] = broken_grade(task, str(event.data.get("message", "")))
    result = Result(
        course=course.title,
        engine=torchgrade.__version__,
        torch=torch_version,
        seed=options.seed,
        submission=submission.label,
        devices=options.devices,
        tasks=(),
    )
    for task in tasks:
        result = result.with_task(grades.get(task.stem) or missing_grade(task))
    return result


def _events(course: Course, jobs: Sequence[Job], options: Options) -> Iterator[Event]:
    if options.debug:
        yield from debug_events(course, jobs, options)
        return
    with Pool(course.root, options.jobs) as pool:
        yield from pool.events(jobs)


def debug_events(course: Course, jobs: Sequence[Job], options: Options) -> Iterator[Event]:
    """Grade in this very process, so that ``breakpoint()`` and ``--pdb`` work."""
    clean_this_process()
    from torchgrade.grading.debugger import stop_where_it_raised
    from torchgrade.grading.session import Session

    events: list[Event] = []

    def emit(kind: str, data: dict[str, Any]) -> None:
        plain: dict[str, Any] = {
            key: as_json(v) if isinstance(v, (Outcome, TaskGrade)) else v for key, v in data.items()
        }
        events.append(Event(kind, plain.get("job"), plain))

    session = Session(course, lambda isolation, device: None, emit)
    if options.pdb:
        session.debugger = stop_where_it_raised
    for job in jobs:
        try:
            session.grade([job])
        except TorchGradeError as error:
            emit("broken", {"job": job.id, "message": str(error)})
        yield from events
        events.clear()


def missing_grade(task: Task) -> TaskGrade:
    """The row of a task that nothing was handed in for."""
    message = _("there is no file {name}").format(name=f"{task.stem}.py")
    return _whole(task, Status.FAILED, _("{name} is handed in").format(name=f"{task.stem}.py"), message)


def broken_grade(task: Task, message: str) -> TaskGrade:
    """The row of a task that could not be graded, through no fault of the learner."""
    return _whole(task, Status.BROKEN, _("the grader works"), message)


def _whole(task: Task, status: Status, title: str, message: str) -> TaskGrade:
    outcome = Outcome(
        *("file", title, "robustness", "cpu", status, 0.0, 1.0),
        message=message,
    )
    return TaskGrade(
        *(task.stem, task.manifest.title, status, 0.0, outcome.max_points, 0.0, task.grader_hash, ""),
        checks=(outcome,),
    )
