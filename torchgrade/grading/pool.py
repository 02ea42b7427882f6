"""Grader processes seen from the command line: submit jobs, receive events. Imports no torch.

Each grader owns a zygote and grades one job at a time. A grader that dies gives its job back as ``broken`` and is
replaced; closing the pool ends every process below it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from torchgrade.grading.job import Job
from torchgrade.model import Outcome, TaskGrade


@dataclass(frozen=True)
class Event:
    """``kind``: started, check, steps, outcome, graded, ready or broken; ``job`` is None where none is concerned."""

    kind: str
    job: int | None
    data: dict[str, Any]

    @property
    def outcome(self) -> Outcome:
        return Outcome.from_json(self.data["outcome"])

    @property
    def grade(self) -> TaskGrade:
        return TaskGrade.from_json(self.data["grade"])


class Grader:
    """One grader process. Events go to ``sink`` from a thread, each with this grader beside it."""

    def __init__(self, root: Path, sink: queue.Queue[tuple[Grader, Event]]) -> None:
        package = str(Path(__file__).parents[2])
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": package}
        self.job: Job | None = None
        self.leaving = False  # it said "broken" and is about to end
        self.sink = sink
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "torchgrade.grading", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the command only, which then closes us
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def submit(self, job: Job) -> None:
        assert self.process.stdin is not None
        self.job = job
        try:
            self.process.stdin.write(msgpack.packb(job.to_data()))
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the reader sees the end and says so

    def _read(self) -> None:
        assert self.process.stdout is not None
        unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)
        while data := os.read(self.process.stdout.fileno(), 1 << 16):
            unpacker.feed(data)
            for item in unpacker:
                self.sink.put((self, Event(item.pop("event"), item.get("job"), item)))
        code = self.process.wait()
        self.sink.put((self, Event("ended", None, {"code": code})))

    def close(self) -> None:
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        try:
            self.process.wait(0.2 if self.job is not None else 5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Pool:
    """Up to ``size`` graders that work through jobs; ``events`` yields what they say, in the order of arrival."""

    def __init__(self, root: Path, size: int) -> None:
        self.root = root
        self.size = size
        self.graders: list[Grader] = []
        self.sink: queue.Queue[tuple[Grader, Event]] = queue.Queue()

    def events(self, jobs: Iterable[Job]) -> Iterator[Event]:
        """Grade ``jobs``; every job ends in exactly one ``graded`` or ``broken`` event.

        Graders stay for the next call.
        """
        waiting = list(jobs)[::-1]
        retried: set[int] = set()
        while waiting or any(grader.job is not None for grader in self.graders):
            self._feed(waiting)
            try:
                grader, event = self.sink.get(timeout=1.0)
            except queue.Empty:
                continue
            if event.kind == "broken":
                grader.leaving = True
            if event.kind == "ended":
                self.graders.remove(grader)
            if event.kind not in ("broken", "ended"):
                yield event
            elif grader.job is not None and grader.job.id not in retried:
                retried.add(grader.job.id)  # perhaps not the job's fault: once more
                waiting.append(grader.job)
            elif grader.job is not None:
                message = event.data.get("message") or f"the grader ended with status {event.data.get('code')}"
                yield Event("broken", grader.job.id, {"message": message})
            if event.kind in ("graded", "broken", "ended"):
                grader.job = None

    def _feed(self, waiting: list[Job]) -> None:
        """Give jobs to idle graders, and start more of them up to the size of the pool."""
        for grader in self.graders:
            if waiting and grader.job is None and not grader.leaving:
                grader.submit(waiting.pop())
        while waiting and len(self.graders) < self.size:
            grader = Grader(self.root, self.sink)
            self.graders.append(grader)
            grader.submit(waiting.pop())

    def close(self) -> None:
        for grader in self.graders:
            grader.close()
        self.graders.clear()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
