"""What a learner studies: which tasks and checks the words of a command mean, and where to go on."""

from __future__ import annotations

from collections.abc import Sequence

from torchgrade.course import Course, Task
from torchgrade.course_tools.stubs import is_stub, stub_text, translated
from torchgrade.errors import UnknownTask, UsageError
from torchgrade.handin.matching import definitions
from torchgrade.i18n import translate as _
from torchgrade.progress import Reached, load_progress
from torchgrade.report.board import Subjects
from torchgrade.suites import chosen_checks, read_suite


def select(course: Course, names: Sequence[str]) -> tuple[tuple[Task, ...], tuple[str, ...]]:
    """The tasks that are named; or, where what follows one task is none, that task and the checks it names."""
    for count, name in enumerate(names):
        try:
            course.select([name])
        except UnknownTask as error:
            tasks = course.select(names[:count]) if count else ()
            only = _checks_named(tasks[0], names[count:]) if len(tasks) == 1 else ()
            if not only:
                raise error
            return tasks, only
    return course.select(names), ()


def _checks_named(task: Task, words: Sequence[str]) -> tuple[str, ...]:
    """UsageError where no check fits, unless the words look like another task's name."""
    names = names_of(task)
    suite = read_suite(task)
    found = chosen_checks(suite, words, names)
    if not found and not words[0].lower().startswith("task"):
        known = dict.fromkeys(about[0] for about in suite.subjects(names).values() if len(about) == 1)
        sentence = _("{task} has no check with {words} in its title; its functions and classes: {names}")
        raise UsageError(sentence.format(task=task.short, words=f"'{' '.join(words)}'", names=", ".join(known)))
    return found


def onward(course: Course, tasks: Sequence[Task], only: Sequence[str] = ()) -> str:
    """Where to go on when these passed: the whole task, or the next that is not complete, in order of study."""
    if only:
        return _("next: python grade.py {task}, which runs all of its checks").format(task=tasks[0].short)
    following = next_task(course, tasks[-1]) if tasks else None
    if following is None:
        return ""
    words = _("next: {file}  {title}")
    return words.format(file=f"exercises/{following.stub.name}", title=_(following.manifest.title))


def next_task(course: Course, task: Task) -> Task | None:
    """The first after ``task`` that is not complete, in order of study, else the first before it; None at the end."""
    progress = load_progress(course.root)
    place = course.tasks.index(task)
    around = (*course.tasks[place + 1 :], *course.tasks[:place])
    return next((other for other in around if not _complete(progress.get(other.stem))), None)


def task_at_hand(course: Course) -> Task:
    """The open task whose file was written last; where none was touched, the first that is not complete."""
    progress = load_progress(course.root)
    open_now = [task for task in course.tasks if not _complete(progress.get(task.stem))]
    touched = [task for task in open_now if task.stub.is_file() and not is_stub(task, translated(stub_text(task)))]
    newest = max(touched, key=lambda task: task.stub.stat().st_mtime, default=None)
    return newest or (open_now or list(course.tasks))[0]


def is_complete(course: Course, task: Task) -> bool:
    """Whether all its points were reached once."""
    return _complete(load_progress(course.root).get(task.stem))


def _complete(reached: Reached | None) -> bool:
    return reached is not None and reached.points is not None and reached.points == reached.max_points


def subjects_of(task: Task) -> Subjects:
    """By check of the task's suite, the definitions that it is about."""
    return read_suite(task).subjects(names_of(task))


def names_of(task: Task) -> set[str]:
    """What the stub has for the learner to define, whatever the learner's file holds by now."""
    return {name for name in definitions(stub_text(task).encode()) if not name.startswith("_")}


def hidden_notes(course: Course, tasks: Sequence[Task]) -> list[str]:
    """In a learner's edition: how many checks are not here, so that "all passed" deceives nobody."""
    hidden = course.settings.get("hidden_checks") or {}
    count = sum(int(hidden.get(task.stem, 0)) for task in tasks)
    if count == 1:
        return [_("1 more check is hidden; it runs when your work is graded for marks")]
    words = _("{count} more checks are hidden; they run when your work is graded for marks")
    return [words.format(count=count)] if count else []
