"""``grade``: the main job."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from torchgrade.commands.places import try_file, try_folder
from torchgrade.commands.record import bases_of, record
from torchgrade.commands.study import hidden_notes, onward, select, subjects_of
from torchgrade.course import Course, Task
from torchgrade.grading.events import Event, PictureShown
from torchgrade.grading.job import Options
from torchgrade.grading.pictures import read_bands
from torchgrade.grading.run import grade_tasks
from torchgrade.grading.seeds import LEARNER_SEED
from torchgrade.hardware import cores, devices, need_open_files
from torchgrade.i18n import translate as _
from torchgrade.isolation.launch.openers import Openers
from torchgrade.last_run import last_grades
from torchgrade.model import ExitCode, Result, Status
from torchgrade.report import actions, scoreboard
from torchgrade.report.pictures import demand, draw
from torchgrade.submission import Submission, read_exercises, read_submission


def grade(options: argparse.Namespace, course: Course) -> int:
    options.debug = options.debug or options.pdb
    if options.json not in (None, "-"):
        try_file(Path(options.json), "--json")
    if options.junit is not None:
        try_file(options.junit, "--junit")
    tasks, only = select(course, options.tasks)
    submission = _submission(options, course, tasks)
    if options.submission is not None and not options.tasks:
        tasks = tuple(task for task in tasks if task.stem in submission.sources)
    started = time.monotonic()
    to_stdout = options.json == "-"
    console = scoreboard.make_console(options.no_color, stderr=to_stdout)
    settings = run_options(options)
    own_work = not (options.debug or options.solutions or options.submission is not None)
    recorded = own_work and not only
    bases = bases_of(settings, submission, tasks) if recorded else {}
    known = {} if options.tasks or options.all or options.save is not None else last_grades(course.root, bases)
    due = [task for task in tasks if task.stem not in known]
    titles = [task.short for task in due]
    gallery = Gallery(options.save) if options.save is not None else None
    with scoreboard.Progress(console, titles, quiet=options.quiet or options.debug) as progress:

        def observe(event: Event) -> None:
            progress.observe(event)
            if gallery is not None and isinstance(event, PictureShown):
                gallery.draw(due[event.job], event)

        result = grade_tasks(course, submission, due, settings, observe, only)
    if recorded and (reason := record(course, result.tasks, bases)):
        print(reason, file=sys.stderr)
    result = result.with_known(known, [task.stem for task in tasks])
    _write(options, result)  # before anything is shown: a screen may be gone
    if to_stdout:
        print(json_text(result, ascii_only=not _shows_unicode()))
    else:
        seconds = time.monotonic() - started
        scoreboard.show(
            console,
            result,
            course.tracks,
            options.quiet,
            options.verbose,
            seconds,
            len(known),
            subjects=subjects_of(tasks[0]) if len(tasks) == 1 else {},
            notes=[
                *(gallery.notes() if gallery is not None else ()),
                *(hidden_notes(course, tasks) if not only else ()),
                *([_("python grade.py watch grades whenever you save")] if not options.tasks and _typed_at() else []),
            ],
            onward=onward(course, tasks, only) if own_work else "",
        )
    code = _tell_actions(result) if options.actions else result.exit_code
    sys.stdout.flush()
    return int(code)


def _tell_actions(result: Result) -> ExitCode:
    """Annotations and the run's summary; tasks that are not begun fail nobody."""
    for line in actions.annotated(result):
        print(line)
    if place := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(place).open("a", encoding="utf-8", errors="replace") as page:
            page.write(actions.summary(result))
    if result.exit_code is ExitCode.BROKEN:
        return ExitCode.BROKEN
    passed = all(task.status is Status.PASSED for task in actions.begun(result))
    return ExitCode.PASSED if passed else ExitCode.NOT_YET


class Gallery:
    """Draws the pictures of a run into a folder. UsageError where nothing can be drawn."""

    def __init__(self, folder: Path) -> None:
        demand()
        try_folder(folder, "--save")
        self.folder = folder
        self.files: list[Path] = []

    def draw(self, task: Task, event: PictureShown) -> None:
        """A later picture of the same name replaces it."""
        picture = event.picture
        device = "" if event.device == "cpu" else f"_{event.device}"
        path = self.folder / f"{task.short}_{picture['name']}{device}.png"
        draw(picture, task.manifest.title, path, read_bands(task.folder / "curves.json").get(picture["name"], {}))
        if path not in self.files:
            self.files.append(path)

    def notes(self) -> list[str]:
        """What was drawn, a line each."""
        drawn = [_("picture  {path}").format(path=path) for path in self.files]
        return drawn or [_("there was nothing to draw")]


def _typed_at() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _submission(options: argparse.Namespace, course: Course, tasks: tuple[Task, ...]) -> Submission:
    if options.submission is not None:
        with Openers(options.isolation, course.secret) as openers, openers() as opener:
            return read_submission(options.submission, course, tasks, opener)
    return read_exercises(course.root / ("solutions" if options.solutions else "exercises"), tasks)


def run_options(options: argparse.Namespace) -> Options:
    need_open_files()
    return Options(
        devices=devices(options.device),
        seed=LEARNER_SEED if options.seed is None else options.seed,
        timeout_scale=options.timeout_scale,
        isolation=options.isolation,
        data=options.data,
        jobs=options.jobs or cores(),
        debug=getattr(options, "debug", False),
        pdb=getattr(options, "pdb", False),
        pictures=getattr(options, "save", None) is not None,
    )


def _shows_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def json_text(result: Result, *, ascii_only: bool = False) -> str:
    return json.dumps(result.to_json(), indent=1, ensure_ascii=ascii_only)


def _write(options: argparse.Namespace, result: Result) -> None:
    if options.json not in (None, "-"):
        Path(options.json).write_text(json_text(result) + "\n", encoding="utf-8", errors="replace")
    if options.junit is not None:
        from torchgrade.report.junit import junit_xml

        options.junit.write_text(junit_xml(result), encoding="utf-8")
