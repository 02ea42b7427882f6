"""How soon a learner sees a verdict: ``python benchmarks/loop.py [--tasks task01 …] [--runs N]``.

A real session watches a copy of the course and draws on a terminal that is thrown away; files are really saved. From
each save two times are taken: to the first verdict that is drawn, and to the last. What the checks themselves compute
is told by the grader. A fresh run is ``grade.py TASK``. Prints a table, and exits 1 when a figure is above its limit.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from latency import PYTHON, ROOT, alternate, command_line, import_torch, seconds
from rich.console import Console

from torchgrade.commands.watch.display import Screen
from torchgrade.commands.watch.keys import Lines
from torchgrade.commands.watch.session import Watching
from torchgrade.commands.watch.view import View
from torchgrade.course import Course, Task
from torchgrade.grading.job import Options

TASKS = tuple(f"task{number:02d}" for number in range(1, 10))


class Watched(Screen):
    """A screen that notes when it has drawn the first verdict of a run, and when the last."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO(), force_terminal=True, width=80, height=24))
        self.first = self.last = 0.0
        self.done = threading.Event()

    def show(self, view: View) -> None:
        super().show(view)
        self.console.file.seek(0)
        self.console.file.truncate()
        if view.fresh and not self.first:
            self.first = time.perf_counter()
        if not view.running and view.clock:
            self.last = time.perf_counter()
            self.done.set()


@dataclass(frozen=True)
class Save:
    """Seconds from a save to the first verdict and to the last, and what these checks computed."""

    first: float
    first_check: float
    last: float
    checks: float


class Silent(Lines):
    """Nobody types."""

    def resume(self) -> None:
        """Nothing is read."""


def session_of(course: Course, task: Task, work: Callable[[Watching, Watched], None]) -> None:
    """Run ``work`` beside a session that watches the task."""
    display = Watched()
    session = Watching(course, task, Options(), display, Silent)

    def beside() -> None:
        try:
            assert display.done.wait(300), "the first run did not end"
            work(session, display)
        finally:
            session.stop()

    thread = threading.Thread(target=beside)
    thread.start()
    try:
        session.run()
    finally:
        session.close()
    thread.join()


def save(session: Watching, display: Watched, task: Task, text: str) -> Save:
    display.first = display.last = 0.0
    display.done.clear()
    started = time.perf_counter()
    task.stub.write_text(text)
    assert display.done.wait(300), "no verdict came"
    grade = session.view.grade
    assert grade is not None
    longest = max((out.seconds for out in grade.checks), default=0.0)
    first = grade.checks[0].seconds if grade.checks else longest
    return Save(display.first - started, first, display.last - started, sum(out.seconds for out in grade.checks))


def saves(course: Course, task: Task, runs: int) -> list[Save]:
    solution = (ROOT / "solutions" / f"{task.stem}.py").read_text()
    task.stub.write_text(solution)
    found: list[Save] = []

    def work(session: Watching, display: Watched) -> None:
        time.sleep(2.0)  # the spare grader is ready: somebody types meanwhile
        for number in range(runs):
            found.append(save(session, display, task, f"{solution}# {number}\n"))

    session_of(course, task, work)
    return found


def below(pid: int) -> set[int]:
    found, waiting = {pid}, [pid]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            children = set(map(int, path.read_text().split()))
            found |= children
            waiting += children
    return found


def own_mb(pids: set[int]) -> float:
    """Memory that is theirs alone, in MB: what files back is torch itself, and shared with whoever imports it."""
    total = 0
    for pid in pids:
        rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
        total += sum(int(rows[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem"))
    return total / 1024


def memory(course: Course, task: Task) -> float:
    """What a session takes beyond one process that imported torch, in MB."""
    alone = subprocess.Popen([PYTHON, "-c", "import torch; print(1, flush=True); input()"], stdin=-1, stdout=-1)
    assert alone.stdout is not None
    alone.stdout.readline()
    torch_mb = own_mb({alone.pid})
    alone.communicate(b"\n")
    found: list[float] = []
    task.stub.write_text(f"{task.stub.read_text()}# unseen\n")  # what was graded is told from the record

    def work(session: Watching, display: Watched) -> None:
        for number in range(6):
            save(session, display, task, f"{task.stub.read_text()}# {number}\n")
        time.sleep(2.0)
        found.append(own_mb(below(os.getpid())))

    session_of(course, task, work)
    return found[0] - torch_mb


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    missed = 0

    def tell(what: str, unit: str, value: float, limit: float) -> None:
        nonlocal missed
        missed += value > limit
        missing = "" if value <= limit else "  MISSED"
        print(f"{what:<75} {value:8.3f} {unit:<3} at most {limit:g}{missing}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("exercises", "solutions", "graders", "datasets"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "course.yaml", root)
        os.environ["HOME"] = folder  # checks of other gradings on this machine are not waited for
        os.chdir(root)
        course = Course.load(root)
        print(f"import torch takes {statistics.median(import_torch() for _ in range(options.runs)):.2f} s here")
        for words in (("list",), ("hint", "task01", "1"), ("--help",)):
            ours, theirs = alternate(options.runs, lambda words=words: command_line(*words), import_torch)
            tell(f"grade.py {words[0]}, to import torch", "×", ours / theirs, 0.25)
        tell("a session beyond torch itself", "MB", memory(course, course.find(options.tasks[0])), 250.0)
        for name in options.tasks:
            task = course.find(name)
            seen = saves(course, task, options.runs)
            fresh = seconds([PYTHON, str(ROOT / "grade.py"), name], cwd=root)
            first = statistics.median(one.first - one.first_check for one in seen)
            last = statistics.median(one.last for one in seen)
            checks = statistics.median(one.checks for one in seen)
            tell(f"{name}: save to the first verdict, less its check", "s", first, 0.2)
            tell(f"{name}: save to the whole verdict ({last:.2f} s), to its checks", "×", last / checks, 1.5)
            tell(f"{name}: to a fresh run ({fresh:.2f} s)", "×", last / fresh, 1.0)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
