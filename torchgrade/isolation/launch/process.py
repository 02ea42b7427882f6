"""The trusted end of one worker: what to ask of it, how to watch it, how to end it.

grader ──socket──▶ worker            calls and answers (isolation/wire/protocol.py)
grader ◀─output─── worker            stdout and stderr, a pipe
grader ◀─status──▶ supervisor        start, exit code, kill (isolation/launch/supervisor_handle.py)
"""

from __future__ import annotations

import os
import signal
import socket
import time
import weakref
from collections.abc import Callable
from typing import Any

from torchgrade.isolation.confine import watch
from torchgrade.isolation.launch.interface import WorkerProcess
from torchgrade.isolation.launch.supervisor_handle import REAP_SECONDS, Supervisor
from torchgrade.isolation.wire.limits import Exit


class ForkedWorker(WorkerProcess):
    """One that a supervisor forked."""

    def __init__(self, end: socket.socket, output: int, pid: int, job: RunningJob) -> None:
        self.socket = end
        self.output = output
        self.pid = pid
        self._job = job
        self._finalizer = weakref.finalize(self, _release, job, output)

    def memory_mb(self) -> float:
        return self._job.memory.used_mb(self._job.supervisor.pid) if self._job.runs() else 0.0

    def processes(self) -> list[int]:
        return watch.tree(self._job.supervisor.pid)[1:] if self._job.runs() else []

    def cpu_seconds(self) -> float:
        return self._job.cpu_seconds()

    def exit(self, timeout: float) -> Exit | None:
        return self._job.wait(timeout)

    def kill(self) -> None:
        self._job.end()
        self.socket.close()

    def close(self) -> None:
        self.kill()
        self._finalizer()


class RunningJob:
    """What must be ended even when nobody holds the worker any more.

    ``give_back`` takes the supervisor when nothing of the job is left and it can run another one.
    """

    def __init__(
        self, supervisor: Supervisor, memory: watch.MemoryWatch, give_back: Callable[[Supervisor], None]
    ) -> None:
        self.supervisor = supervisor
        self.memory = memory
        self._give_back = give_back
        self._exit: Exit | None = None
        self._cpu = 0.0
        self._closed = False

    def runs(self) -> bool:
        return self.wait(0.0) is None

    def cpu_seconds(self) -> float:
        if self.runs():
            self._cpu = max(self._cpu, watch.cpu_seconds(self.supervisor.pid) - self.supervisor.spent)
        return self._cpu

    def wait(self, timeout: float) -> Exit | None:
        deadline = time.monotonic() + timeout
        while self._exit is None:
            message = self.supervisor.status.read(deadline)
            if message is not None and "exit" in message:
                self._exit = self._read_exit(message)
                self._cpu = self._exit.cpu_seconds
                self.supervisor.spent += self._cpu
            elif self.supervisor.status.ended:
                self._exit = self._lost()
            elif message is None:
                return None
        return self._exit

    def _lost(self) -> Exit:
        """The exit of a job whose supervisor cannot tell any more."""
        return Exit(None, int(signal.SIGKILL), self._cpu, 0.0, self.memory.exceeded())

    def _read_exit(self, message: dict[str, Any]) -> Exit:
        code = message["exit"]
        return Exit(
            code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cpu_seconds=message["cpu"],
            max_rss_mb=message["rss"],
            out_of_memory=self.memory.exceeded(),
            out_of_time=message["why"] == "time",
            out_of_space=message["why"] == "files",
        )

    def end(self) -> None:
        if self._closed:
            return
        if self.wait(0.0) is None:
            self.supervisor.end_job()
        ended = self.wait(REAP_SECONDS)
        self._closed = True
        try:
            if ended is not None and self.supervisor.alive():
                self._give_back(self.supervisor)
            else:
                self._exit = ended or self._lost()
                self.supervisor.close()
        finally:
            self.memory.close()


def _release(job: RunningJob, output: int) -> None:
    job.end()
    os.close(output)
