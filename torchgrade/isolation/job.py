"""The trusted end of one worker: what to ask of it, how to watch it, how to end it.

    grader ──socket──▶ worker            calls and answers (isolation/protocol.py)
    grader ◀─output─── worker            stdout and stderr, a pipe
    grader ◀─status──▶ supervisor        start, exit code, kill; JSON lines, see confine/supervisor.py

The supervisor is the worker's parent: at level 3 it is pid 1 of the job's own pid namespace, so that its
end is the end of every process in it. It is named by a pidfd, never by a number that could be given away
again.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
import weakref
from dataclasses import asdict, dataclass
from typing import Any

from torchgrade.errors import IsolationError
from torchgrade.isolation import watch

REAP_SECONDS = 10.0  # a tree of 81 torch forks needed 0.9 s on a busy machine


@dataclass(frozen=True)
class Limits:
    """What one worker may use: MB (2**20 bytes), seconds, counts; ``processes`` counts threads too."""

    memory_mb: int = 2048
    wall_seconds: float = 600.0
    file_mb: int = 256
    processes: int = 64
    open_files: int = 256
    threads: int = 1
    devices: tuple[str, ...] = ("cpu",)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Limits:
        return cls(**{**values, "devices": tuple(values.get("devices", ("cpu",)))})


@dataclass(frozen=True)
class Exit:
    """How a worker ended: ``code`` or ``signal``, and what it and its ended children had used by then."""

    code: int | None
    signal: int | None
    cpu_seconds: float
    max_rss_mb: float
    out_of_memory: bool = False
    out_of_time: bool = False
    out_of_space: bool = False


class Status:
    """JSON lines with the supervisor, descriptors beside them."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._buffer = b""
        self.descriptors: list[int] = []
        self.ended = False

    def send(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self._end.sendall(word + b"\n")

    def read(self, deadline: float) -> dict[str, Any] | None:
        """The next message, or None at ``deadline`` (monotonic) or when the supervisor has ended."""
        while b"\n" not in self._buffer:
            if self.ended or not select.select([self._end], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            try:
                data, descriptors, _, _ = socket.recv_fds(self._end, 4096, 2)
            except OSError:
                data, descriptors = b"", []
            self.descriptors += descriptors
            self._buffer += data
            self.ended = not data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        self._end.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []


class WorkerProcess:
    """A started worker: ``socket`` for calls, ``output`` of stdout and stderr, ``pid`` on the host."""

    def __init__(
        self,
        end: socket.socket,
        output: int,
        status: Status,
        supervisor: watch.Process,
        worker: watch.Process,
        memory: watch.MemoryWatch,
        whole: bool,
    ) -> None:
        self.socket = end
        self.output = output
        self.pid = worker.pid
        worker.close()  # its number suffices for looking; what ends it is the supervisor
        self._job = _Job(status, supervisor, memory, whole)
        self._exit: Exit | None = None
        self._cpu = 0.0
        self._finalizer = weakref.finalize(self, _release, self._job, output)

    def memory_mb(self) -> float:
        """What the whole job holds now, shared pages split between its processes; 0 when it has ended."""
        return self._job.memory.used_mb(self._job.supervisor.pid) if self._job.alive() else 0.0

    def processes(self) -> list[int]:
        """Host pids of the job's processes, its supervisor included; empty when it has ended."""
        return watch.tree(self._job.supervisor.pid) if self._job.alive() else []

    def cpu_seconds(self) -> float:
        """CPU seconds the job has used so far, ended children included."""
        if self._job.alive():
            self._cpu = max(self._cpu, watch.cpu_seconds(self._job.supervisor.pid))
        return self._cpu

    def exit(self, timeout: float) -> Exit | None:
        """Wait ``timeout`` seconds for the worker's end; None while it lives."""
        deadline = time.monotonic() + timeout
        while self._exit is None:
            over = not self._job.alive()
            message = self._job.status.read(deadline)
            if message is not None and "exit" in message:
                self._exit = self._read_exit(message)
            elif over or self._job.status.ended:
                self._exit = Exit(None, int(signal.SIGKILL), self._cpu, 0.0, self._job.memory.exceeded())
            elif message is None:
                return None
        return self._exit

    def _read_exit(self, message: dict[str, Any]) -> Exit:
        code = message["exit"]
        return Exit(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cpu_seconds=message["cpu"],
            max_rss_mb=message["rss"],
            out_of_memory=self._job.memory.exceeded(),
            out_of_time=message["why"] == "time",
            out_of_space=message["why"] == "files",
        )

    def kill(self) -> None:
        """End and reap every process of the job. The output stays readable. Calling it twice is harmless."""
        if self._job.whole:  # its supervisor cannot tell any more: it is killed, too
            self._cpu = self.cpu_seconds()
        self.exit(0.0)
        self._job.kill()
        self.socket.close()
        if self._exit is None:
            self.exit(0.0)
        self._job.close()

    def close(self) -> None:
        """``kill``, and close the output too."""
        self.kill()
        self._finalizer()


class _Job:
    """What must be ended even when nobody holds the WorkerProcess any more."""

    def __init__(self, status: Status, supervisor: watch.Process, memory: watch.MemoryWatch, whole: bool) -> None:
        self.status = status
        self.supervisor = supervisor
        self.memory = memory
        self.whole = whole  # the supervisor's end is the end of all: it is pid 1 of a namespace
        self._closed = False

    def alive(self) -> bool:
        return not self._closed and self.supervisor.alive()

    def kill(self) -> None:
        if self._closed:
            return
        if self.whole:
            self.supervisor.kill()
        else:
            self.status.send(b"kill")
        if not self.supervisor.wait(REAP_SECONDS):
            self.supervisor.kill()
            if not self.supervisor.wait(REAP_SECONDS):
                raise IsolationError(f"The job of process {self.supervisor.pid} cannot be ended.")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.status.close()
            self.supervisor.close()
            self.memory.close()


def _release(job: _Job, output: int) -> None:
    job.kill()
    job.close()
    os.close(output)
