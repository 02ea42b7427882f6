"""Starting workers: one zygote per launcher, one fork of it per worker. The trusted side.

    Launcher ══control══▶ zygote ─fork─▶ supervisor ─fork─▶ worker      (zygote.py, confine/)
    WorkerProcess ◀── socket, output, status                            (job.py)

The constructor returns at once; a thread starts the zygote meanwhile, and the first ``start`` waits for it.
When this process ends in whatever way, the control socket closes, and everything below ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torchgrade.errors import IsolationError
from torchgrade.isolation import spawn, watch
from torchgrade.isolation.confine import command, levels
from torchgrade.isolation.confine.plan import Plan
from torchgrade.isolation.job import Exit, Limits, Status, WorkerProcess

__all__ = ["Exit", "Launcher", "Limits", "WorkerProcess"]

START_SECONDS = 60.0  # import torch from a cold disk
JOB_SECONDS = 20.0  # fork and confine, on a busy machine
SETTINGS = {"auto": (3, 2, 1), "strict": (3,), "standard": (3, 2), "process": (1,)}


class Launcher:
    """Starts confined workers. ``isolation``: "auto" takes the best level there is, the others demand one.

    ``readable`` are files and folders that a worker may read (data sets). ``level`` and ``memory_bound`` wait
    until the level has been tried. IsolationError comes from these two and from ``start``.
    """

    def __init__(self, isolation: str = "auto", device: str = "cpu", readable: Sequence[Path] = ()) -> None:
        if isolation not in SETTINGS:
            raise IsolationError(f"isolation is one of {', '.join(SETTINGS)}, not {isolation!r}")
        self._isolation = isolation
        self._device = device
        self._readable = tuple(Path(p).resolve() for p in readable)
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None
        self._failure: IsolationError | None = None
        self._closed = False
        self._spawns = not hasattr(os, "fork") or os.environ.get("TORCHGRADE_START") == "spawn"
        if self._spawns and isolation not in ("auto", "process"):
            raise IsolationError(
                f"Isolation {isolation!r} needs a system that can fork; here a worker is spawned."
            )
        self._starter = threading.Thread(target=self._start_zygote, name="zygote-starter", daemon=True)
        self._starter.start()

    @property
    def level(self) -> int:
        """1, 2 or 3: what holds here, found by trying."""
        return 1 if self._spawns else self._ready_zygote().plan.level

    @property
    def memory_bound(self) -> str:
        """ "cgroup", "watchdog" (the grader must poll ``memory_mb``) or "rlimit" (each process alone)."""
        return "watchdog"

    def start(
        self, limits: Limits, preload: Sequence[str] = (), serve: str = "torchgrade.isolation.worker:serve"
    ) -> WorkerProcess:
        """A new confined worker that runs ``serve``. ``preload``: modules imported once, before forking."""
        if self._spawns:
            return spawn.spawn(levels.plan(1, self._device, self._readable), limits, preload, serve)
        zygote = self._ready_zygote()
        with self._lock:
            return zygote.fork(limits, preload, serve)

    def close(self) -> None:
        """End the zygote; workers that still run end with it."""
        self._closed = True
        self._starter.join()
        if self._zygote is not None:
            self._zygote.close()

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_zygote(self) -> None:
        if self._spawns:
            return
        try:
            for level in SETTINGS[self._isolation]:
                zygote = _Zygote(levels.plan(level, self._device, self._readable))
                if zygote.missing is None:
                    self._zygote = zygote
                    return
                zygote.close()
            raise IsolationError("; ".join(zygote.missing or ["no level holds"]))
        except IsolationError as error:
            self._failure = error
        except Exception as error:
            self._failure = IsolationError(
                f"The zygote could not be started: {type(error).__name__}: {error}"
            )

    def _ready_zygote(self) -> _Zygote:
        self._starter.join()
        if self._failure is not None:
            raise self._failure
        if self._zygote is None or self._closed:
            raise IsolationError("This launcher is closed.")
        return self._zygote


class _Zygote:
    """The running zygote. ``missing``: what its trial confinement lacked, None when the level holds."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._control, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            command.python(plan, theirs.fileno()),
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, env=command.environment(plan), cwd="/",
        )  # fmt: skip
        theirs.close()
        self._messages = Status(self._control)
        found = self._expect("level", START_SECONDS)
        self.missing: list[str] | None = found["missing"] or None
        self._ready: dict[str, Any] | None = None

    def fork(self, limits: Limits, preload: Sequence[str], serve: str) -> WorkerProcess:
        if self._ready is None:
            self._ready = self._expect("ready", START_SECONDS)
        (end, calls), (status_end, status) = socket.socketpair(), socket.socketpair()
        output, output_end = os.pipe()
        os.set_blocking(output, False)
        request = json.dumps({"limits": limits.to_json(), "preload": list(preload), "serve": serve}).encode()
        descriptors = [calls.fileno(), output_end, status.fileno()]
        try:
            socket.send_fds(self._control, [request], descriptors)
        except OSError as error:
            raise IsolationError(f"The zygote has ended: {error}") from None
        finally:
            calls.close()
            status.close()
            os.close(output_end)
        memory = watch.MemoryWatch(self._ready["baseline"])
        return _handshake(end, output, Status(status_end), memory, self.plan.level == 3)

    def _expect(self, key: str, seconds: float) -> dict[str, Any]:
        message = self._messages.read(time.monotonic() + seconds)
        if message is None or key not in message:
            reason = (message or {}).get("error", "it ended without a word")
            raise IsolationError(f"The zygote could not be started: {reason}")
        return message

    def close(self) -> None:
        self._messages.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _handshake(
    end: socket.socket, output: int, status: Status, memory: watch.MemoryWatch, whole: bool
) -> WorkerProcess:
    """Follow a job's first messages until its worker is confined; IsolationError if it never is."""
    deadline = time.monotonic() + JOB_SECONDS
    found: dict[str, watch.Process] = {}
    confined, reason = False, "no answer"
    while not (confined and "worker" in found):
        message = status.read(deadline)
        if message is None or "error" in message or "exit" in message:
            reason = (message or {}).get("error", reason)
            break
        confined = confined or "confined" in message
        for role in ("supervisor", "worker"):
            if role in message:
                found[role] = _named(message[role], status)
                if role == "supervisor":
                    memory.attach(found[role].pid)
                    status.send(b"go")
    else:
        return WorkerProcess(end, output, status, found["supervisor"], found["worker"], memory, whole)
    if "supervisor" in found:
        found["supervisor"].kill()
    end.close()
    status.close()
    with contextlib.suppress(OSError):
        reason += "\n" + os.read(output, 4096).decode(errors="replace")
    os.close(output)
    raise IsolationError(f"A worker could not be confined: {reason.strip()}")


def _named(pid: int, status: Status) -> watch.Process:
    """The process of a message: by the pidfd that came with it, else by its number."""
    if status.descriptors:
        return watch.Process.from_descriptor(status.descriptors.pop(0))
    return watch.Process(pid)
