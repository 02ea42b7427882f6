"""One grader process, seen from the command that started it. Imports no torch."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgpack

from torchgrade.environment import inherited
from torchgrade.grading.events import Event, GraderEnded, from_data
from torchgrade.grading.job import Job
from torchgrade.grading.nursery import Nursery, command


class Sink(Protocol):
    """Where the events of graders go."""

    def put(self, item: tuple[GraderProcess, Event], /) -> None: ...


class GraderProcess:
    """Grades one job at a time, the first of them ``job``; forked from ``nursery`` where there is one.

    Its events go to ``sink`` from a thread, each with this grader beside it, the last one a ``GraderEnded``.
    """

    def __init__(self, root: Path, sink: Sink, job: Job, nursery: Nursery | None) -> None:
        self.job: Job | None = None  # that it is busy with
        self.task = job.task  # whose suite it has open
        self.heard = 0.0  # when it said something
        self.number = 0  # of its process, once it has told
        self.spent = 0.0  # seconds of processor time that it had when it said something last
        self.said = ""  # the title of the check that ended last
        self._sink = sink
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
        self.job, self.task, self.heard, self.said = job, job.task, time.monotonic(), ""
        with contextlib.suppress(BrokenPipeError):  # the reader sees the end and says so
            self._input.write(msgpack.packb(job.to_data()))
            self._input.flush()

    def _read(self) -> None:
        unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)
        code = None
        while data := os.read(self._output, 1 << 16):
            unpacker.feed(data)
            for item in unpacker:
                event = from_data(item)
                if isinstance(event, GraderEnded):  # the nursery's word
                    code = event.code
                else:
                    self._sink.put((self, event))
        if self._process is not None:
            code = self._process.wait()
        os.close(self._output)
        self._sink.put((self, GraderEnded(code)))

    def finish(self) -> None:
        """No more jobs: it ends after the one that runs."""
        with contextlib.suppress(OSError):
            self._input.close()

    def close(self) -> None:
        """End it: at once when it is busy, else it leaves by itself."""
        self.finish()
        self._reader.join(0.2 if self.job is not None else 5.0)
        if self._reader.is_alive():
            self.kill()
            self._reader.join()
