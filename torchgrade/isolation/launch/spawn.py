"""A worker without fork: a fresh interpreter that imports torch itself (Windows, or TORCHGRADE_START=spawn).

    grader ──socket──▶ worker      the same interface as a forked one, at level 1, a second slower to start
    grader ◀─output─── worker

There is no supervisor. Limits hold where the system has them; what the worker started is ended with its
session on POSIX, and is not ended on Windows.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from torchgrade.errors import IsolationError
from torchgrade.isolation.confine import rlimits, scratch, watch
from torchgrade.isolation.confine.plan import Plan
from torchgrade.isolation.launch import command, levels
from torchgrade.isolation.launch.interface import Launcher, WorkerProcess
from torchgrade.isolation.wire.limits import Exit, Limits

POSIX = os.name == "posix"
READY = b"+"


class SpawningLauncher(Launcher):
    """Where there is no fork, or none is wanted: level 1, and nothing that would have to be kept or shared."""

    spawns = True
    level = 1
    memory_bound = "watchdog"

    def __init__(self, device: str, readable: Sequence[Path], hidden: Sequence[Path]) -> None:
        self.missing: dict[int, str] = {}
        self._plan = levels.plan(1, device, readable, hidden, None)

    def _start(self, limits: Limits, preload: Sequence[str], serve: str) -> SpawnedWorker:
        return spawn(self._plan, limits, preload, serve)

    def alive(self) -> bool:
        return True

    def require(self) -> None:
        """Level 1 always holds."""

    def inherit(self) -> None:
        """Nothing is shared."""

    def leave(self) -> None:
        """Its workers are closed by whoever started them, but for one that nobody has asked for yet."""
        self.drop_ahead()

    def close(self) -> None:
        self.leave()


class SpawnedWorker(WorkerProcess):
    """The trusted end of one fresh process."""

    def __init__(self, end: socket.socket, output: int, process: subprocess.Popen[bytes], folder: str) -> None:
        self.socket = end
        self.output = output
        self.pid = process.pid
        self._process = process
        self._folder = folder
        self._memory = watch.MemoryWatch()
        self._ended: Exit | None = None
        self._used = 0.0

    def memory_mb(self) -> float:
        return self._memory.own_mb(self.pid) if self._process.poll() is None else 0.0

    def processes(self) -> list[int]:
        return watch.tree(self.pid) if self._process.poll() is None else []

    def cpu_seconds(self) -> float:
        if self._process.poll() is None:
            self._used = max(self._used, watch.cpu_seconds(self.pid, with_first=True))
        return self._used

    def exit(self, timeout: float) -> Exit | None:
        if self._ended is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(max(0.0, timeout))
                self._ended = Exit(code if code >= 0 else None, -code if code < 0 else None, self._used, 0.0)
        return self._ended

    def kill(self) -> None:
        self.cpu_seconds()
        if POSIX:
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)  # it leads its own session
        with contextlib.suppress(OSError):
            self._process.kill()
        if self.exit(10.0) is None:
            raise IsolationError(f"Process {self.pid} cannot be ended.")
        self.socket.close()
        if os.path.isdir(self._folder):
            scratch.remove(self._folder)

    def close(self) -> None:
        self.kill()
        if self.output >= 0:
            os.close(self.output)
            self.output = -1

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()


def spawn(plan: Plan, limits: Limits, preload: Sequence[str], serve: str) -> SpawnedWorker:
    """Start one; returns when torch is imported in it and it is about to serve."""
    end, calls = socket.socketpair()
    output, output_end = os.pipe()
    folder = tempfile.mkdtemp(prefix="torchgrade-job-")
    settings = {"limits": limits.to_json(), "preload": list(preload), "serve": serve, "folder": folder}
    process = subprocess.Popen(
        command.python(plan, calls.fileno() if POSIX else -1, "launch.spawn", settings),
        stdin=subprocess.DEVNULL if POSIX else subprocess.PIPE,
        stdout=output_end, stderr=output_end, cwd=folder, env=command.environment(plan),
        pass_fds=[calls.fileno()] if POSIX else (), start_new_session=POSIX,
    )  # fmt: skip
    if sys.platform == "win32":
        assert process.stdin is not None
        process.stdin.write(calls.share(process.pid))
        process.stdin.close()
    calls.close()
    os.close(output_end)
    with contextlib.suppress(OSError):  # pipes of Windows can do so from Python 3.12 on
        os.set_blocking(output, False)
    worker = SpawnedWorker(end, output, process, folder)
    _wait_until_ready(worker)
    return worker


def _wait_until_ready(worker: SpawnedWorker, seconds: float = 60.0) -> None:
    worker.socket.settimeout(seconds)
    try:
        ready = worker.socket.recv(1)
    except OSError:
        ready = b""
    if ready != READY:
        with contextlib.suppress(OSError):
            ready += os.read(worker.output, 4096)
        worker.close()
        reason = ready.decode(errors="replace").strip() or "no answer"
        raise IsolationError(f"A worker could not be started: {reason}")
    worker.socket.settimeout(None)


def main(descriptor: int, settings: dict[str, Any]) -> NoReturn:
    """In the fresh process: import, limit, serve; never returns."""
    end = socket.socket(fileno=descriptor) if descriptor >= 0 else _shared()
    import torch

    limits = Limits.from_json(settings["limits"])
    torch.set_num_threads(limits.threads)
    for name in settings["preload"]:
        importlib.import_module(name)
    module, _, function = settings["serve"].partition(":")
    serve = getattr(importlib.import_module(module), function)
    scratch.enter(settings["folder"])
    rlimits.apply(limits)
    end.sendall(READY)
    serve(end)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(0)


def _shared() -> socket.socket:
    """The socket that the grader shares on Windows, through stdin."""
    if sys.platform == "win32":
        return socket.fromshare(sys.stdin.buffer.read())
    raise OSError("sockets are passed as descriptors here")
