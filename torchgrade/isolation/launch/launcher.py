"""Starting workers: one zygote per launcher, one fork below it per worker. The trusted side.

    Launcher ══control══▶ zygote ─fork─▶ supervisor ─fork─▶ worker, worker, ...      (zygote.py, confine/)
    ForkedWorker ◀── socket, output, status                                          (process.py, supervisor.py)

The constructor returns at once; a thread starts the zygote meanwhile, and the first ``start`` waits for it.
When this process ends in whatever way, the control socket closes, and everything below ends with it.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torchgrade.errors import IsolationError
from torchgrade.isolation.confine import watch
from torchgrade.isolation.launch import levels
from torchgrade.isolation.launch.cgroup import Cgroups
from torchgrade.isolation.launch.interface import SERVE, Launcher, WorkerProcess
from torchgrade.isolation.launch.process import ForkedWorker, RunningJob
from torchgrade.isolation.launch.spawn import SpawningLauncher
from torchgrade.isolation.launch.supervisor_handle import Supervisor
from torchgrade.isolation.launch.zygote_handle import Zygote
from torchgrade.isolation.wire.limits import Exit, Limits

__all__ = ["Exit", "Launcher", "Limits", "WorkerProcess", "open_launcher"]

MANY = 4  # workers, after which a class is being graded
SETTINGS = {"auto": (3, 2, 1), "strict": (3,), "standard": (2,), "process": (1,)}


def open_launcher(
    isolation: str = "auto",
    device: str = "cpu",
    readable: Sequence[Path] = (),
    hidden: Sequence[Path] = (),
    torch: bool = True,
) -> Launcher:
    """The launcher that this system allows. ``isolation``: "auto" takes the best level there is, the others demand one.

    ``readable`` are files and folders that a worker may read (data sets); ``hidden`` are those that must never be
    (beside graders/, solutions/ and exercises/ of this checkout). ``torch``: whether workers find it imported; those
    that run none of a learner's code do without (a spawned worker has it anyway).
    """
    if isolation not in SETTINGS:
        raise IsolationError(f"isolation is one of {', '.join(SETTINGS)}, not {isolation!r}")
    readable, hidden = [Path(place).resolve() for place in readable], [Path(place) for place in hidden]
    if hasattr(os, "fork") and os.environ.get("TORCHGRADE_START") != "spawn":
        return ForkingLauncher(isolation, device, readable, hidden, torch)
    if isolation not in ("auto", "process"):
        raise IsolationError(f"Isolation {isolation!r} needs a fork; here each worker is spawned.")
    return SpawningLauncher(device, readable, hidden)


class ForkingLauncher(Launcher):
    """Workers that are forked from a zygote, which a thread starts at once."""

    spawns = False

    def __init__(
        self, isolation: str, device: str, readable: Sequence[Path], hidden: Sequence[Path], torch: bool
    ) -> None:
        self._isolation = isolation
        self._device = device
        self._readable = tuple(readable)
        self._hidden = tuple(hidden)
        self._torch = torch
        self._lock = threading.Lock()
        self._zygote: Zygote | None = None
        self._idle: list[Supervisor] = []
        self._modules: frozenset[str] = frozenset()  # that the zygote was asked to import
        self._started = 0
        self._slot: levels.Slot | None = None
        self._cgroups: Cgroups | None = None
        self._failure: IsolationError | None = None
        self._closed = False
        self.missing: dict[int, str] = {}  # level to what it lacks here
        self._starter = threading.Thread(target=self._start_zygote, name="zygote-starter", daemon=True)
        self._starter.start()

    def require(self) -> None:
        self._ready_zygote()

    @property
    def level(self) -> int:
        return self._ready_zygote().plan.level

    @property
    def memory_bound(self) -> str:
        self._ready_zygote()
        return "cgroup" if self._cgroups is not None and self._cgroups.usable else "watchdog"

    def start_ahead(self, limits: Limits, preload: Sequence[str] = (), serve: str = SERVE) -> None:
        self._started = 0  # one learner's saves are no class: two copies of the zygote's memory would stay
        super().start_ahead(limits, preload, serve)

    def _start(self, limits: Limits, preload: Sequence[str], serve: str) -> ForkedWorker:
        """Confined; the modules of ``preload`` are imported once, before forking."""
        zygote = self._ready_zygote()
        with self._lock:
            supervisor = self._supervisor(zygote, frozenset(preload))
            memory = self._memory_watch(limits, zygote.baseline_mb)
            try:
                end, output, pid = supervisor.start(limits, serve, memory)
            except BaseException:
                memory.close()
                raise
            self._started += 1
            return ForkedWorker(end, output, pid, RunningJob(supervisor, memory, self._give_back))

    def _supervisor(self, zygote: Zygote, preload: frozenset[str]) -> Supervisor:
        """One that is idle and can run the next job, else a new one; idle ones that cannot are ended."""
        many = self._started >= MANY
        while self._idle:
            supervisor = self._idle.pop()
            if supervisor.alive() and preload <= supervisor.modules and supervisor.many == many:
                return supervisor
            supervisor.close()
        self._modules |= preload
        user = self._slot.user if self._slot is not None else None
        return zygote.fork(self._modules, user, many)

    def _give_back(self, supervisor: Supervisor) -> None:
        if self._closed or self.level == 1:  # where nothing keeps a submission from its supervisor, each has its own
            supervisor.close()
        else:
            self._idle.append(supervisor)

    def alive(self) -> bool:
        self._starter.join()
        return self._zygote is not None and self._zygote.alive()

    def inherit(self) -> None:
        """In a fork of the process that made it: share the zygote, with a lock and a user of one's own."""
        self._lock = threading.Lock()
        if self._cgroups is not None:
            self._cgroups.inherit()
        if self._slot is not None:
            self._slot.close()  # this process's end of it: who forked us keeps the user
        self._slot = levels.Slot()

    def leave(self) -> None:
        """End the supervisors of this process. The zygote stays, with whom ``inherit`` shares it."""
        self.drop_ahead()
        self._closed = True
        self._starter.join()
        while self._idle:
            self._idle.pop().close()
        if self._cgroups is not None:
            self._cgroups.close()

    def close(self) -> None:
        """End the zygote; workers that still run end with it."""
        self.leave()
        if self._zygote is not None:
            self._zygote.close()
        if self._slot is not None:
            self._slot.close()

    def _memory_watch(self, limits: Limits, baseline_mb: float) -> watch.MemoryWatch:
        if self._cgroups is not None and self._cgroups.usable:
            with contextlib.suppress(OSError):
                return self._cgroups.watch(limits)
        return watch.MemoryWatch(baseline_mb)

    def _start_zygote(self) -> None:
        try:
            self._slot = levels.Slot()
            for level in SETTINGS[self._isolation]:
                self._zygote = self._try_level(level)
                if self._zygote is not None:
                    self._cgroups = Cgroups()
                    return
            self._failure = IsolationError("\n".join(self._complaints()))
        except IsolationError as error:
            self._failure = error
        except Exception as error:
            self._failure = IsolationError(f"The zygote could not be started: {type(error).__name__}: {error}")

    def _try_level(self, level: int) -> Zygote | None:
        """A zygote whose trial confinement held, or None and the reason in ``missing``."""
        reason = levels.obstacle(level)
        if reason is None:
            user = self._slot.user if self._slot is not None else None
            plan = levels.plan(level, self._device, self._readable, self._hidden, user)
            zygote = Zygote(replace(plan, torch=self._torch))
            if zygote.missing is None:
                return zygote
            reason = levels.explain(level, zygote.missing)
            zygote.close()
        self.missing[level] = reason
        return None

    def _complaints(self) -> list[str]:
        return [f"Level {n} ({levels.NAMES[n]}) does not hold here: {why}" for n, why in self.missing.items()]

    def _ready_zygote(self) -> Zygote:
        self._starter.join()
        if self._failure is not None:
            raise self._failure
        if self._zygote is None or self._closed:
            raise IsolationError("This launcher is closed.")
        return self._zygote
