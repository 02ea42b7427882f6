"""What is kept of a learner's own gradings, so that nothing is graded twice and a best grade stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torchgrade.course import Course, Task
from torchgrade.grading.job import Options
from torchgrade.i18n import language_tag
from torchgrade.i18n import translate as _
from torchgrade.last_run import basis, keep_grades
from torchgrade.model import TaskGrade
from torchgrade.progress import progress_file, record_grades
from torchgrade.submission import Submission


def bases_of(settings: Options, submission: Submission, tasks: Sequence[Task]) -> dict[str, str]:
    """By stem, what the grade of each task that is here depends on."""
    options = {
        "devices": settings.devices,
        "seed": settings.seed,
        "timeout_scale": settings.timeout_scale,
        "isolation": settings.isolation,
        "data": settings.data,
        "language": language_tag(),  # titles and sentences are kept as they were told
    }
    here = [task for task in tasks if task.stem in submission.sources]
    return {task.stem: basis(options, submission.sources[task.stem].hash, task.grader_hash) for task in here}


def record(course: Course, grades: Sequence[TaskGrade], bases: Mapping[str, str]) -> str:
    """Keep the best grades and the last ones; blank, or why a checkout that cannot be written keeps nothing."""
    try:
        record_grades(course.root, grades)
        keep_grades(course.root, bases, grades)
    except OSError as error:
        words = _("your grades are not kept: {place} cannot be written: {why}")
        return words.format(place=progress_file(course.root), why=error.strerror)
    return ""
