"""For programs: grade texts one after another or many at once, with graders that stay warm.

    from torchgrade import Grader

    with Grader("my-course", jobs=8) as grader:
        grade = grader.grade(text, "task07")

A ``Grader`` may be used by several threads at once. Imports no torch: graders are processes of their own.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from torchgrade.course import Course, Task
from torchgrade.errors import UsageError
from torchgrade.grading.events import Fault, Graded
from torchgrade.grading.job import Job, Options
from torchgrade.grading.pool import Pool
from torchgrade.grading.run import broken_grade, overrun_grade
from torchgrade.grading.seeds import LEARNER_SEED
from torchgrade.hardware import cores, devices, need_open_files
from torchgrade.model import Status, TaskGrade
from torchgrade.submission import Source

OPEN = (Status.BROKEN, Status.UNAVAILABLE)  # no verdict: never a zero
_FENCED = re.compile(r"^```(?:python3?|py)?[ \t]*\r?\n(.*?)^```", re.DOTALL | re.MULTILINE | re.IGNORECASE)


class Grader:
    """Grades submissions for the tasks of one course, ``jobs`` side by side (0: as many as there are cores).

    ``course``: its folder. ``device``: cpu, cuda, mps or all. ``isolation``: auto, strict, standard or process.
    Raises UsageError or CourseError where there is no such course.
    """

    def __init__(
        self,
        course: str | Path | Course,
        jobs: int = 0,
        *,
        device: str = "cpu",
        isolation: str = "auto",
        data: str = "auto",
        timeout_scale: float = 1.0,
    ) -> None:
        need_open_files()
        self.course = course if isinstance(course, Course) else Course.load(Path(course).resolve())
        self._options = Options(
            devices=devices(device), seed=LEARNER_SEED, timeout_scale=timeout_scale, isolation=isolation, data=data
        )
        self._pool = Pool.local(self.course.root, jobs or cores())
        self._waiting = _Waiting()
        self._futures: dict[int, Future[TaskGrade]] = {}
        self._tasks: dict[int, Task] = {}
        self._changed = threading.Condition()
        self._number = 0
        self._ahead = 4 * (jobs or cores())  # of many, so many are handed over at a time
        self._closed = self._stopped = False
        self._thread = threading.Thread(target=self._work, name="torchgrade", daemon=True)
        self._thread.start()

    def submit(self, source: str | bytes | Path | Source, task: str, seed: int | None = None) -> Future[TaskGrade]:
        """Grade when there is room; the future's result is that of ``grade``.

        ``source``: the text of a file, its bytes (a notebook's too), the path of a file, or a ``Source`` with modules.
        ``seed``: of the hidden inputs; the one that learners get is the default. Raises UnknownTask, OSError where
        the path cannot be read, and UsageError once the grader is closed.
        """
        found = self.course.find(task)
        options = self._options if seed is None else replace(self._options, seed=seed)
        future: Future[TaskGrade] = Future()
        future.set_running_or_notify_cancel()  # a job that was handed over is finished
        with self._changed:
            if self._closed:
                raise UsageError("this Grader is closed")
            self._number += 1
            job = options.job(
                self._number, found.stem, _source(source, found), memory_mb=found.manifest.memory_mb, watched=False
            )
            self._futures[job.id], self._tasks[job.id] = future, found
            self._waiting.jobs.append(job)
            self._changed.notify()
        return future

    def grade(self, source: str | bytes | Path | Source, task: str, seed: int | None = None) -> TaskGrade:
        """The grade of one submission. Status ``broken`` and ``unavailable`` are no verdict: see ``points``."""
        return self.submit(source, task, seed).result()

    async def grade_async(self, source: str | bytes | Path | Source, task: str, seed: int | None = None) -> TaskGrade:
        """As ``grade``, without blocking the loop."""
        return await asyncio.wrap_future(self.submit(source, task, seed))

    def grade_many(
        self, requests: Iterable[tuple[str | bytes | Path | Source, str]], seed: int | None = None
    ) -> Iterator[tuple[int, TaskGrade]]:
        """The grades of (source, task) pairs as they come, each with the place of its pair, from 0.

        The pairs may be without end: they are taken a few ahead of what is graded.
        """
        pairs, running = enumerate(requests), dict[Future[TaskGrade], int]()
        while True:
            for place, (source, task) in islice(pairs, self._ahead - len(running)):
                running[self.submit(source, task, seed)] = place
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()

    def reward(self, task: str, dense: bool = True) -> Callable[..., list[float | None]]:
        """A function that trainers of language models take: texts in, rewards from 0 to 1 out, None without a verdict.

        Of a text with fenced blocks the last block is the code. ``dense``: the share of the points; else 1.0 where
        everything passed and 0.0 elsewhere. Texts come as strings or as lists of messages (the last one counts).
        """

        def rewards(completions: Sequence[Any], **_others: Any) -> list[float | None]:
            found: list[float | None] = [None] * len(completions)
            pairs = [(code_of(completion), task) for completion in completions]
            for place, grade in self.grade_many(pairs):
                share = points(grade)
                if share is not None:
                    share = share / grade.max_points if dense and grade.max_points else float(share == grade.max_points)
                found[place] = share
            return found

        return rewards

    def close(self) -> None:
        """Finish what was handed over, then end every process."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def stop(self) -> None:
        """Grade nothing but what is being graded; futures of what waits raise UsageError. ``close`` is still due."""
        with self._changed:
            self._closed = self._stopped = True
            self._changed.notify()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _work(self) -> None:
        """The one thread that talks to the pool."""
        end: BaseException = UsageError("this Grader is closed")
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting.jobs or self._closed)
                    if self._stopped or not self._waiting.jobs:
                        break
                for event in self._pool.events(self._waiting, stopping=lambda: self._stopped):
                    if isinstance(event, Graded):
                        self._settle(event.job, event.grade)
                    elif isinstance(event, Fault):
                        ended = overrun_grade if event.overran else broken_grade
                        self._settle(event.job, ended(self._tasks[event.job], event.message))
        except BaseException as error:
            end = error
        finally:
            with self._changed:
                self._closed = True  # before the last look: nobody may wait for what is never graded
            for future in self._futures.values():
                future.set_exception(end)
            self._pool.close()

    def _settle(self, number: int, grade: TaskGrade) -> None:
        del self._tasks[number]
        self._futures.pop(number).set_result(grade)


class _Waiting:
    """Jobs to be taken; one that is empty now may have another later."""

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()

    def __iter__(self) -> Iterator[Job]:
        return self

    def __next__(self) -> Job:
        try:
            return self.jobs.popleft()
        except IndexError:
            raise StopIteration from None


def points(grade: TaskGrade) -> float | None:
    """What a grade earned; None where it is no verdict, through no fault of the submission."""
    return None if grade.status in OPEN else grade.points


def code_of(completion: Any) -> str:
    """The code in what a language model wrote: the last fenced block, or all of it."""
    text = _written(completion)
    blocks = _FENCED.findall(text)
    return blocks[-1] if blocks else text


def _written(completion: Any) -> str:
    """The text of a completion, of a message, of the last of several, or of a message's parts that are text."""
    if isinstance(completion, (list, tuple)):
        if completion and all(isinstance(part, dict) and "type" in part for part in completion):
            return "".join(str(part.get("text") or "") for part in completion)
        return _written(completion[-1]) if completion else ""
    if isinstance(completion, dict):
        return _written(completion.get("content"))
    return "" if completion is None else str(completion)


def _source(given: str | bytes | Path | Source, task: Task) -> Source:
    if isinstance(given, Source):
        return given
    name = given.name if isinstance(given, Path) else f"{task.stem}.py"
    if isinstance(given, str):
        return Source(name, {name: given.encode("utf-8", "surrogatepass")})  # half a pair is the text's fault, not ours
    return Source(name, {name: given.read_bytes() if isinstance(given, Path) else given})
