"""``autograde``: grade one hand-in on Gradescope, as the zip of ``release --gradescope`` calls it."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from torchgrade.course import Course, Task
from torchgrade.errors import SubmissionError
from torchgrade.grading.events import Event, Graded
from torchgrade.grading.job import Options
from torchgrade.grading.run import grade_tasks
from torchgrade.hardware import cores, need_open_files
from torchgrade.isolation.launch.openers import Openers
from torchgrade.model import ExitCode, Result, TaskGrade
from torchgrade.report.platforms import gradescope_json
from torchgrade.submission import Submission, read_submission


def autograde(options: argparse.Namespace, course: Course) -> int:
    """Write ``results/results.json``: after each task what is known, so that a limit of the platform loses nothing.

    What is printed is for instructors: Gradescope hides it from students.
    """
    root: Path = options.root
    settings = json.loads((root / "source" / "autograder.json").read_text(encoding="utf-8"))
    tasks = course.select(settings["tasks"])
    need_open_files()
    run = Options(devices=("cpu",), seed=int(settings["seed"]), isolation=options.isolation, jobs=cores())
    known: list[TaskGrade] = []

    def observe(event: Event) -> None:
        if isinstance(event, Graded):
            known.append(event.grade)
            _write(root, _so_far(course, run, known, len(tasks)))

    submission = _read(root, course, tasks, options.isolation)
    result = grade_tasks(course, submission, tasks, run, observe)
    _write(root, gradescope_json(result))
    for task in result.tasks:
        print(f"{task.task}: {task.status}, {task.points:g}/{task.max_points:g}, isolation {task.isolation}")
    return int(ExitCode.BROKEN if result.exit_code is ExitCode.BROKEN else ExitCode.PASSED)


def _read(root: Path, course: Course, tasks: Sequence[Task], isolation: str) -> Submission:
    """The hand-in; one that holds nothing of these tasks has no sources, and the reason for each."""
    try:
        with Openers(isolation, course.secret) as openers, openers() as opener:
            return read_submission(root / "submission", course, tasks, opener)
    except SubmissionError as error:
        reason = str(error).replace(str(root / "submission"), "the submission")
        return Submission("submission", {}, {task.stem: reason for task in tasks})


def _so_far(course: Course, run: Options, known: Sequence[TaskGrade], count: int) -> str:
    """What Gradescope shows if the grading is stopped now: the tasks that are graded, and that others are not."""
    result = Result(course.title, "", "", run.seed, "", run.devices, tuple(known))
    document = json.loads(gradescope_json(result))
    document["output"] = (
        f"The grading was stopped after {len(known)} of {count} tasks, by the platform's limit of time or memory: the "
        "points are not complete. Please tell your instructor."
    )
    return json.dumps(document)


def _write(root: Path, text: str) -> None:
    place = root / "results" / "results.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = place.with_name(".results.json.new")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, place)
