"""Grader processes seen from the command line: submit jobs, receive events. Imports no torch.

Each grader grades one job at a time. One alone is started and owns a zygote; several are forked from a nursery and
share one. A grader that dies gives its job back as ``broken`` and is replaced; closing the pool ends every process
below it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from torchgrade.environment import inherited
from torchgrade.grading.job import Job
from torchgrade.grading.nursery import CAN_FORK, Nursery, command
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
    """One grader, started for ``job``. Events go to ``sink`` from a thread, each with this grader beside it."""

    def __init__(self, root: Path, sink: queue.Queue[tuple[Grader, Event]], job: Job, nursery: Nursery | None) -> None:
        self.job: Job | None = None
        self.leaving = False  # it said "broken" and is about to end, or has ended
        self.sink = sink
        self._process: subprocess.Popen[bytes] | None = None
        self.kill: Callable[[], None]  # end it at once
        if nursery is not None:
            number, given, self._output = nursery.fork(job.isolation, job.devices[0])
            self.kill = functools.partial(nursery.kill, number)
        else:
            given, self._output = self._start(root)
        self._input = os.fdopen(given, "wb")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.submit(job)

    def _start(self, root: Path) -> tuple[int, int]:
        (theirs, given), (output, their_output) = os.pipe(), os.pipe()
        self._process = subprocess.Popen(
            command(root),
            stdin=theirs,
            stdout=their_output,
            env=inherited(),
            start_new_session=True,  # Ctrl-C reaches the command only, which then closes us
        )
        self.kill = self._process.kill
        os.close(theirs)
        os.close(their_output)
        return given, output

    def submit(self, job: Job) -> None:
        self.job = job
        with contextlib.suppress(BrokenPipeError):  # the reader sees the end and says so
            self._input.write(msgpack.packb(job.to_data()))
            self._input.flush()

    def _read(self) -> None:
        unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)
        code = None
        while data := os.read(self._output, 1 << 16):
            unpacker.feed(data)
            for item in unpacker:
                if item["event"] == "ended":  # the nursery's word
                    code = item["code"]
                else:
                    self.sink.put((self, Event(item.pop("event"), item.get("job"), item)))
        if self._process is not None:
            code = self._process.wait()
        os.close(self._output)
        self.leaving = True
        self.sink.put((self, Event("ended", None, {"code": code})))

    def finish(self) -> None:
        """No more jobs: it ends after the one that runs."""
        with contextlib.suppress(OSError):
            self._input.close()

    def close(self) -> None:
        self.finish()
        self._reader.join(0.2 if self.job is not None else 5.0)
        if self._reader.is_alive():
            self.kill()
            self._reader.join()


class Pool:
    """Up to ``size`` graders that work through jobs; ``events`` yields what they say, in the order of arrival."""

    def __init__(self, root: Path, size: int) -> None:
        self.root = root
        self.size = size
        self.nursery = Nursery(root) if size > 1 and CAN_FORK else None
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
            self.graders.append(Grader(self.root, self.sink, waiting.pop(), self.nursery))

    def close(self) -> None:
        for grader in self.graders:
            grader.close()
        self.graders.clear()
        if self.nursery is not None:
            self.nursery.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
