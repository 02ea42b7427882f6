"""What a suite costs in the hands of a grader, task by task. ``python benchmarks/suites.py [TASK ...]``.

The reference of each task is graded again and again by a warm grader, its submission in a worker of its own, and by
the same suite in one warm process without isolation, in turn; the median of the ratios counts. By default all tasks
that train nothing. Printed for each:

- processor seconds of both for one submission, and their ratio (at most 1.3);
- the bound: how many times as fast as a fresh process a batch could be if isolation cost nothing, which is (imports +
  the suite's own computing) / own computing; what is reached of it is the ratio's inverse (at least 0.8);
- the cases that contracts ask, the exchanges in all, and milliseconds for a case, all in.

Exits 1 where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from batch import ENVIRONMENT, ROOT, family, pair_of_imports

sys.path.insert(0, str(ROOT))
RATIO, REACHED = 1.3, 0.8
TRAINING = {"convergence", "accuracy"}  # categories of checks


def processor_seconds(pid: int) -> float:
    """Of a process and all below it, those that have ended and were waited for included."""
    ticks = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


class Confined:
    """A grader as a batch has them, with a worker for each submission."""

    def __init__(self, stem: str) -> None:
        from torchgrade import Grader

        self.grader = Grader(ROOT, jobs=1)
        self.stem = stem
        self.text = (ROOT / "solutions" / f"{stem}.py").read_text()
        self.seconds(1)

    def seconds(self, count: int) -> float:
        """For one submission, of so many."""
        before = processor_seconds(os.getpid())
        for _ in range(count):
            grade = self.grader.grade(self.text, self.stem)
            assert grade.points == grade.max_points, grade
        return (processor_seconds(os.getpid()) - before) / count


class Plain:
    """A process that does the same in itself (``plain_worker``)."""

    def __init__(self, stem: str) -> None:
        command = [sys.executable, __file__, "--plain", stem]
        self.process = subprocess.Popen(
            command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self.counts = self._ask(1)

    def seconds(self, count: int) -> float:
        return float(self._ask(count)["seconds"])

    def _ask(self, count: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return dict(json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        self.process.communicate()


def plain_worker(stem: str) -> None:
    """Grades the reference as often as each line of the input says; answers with seconds, cases and exchanges."""
    from torchgrade.course import Course
    from torchgrade.grading.job import Options
    from torchgrade.grading.run import grade_tasks
    from torchgrade.isolation.remote.client import Client
    from torchgrade.isolation.remote.local_line import LocalLine
    from torchgrade.submission import Source, Submission

    told, sys.stdout = sys.stdout, sys.stderr
    counts = {"cases": 0, "exchanges": 0}
    ask_cases, exchange = Client.cases, LocalLine.exchange

    def counted_cases(self: Client, function: Any, cases: Any, count: int, *more: Any, **named: Any) -> Any:
        counts["cases"] += count
        return ask_cases(self, function, cases, count, *more, **named)

    def counted_exchange(self: LocalLine, *arguments: Any) -> Any:
        counts["exchanges"] += 1
        return exchange(self, *arguments)

    Client.cases = counted_cases  # type: ignore[method-assign]
    LocalLine.exchange = counted_exchange  # type: ignore[method-assign]
    course = Course.load(ROOT)
    task = course.find(stem)
    source = Source(f"{stem}.py", {f"{stem}.py": (ROOT / "solutions" / f"{stem}.py").read_bytes()})
    submission = Submission(f"{stem}.py", {stem: source})
    for line in sys.stdin:
        before = time.process_time()
        counts.update(cases=0, exchanges=0)
        for _ in range(int(line)):
            result = grade_tasks(course, submission, [task], Options(debug=True), lambda event: None)
            assert result.tasks[0].points == result.tasks[0].max_points
        answer = {"seconds": (time.process_time() - before) / int(line), **counts}
        told.write(json.dumps(answer) + "\n")
        told.flush()


def without_training() -> list[str]:
    from torchgrade.course import Course
    from torchgrade.suites import read_suite

    course = Course.load(ROOT)
    trains = {task.stem for task in course.tasks if {c.category for c in read_suite(task).checks} & TRAINING}
    return [task.stem for task in course.tasks if task.stem not in trains]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--size", type=int, default=4, help="submissions in a turn")
    parser.add_argument("--plain", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.plain:
        plain_worker(options.plain)
        return 0
    from torchgrade.course import Course

    course, missed = Course.load(ROOT), False
    imports = pair_of_imports() / 2
    print("| task | confined s | plain s | ratio | bound | reached | cases | exchanges | ms a case |\n|" + "---|" * 9)
    for stem in [course.find(name).stem for name in options.tasks] or without_training():
        confined, plain = Confined(stem), Plain(stem)
        pairs = [(confined.seconds(options.size), plain.seconds(options.size)) for _ in range(options.turns)]
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        cases, exchanges = plain.counts["cases"], plain.counts["exchanges"]
        each = f"{1000 * ours / cases:.2f}" if cases else "–"
        told = "" if ratio <= RATIO and 1 / ratio >= REACHED else " MISSED"
        missed |= bool(told)
        print(
            f"| {stem[:6]} | {ours:.3f} | {theirs:.3f} | {ratio:.2f}{told} | {(imports + theirs) / theirs:.1f} "
            f"| {1 / ratio:.2f} | {cases} | {exchanges} | {each} |",
            flush=True,
        )
        plain.close()
        confined.grader.close()
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
