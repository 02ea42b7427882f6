"""What the grader may ask of a launcher and of a worker, however they are started.

Two implementations: forked from a zygote (launcher.py, process.py), or a fresh interpreter each (spawn.py).
"""

from __future__ import annotations

import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchgrade.isolation.wire.limits import Exit, Limits

SERVE = "torchgrade.isolation.worker.serve:serve"
AHEAD_SECONDS = 600.0  # that a worker started ahead may wait: its hour has begun


class WorkerProcess(ABC):
    """A started worker: ``socket`` for calls, ``output`` of stdout and stderr, ``pid`` on the host."""

    socket: socket.socket
    output: int
    pid: int

    @abstractmethod
    def memory_mb(self) -> float:
        """What the whole job holds now, shared pages split between its processes; 0 when it has ended."""

    @abstractmethod
    def processes(self) -> list[int]:
        """Host pids of the job's processes; empty when it has ended."""

    @abstractmethod
    def cpu_seconds(self) -> float:
        """CPU seconds the job has used so far, ended children included."""

    @abstractmethod
    def exit(self, timeout: float) -> Exit | None:
        """Wait ``timeout`` seconds for the worker's end; None while it lives."""

    @abstractmethod
    def kill(self) -> None:
        """End and reap every process of the job. The output stays readable. Calling it twice is harmless."""

    @abstractmethod
    def close(self) -> None:
        """``kill``, and close the output too."""


@dataclass(frozen=True)
class Ahead:
    """A worker that waits for who asks for one of its kind."""

    kind: tuple[Limits, tuple[str, ...], str]
    worker: WorkerProcess
    started: float

    def serves(self, kind: tuple[Limits, tuple[str, ...], str]) -> bool:
        young = time.monotonic() - self.started < AHEAD_SECONDS
        return young and self.kind == kind and self.worker.exit(0.0) is None


class Launcher(ABC):
    """Starts workers. ``level`` and ``memory_bound`` wait until the level has been tried.

    IsolationError comes from these two, ``require`` and the starts.
    """

    missing: Mapping[int, str]  # level to what it lacks here
    spawns: bool  # whether each worker is a fresh interpreter, with nothing between it and the grader
    ahead: Ahead | None = None  # the worker that waits for the next start

    @property
    @abstractmethod
    def level(self) -> int:
        """1, 2 or 3: what holds here, found by trying."""

    @property
    @abstractmethod
    def memory_bound(self) -> str:
        """ "cgroup", or "watchdog": the grader must poll ``memory_mb``."""

    @abstractmethod
    def require(self) -> None:
        """Wait until the level has been tried; IsolationError, with the repair, where none that was asked for holds."""

    def start(self, limits: Limits, preload: Sequence[str] = (), serve: str = SERVE) -> WorkerProcess:
        """A new worker that runs ``serve``; it finds the modules of ``preload`` imported."""
        ahead, self.ahead = self.ahead, None
        if ahead is not None:
            if ahead.serves((limits, tuple(preload), serve)):
                return ahead.worker
            ahead.worker.close()
        return self._start(limits, preload, serve)

    def start_ahead(self, limits: Limits, preload: Sequence[str] = (), serve: str = SERVE) -> None:
        """Have a worker wait for the next ``start`` that asks for the same; one that waits already is ended."""
        self.drop_ahead()
        worker = self._start(limits, preload, serve)
        self.ahead = Ahead((limits, tuple(preload), serve), worker, time.monotonic())

    def drop_ahead(self) -> None:
        """End the worker that waits."""
        if self.ahead is not None:
            self.ahead.worker.close()
            self.ahead = None

    @abstractmethod
    def _start(self, limits: Limits, preload: Sequence[str], serve: str) -> WorkerProcess: ...

    @abstractmethod
    def alive(self) -> bool:
        """Whether it can still start workers; waits until the level has been tried."""

    @abstractmethod
    def inherit(self) -> None:
        """In a fork of the process that made it: share with that process what can be shared."""

    @abstractmethod
    def leave(self) -> None:
        """End what is this process's own, and leave alone what ``inherit`` shares."""

    @abstractmethod
    def close(self) -> None:
        """End everything, workers that still run, too."""

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
