"""The trusted end of a supervisor: asks it for one worker after another (the other end is confine/supervisor.py).

At level 3 a supervisor is pid 1 of a pid namespace, so that its end is the end of every process in it. It is named by
a pidfd, never by a number that could be given away again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

from torchgrade.errors import IsolationError
from torchgrade.isolation.confine import watch
from torchgrade.isolation.wire.limits import Limits
from torchgrade.isolation.wire.status_socket import StatusSocket

JOB_SECONDS = 120.0  # fork and confine, and the imports that a task asks for, on a very busy machine
REAP_SECONDS = 10.0  # a tree of 81 torch forks needed 0.9 s on a busy machine


class Supervisor:
    """Runs one job at a time. ``modules``: what its workers find imported. ``spent``: CPU seconds of ended jobs.

    ``many``: its zygote was made ready for many forks before it.
    """

    def __init__(self, status: StatusSocket, modules: frozenset[str], many: bool) -> None:
        self.status = status
        self.modules = modules
        self.many = many
        self.spent = 0.0
        self._process: watch.Process | None = None  # from its first message on

    @property
    def pid(self) -> int:
        """On the host. It has told by the time its first worker is started."""
        return self._named().pid

    def alive(self) -> bool:
        return self._process is not None and not self.status.ended and self._process.alive()

    def start(self, limits: Limits, serve: str, memory: watch.MemoryWatch) -> tuple[socket.socket, int, int]:
        """A confined worker that is about to serve: the socket for calls, its output, its pid on the host.

        IsolationError when it cannot be had; the supervisor is ended then.
        """
        (end, calls), (output, output_end) = socket.socketpair(), os.pipe()
        os.set_blocking(output, False)
        with contextlib.suppress(OSError):  # it has ended: that is read below
            request = {"limits": limits.to_json(), "serve": serve}
            self.status.send(request, (calls.fileno(), output_end))
        calls.close()
        os.close(output_end)
        try:
            return end, output, self._follow(memory)
        except IsolationError as error:
            self.close()
            end.close()
            with open(output, "rb", buffering=0) as printed:
                said = (printed.read(4096) or b"").decode(errors="replace")
            raise IsolationError(f"{error}\n{said}".strip()) from None

    def _follow(self, memory: watch.MemoryWatch) -> int:
        """Read a job's first messages until its worker is confined: the worker's pid."""
        deadline = time.monotonic() + JOB_SECONDS
        worker, confined = 0, False
        while not (worker and confined):
            message = self.status.read(deadline)
            if message is None or "error" in message or "exit" in message:
                reason = (message or {}).get("error", "no answer")
                raise IsolationError(f"A worker could not be confined: {reason.strip()}")
            confined = confined or "confined" in message
            if "supervisor" in message:
                self._process = self._process_of(message["supervisor"])
            if "worker" in message:
                worker = self._attach(message["worker"], memory)
        return worker

    def _attach(self, pid: int, memory: watch.MemoryWatch) -> int:
        process = self._process_of(pid)
        try:
            memory.attach(process.pid)
        except ProcessLookupError:
            pass  # it has ended: its last message says why
        except OSError as error:
            raise IsolationError(f"A worker cannot enter its control group: {error}") from None
        finally:
            process.close()  # its number suffices for looking; what ends it is the supervisor
        return process.pid

    def _process_of(self, pid: int) -> watch.Process:
        """The process of a message: by the pidfd that came with it, else by its number."""
        if self.status.descriptors:
            return watch.Process.from_descriptor(self.status.descriptors.pop(0))
        return watch.Process(pid)

    def _named(self) -> watch.Process:
        assert self._process is not None
        return self._process

    def end_job(self) -> None:
        """Ask for the end of its job; its last message says when that is done."""
        with contextlib.suppress(OSError):
            self.status.send({"kill": True})

    def close(self) -> None:
        """End it, and every process of its job; twice is harmless. IsolationError when it cannot be ended."""
        self.status.close()  # it takes that for a kill, and leaves
        if self._process is None:
            return
        if not self._process.wait(REAP_SECONDS):
            self._process.kill()
            if not self._process.wait(REAP_SECONDS):
                raise IsolationError(f"The job of process {self._process.pid} cannot be ended.")
        self._process.close()
        self._process = None
