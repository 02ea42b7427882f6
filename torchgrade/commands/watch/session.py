"""A watching session: saves, keys and what the graders say, one after another in one thread.

    saves, keys, graders ──queue──▶ Watching ──▶ View ──▶ Display

Everything that is started here is ended by ``close``, however the session ends.
"""

from __future__ import annotations

import contextlib
import io
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.text import Text

from torchgrade.commands.compare import show_comparison
from torchgrade.commands.grade import Gallery
from torchgrade.commands.learner import more_hints, put_stub, show_list
from torchgrade.commands.progress import DRAWN
from torchgrade.commands.record import bases_of, record
from torchgrade.commands.study import hidden_notes, next_task, onward, subjects_of
from torchgrade.commands.watch import editor
from torchgrade.commands.watch.display import Display
from torchgrade.commands.watch.keys import Keys, Lines
from torchgrade.commands.watch.saves import Saves
from torchgrade.commands.watch.view import View, board_page
from torchgrade.course import Course, Task
from torchgrade.course_tools.stubs import is_stub, stub_text, translated
from torchgrade.errors import SubmissionError, UsageError
from torchgrade.grading.events import CheckBegan, CheckEnded, Fault, Graded, JobEvent, PictureShown, StepsTaken
from torchgrade.grading.job import Job, Options
from torchgrade.grading.run import broken_grade
from torchgrade.grading.warm import Heard, Warm
from torchgrade.i18n import translate as _
from torchgrade.i18n import translate_built
from torchgrade.last_run import last_grades
from torchgrade.model import Outcome, Status, TaskGrade
from torchgrade.report.board import first_open
from torchgrade.submission import Submission, exercises_among, read_modules, shown
from torchgrade.suites import WrittenCheck, read_suite

TICK = 0.1  # seconds between two looks at the size of the terminal and at signals
SAVED, KEY = "saved", "key"
LONG = ("convergence", "accuracy")


class Watching:
    """Watches ``exercises/`` and grades one task at a time, until ``stop`` or the key q."""

    def __init__(
        self, course: Course, task: Task, options: Options, display: Display, make_keys: type[Keys] | type[Lines]
    ) -> None:
        self.course = course
        self.options = options
        self.display = display
        self.stopped = False
        self._queue: queue.Queue[tuple[str, Any] | Heard] = queue.Queue()
        self._keys = make_keys(lambda key: self._queue.put((KEY, key)))
        self._warm = Warm(course.root, self._queue.put)
        self._exercises = course.root / "exercises"
        self._saves: Saves | None = None
        self._files: Mapping[str, bytes] = {}  # below the exercises, as they were looked at last
        self._seen: Mapping[str, bytes] = {}  # each task's file; one that was away for a moment is remembered
        self._graded = ""  # the hash of the source that was graded last
        self._jobs = 0
        self._began = 0.0
        self._gallery: Gallery | None = None
        self._page_key = ""
        self._told_after = ""  # what is told when the run that a key led to has ended
        self.view = self._view_of(task)

    def run(self) -> None:
        """Until it is stopped. The folder is watched before anything is graded, so that no save is missed."""
        self._saves = Saves(self._exercises, lambda: self._queue.put((SAVED, None)))
        self._keys.resume()
        self.display.resume()
        self._look()
        self._enter(self.view.task)
        self.view.message = self.view.message or self._saves.note
        self.display.show(self.view)
        while not self.stopped:
            changed = self._hear_all()
            if self.stopped:
                break
            if changed or self.display.resized():
                self.display.show(self.view)

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        """Give the terminal back, and end every process and thread."""
        self.pause()
        if self._saves is not None:
            self._saves.close()
        self._warm.close()

    def pause(self) -> None:
        """Give the terminal to somebody else."""
        self.display.pause()
        self._keys.pause()

    def resume(self) -> None:
        self._keys.resume()
        self.display.resume()
        self.display.show(self.view)

    # --- what comes in -----------------------------------------------------------------------------------

    def _hear_all(self) -> bool:
        """All that has come, after waiting a moment for the first of it; whether there was something."""
        heard: list[tuple[str, Any] | Heard] = []
        try:
            heard.append(self._queue.get(timeout=TICK))
            while True:
                heard.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        for item in heard:
            if isinstance(item, Heard):
                event = self._warm.hear(item)
                if event is not None:
                    self._on_event(event)
            elif item[0] == KEY:
                self._on_key(item[1])
        if any(not isinstance(item, Heard) and item[0] == SAVED for item in heard):
            self._on_save()
        return bool(heard)

    def _on_event(self, event: JobEvent) -> None:
        view = self.view
        if isinstance(event, CheckBegan):
            view.running, view.steps = _(event.title), 0
        elif isinstance(event, StepsTaken):
            view.steps = event.steps
        elif isinstance(event, CheckEnded):
            view.fresh[(event.outcome.id, event.outcome.device)] = event.outcome
        elif isinstance(event, PictureShown) and self._gallery is not None:
            self._gallery.draw(view.task, event)
        elif isinstance(event, Graded):
            self._finish(event.grade)
        elif isinstance(event, Fault):
            self._finish(broken_grade(view.task, event.message))

    def _finish(self, grade: TaskGrade) -> None:
        view = self.view
        view.finish(grade, time.monotonic() - self._began, time.strftime("%H:%M:%S"))
        submission = self._submission()
        if submission is not None and grade.status is not Status.BROKEN:
            bases = bases_of(self.options, submission, [view.task])
            view.message, self._told_after = record(self.course, [grade], bases) or self._told_after, ""
            self._tell_onward()
            self._warm.prepare(self._job(view.task, submission))
        if self._gallery is not None:
            paths = ", ".join(str(path) for path in self._gallery.files)
            view.message = _("pictures: {paths}").format(paths=paths) if paths else _("there was nothing to draw")
            self._gallery = None

    # --- saves -------------------------------------------------------------------------------------------

    def _on_save(self) -> None:
        """Grade what was saved: the task at hand where it or what it imports changed, else another whose file did."""
        changed = self._look()
        task = self.view.task
        others = [other for other in self.course.tasks if other.stem in changed and other != task]
        if task.stem not in changed and others:
            self._enter(others[0])
        elif self._hash(self._submission()) not in ("", self._graded):
            self._grade()

    def _submission(self) -> Submission | None:
        """The task at hand as its file stands, with what it imports; None where it is not there."""
        with contextlib.suppress(SubmissionError):  # as between the two steps of a save by renaming
            return exercises_among(self._files, shown(self._exercises), [self.view.task])
        return None

    def _hash(self, submission: Submission | None) -> str:
        """Of what would be graded; blank where that is nothing."""
        return submission.sources[self.view.task.stem].hash if submission is not None else ""

    def _look(self) -> set[str]:
        """Read what is there now; the tasks whose own file has other bytes than before."""
        try:
            self._files = read_modules(self._exercises)
        except SubmissionError as error:
            self._files, self.view.message = {}, translate_built(str(error))
            return set()
        names = {task.stem: f"{task.stem}.py" for task in self.course.tasks}
        now = {stem: self._files[name] for stem, name in names.items() if name in self._files}
        changed = {stem for stem, data in now.items() if self._seen.get(stem, data) != data}
        self._seen = {**self._seen, **now}
        return changed

    def _enter(self, task: Task) -> None:
        """Turn to a task; what is known of its file as it stands is shown, else it is graded."""
        self._warm.drop()
        if task != self.view.task:
            self.view = self._view_of(task)
        submission = self._submission()
        if submission is None:
            self._grade()
            return
        bases = bases_of(self.options, submission, [task])
        self.view.grade = last_grades(self.course.root, bases).get(task.stem)
        if self.view.grade is None:
            self._grade()
        else:
            self._graded = self._hash(submission)
            self._tell_onward()
            self._warm.prepare(self._job(task, submission))

    def _view_of(self, task: Task) -> View:
        self._checks = read_suite(task).checks
        return View(task, subjects_of(task), {check.name: check.points for check in self._checks})

    def _grade(self, pictures: bool = False) -> None:
        """Grade the task at hand as its file stands; a run under way is dropped."""
        task, submission = self.view.task, self._submission()
        if submission is None:
            self.view.message = _("there is no file {name}").format(name=f"exercises/{task.stub.name}")
            return
        self._graded = self._hash(submission)
        self._began = time.monotonic()
        self.view.begin()
        self._warm.run(replace(self._job(task, submission), pictures=pictures))

    def _tell_onward(self) -> None:
        tasks = [self.view.task]
        self.view.onward = [*hidden_notes(self.course, tasks), *filter(None, [onward(self.course, tasks)])]

    def _job(self, task: Task, submission: Submission) -> Job:
        self._jobs += 1
        order = _order(self._checks, task.manifest.check_seconds, self.view.grade)
        memory = task.manifest.memory_mb
        source = submission.sources[task.stem]
        return self.options.job(self._jobs, task.stem, source, memory_mb=memory, order=order, again=True)

    # --- keys --------------------------------------------------------------------------------------------

    def _on_key(self, key: str) -> None:
        view = self.view
        if view.asking:
            view.asking, view.message = False, ""
            if key == "y":
                self._reset()
        elif key == "q":
            self.stop()
        elif key in _MOVES:
            view.offset += _MOVES[key]
        elif key in _PAGES:
            view.offset += _PAGES[key] * max(1, view.room - 2)
        else:
            same = view.page is not None and key == self._page_key
            view.page, view.offset, self._page_key = None, 0, key
            if key in _KEYS and not same:
                view.message = ""
                _KEYS[key](self)

    @property
    def _failing(self) -> Outcome | None:
        grade = self.view.now
        return first_open(grade) if grade is not None else None

    def _hint(self) -> None:
        self.view.hints = more_hints(self.course, self.view.task, self._failing)

    def _next(self) -> None:
        view = self.view
        if not view.complete:
            view.message = _("{task} is not complete yet; whichever task you save is graded").format(
                task=view.task.short
            )
            return
        following = next_task(self.course, view.task)
        if following is None:
            view.message = _("that was the last one: the course is complete")
        else:
            self._enter(following)

    def _list(self) -> None:
        self._open(self._lines_of(lambda console: show_list(console, self.course)))

    def _all(self) -> None:
        self._open(board_page(self.view, self.display.console))

    def _open(self, page: list[Text]) -> None:
        self.view.page = page

    def _lines_of(self, show: Callable[[Console], None]) -> list[Text]:
        """What a command prints, as lines of a page."""
        drawn = io.StringIO()
        real = self.display.console
        colours: Any = real.color_system or None
        page = Console(
            file=drawn,
            width=real.width,
            color_system=colours,
            force_terminal=bool(colours),
            highlight=False,
            markup=False,
        )
        show(page)
        return [Text.from_ansi(line) for line in drawn.getvalue().splitlines()]

    def _compare(self) -> None:
        try:
            self._open(self._lines_of(lambda console: show_comparison(console, self.course, self.view.task)))
        except UsageError as error:
            self.view.message = translate_built(str(error))

    def _again(self) -> None:
        self._grade()

    def _pictures(self) -> None:
        try:
            self._gallery = Gallery(self.course.root / DRAWN)
        except UsageError as error:
            self.view.message = translate_built(str(error))
            return
        self._grade(pictures=True)

    def _edit(self) -> None:
        failing = self._failing
        file, line = editor.place(failing.where if failing is not None else None, self.view.task.stub)
        try:
            command = editor.editor_command(file, line)
            if not editor.takes_the_terminal(command):
                editor.run(command)
                return
            self.pause()
            try:
                editor.run(command)
            finally:
                self.resume()
        except UsageError as error:
            self.view.message = translate_built(str(error))

    def _ask_reset(self) -> None:
        name = f"exercises/{self.view.task.stub.name}"
        if is_stub(self.view.task, translated(stub_text(self.view.task))):
            self.view.message = _("{name} is the stub already").format(name=name)
            return
        self.view.asking = True
        self.view.message = _("replace {name} by the stub? y: yes; any other key: no").format(name=name)

    def _reset(self) -> None:
        """The write is a save like any other: it is graded when it is seen."""
        kept = put_stub(self.view.task, translated(stub_text(self.view.task)))
        self._told_after = _("your file is kept as {name}").format(name=f"exercises/{kept.name}") if kept else ""


_MOVES = {"up": -1, "down": 1}
_PAGES = {"pageup": -1, "pagedown": 1}
_KEYS: dict[str, Callable[[Watching], None]] = {
    "h": Watching._hint,
    "n": Watching._next,
    "l": Watching._list,
    "v": Watching._all,
    "r": Watching._again,
    "p": Watching._pictures,
    "c": Watching._compare,
    "o": Watching._edit,
    "x": Watching._ask_reset,
}


def _order(checks: Sequence[WrittenCheck], usual: float, grade: TaskGrade | None) -> tuple[str, ...]:
    """What failed last first, what trains for long last; between them as it is written. ``usual``: a check's limit."""
    open_now = {out.id for out in grade.checks if out.status is not Status.PASSED} if grade is not None else set()

    def rank(check: WrittenCheck) -> tuple[bool, bool]:
        return check.category in LONG or (check.seconds or 0.0) > usual, check.name not in open_now

    return tuple(check.name for check in sorted(checks, key=rank))
