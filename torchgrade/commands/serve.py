"""``serve-jsonl``: requests on standard input, a line each; answers on standard output, in order of completion.

    {"id": 1, "task": "task07", "source": "import torch\\n…", "seed": 8}
    {"id": 1, "task": "task07_pooling_norm", "status": "failed", "points": 12.5, "max_points": 30.0, "checks": […]}

``points`` is null where there is no verdict. A line that is no request is answered with its ``error``.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, BinaryIO

from torchgrade.api import Grader, points
from torchgrade.course import Course
from torchgrade.errors import TorchGradeError
from torchgrade.i18n import translate as _
from torchgrade.model import ExitCode, TaskGrade

MOST = 8 << 20  # bytes of a line
CHECK = ("id", "title", "category", "status", "points", "max_points", "message", "likely", "hidden")


def serve(options: argparse.Namespace, course: Course) -> int:
    answers = Answers()
    with Grader(
        course, options.jobs, device=options.device, isolation=options.isolation, timeout_scale=options.timeout_scale
    ) as grader:
        for line in lines(sys.stdin.buffer):
            if answers.left:
                break
            _take(line, grader, answers)
        if answers.left:
            grader.stop()
    return int(ExitCode.PASSED)


class Answers:
    """Writes whole lines, from any thread; ``left`` once nobody reads them any more."""

    def __init__(self) -> None:
        self.left = False
        self._lock = threading.Lock()

    def write(self, answer: dict[str, Any]) -> None:
        with self._lock:
            try:
                sys.stdout.write(json.dumps(answer) + "\n")
                sys.stdout.flush()
            except (BrokenPipeError, ValueError):
                self.left = True


def lines(stream: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a stream, one after another; None for one that is longer than ``MOST``."""
    while line := stream.readline(MOST + 1):
        if len(line) <= MOST:
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(MOST)
        yield None


def _take(line: bytes | None, grader: Grader, answers: Answers) -> None:
    number: Any = None
    try:
        if line is None:
            raise ValueError(_("a line is longer than {count} bytes").format(count=MOST))
        if not line.strip():
            return
        request = _read(line)
        if not isinstance(request, dict):
            raise ValueError(_("a request is a JSON object"))
        number = request.get("id")
        source, task, seed = request.get("source"), request.get("task"), request.get("seed")
        if not isinstance(source, str) or not isinstance(task, str) or type(seed) not in (int, type(None)):
            raise ValueError(_('a request holds "task" and "source" as texts, and "seed" as an integer or not at all'))
        future = grader.submit(source, task, seed)
    except (ValueError, TorchGradeError) as error:
        answers.write({"id": number, "error": str(error)[:500]})
        return
    future.add_done_callback(partial(_answer, number, grader, answers))


def _read(line: bytes) -> Any:
    """What JSON a line holds; ValueError for what no reader of the answer would take as an ``id``, such as NaN."""

    def refuse(name: str) -> float:
        raise ValueError(name)

    try:
        return json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(_("the line is not JSON: {why}").format(why=error)) from None


def _answer(number: Any, grader: Grader, answers: Answers, future: Future[TaskGrade]) -> None:
    if answers.left:
        grader.stop()
        return
    error = future.exception()
    if error is not None:
        answers.write({"id": number, "error": f"{type(error).__name__}: {error}"[:500]})
        return
    grade = future.result()
    checks = [{name: _plain(getattr(check, name)) for name in CHECK} for check in grade.checks]
    facts = {"task": grade.task, "status": str(grade.status), "points": points(grade), "max_points": grade.max_points}
    answers.write({"id": number, **facts, "checks": checks})


def _plain(value: Any) -> Any:
    return str(value) if hasattr(value, "value") else value
