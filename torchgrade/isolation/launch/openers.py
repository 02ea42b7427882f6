"""Starts the confined processes in which archives and notebooks are opened; the zygote only when there is one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torchgrade.handin.limits import SECONDS
from torchgrade.handin.opener import Opener
from torchgrade.isolation.launch.launcher import Launcher, Limits, WorkerProcess, open_launcher

UNPACKER = "torchgrade.isolation.worker.unpacker"
LIMITS = Limits(memory_mb=1024, wall_seconds=SECONDS, file_mb=1, processes=4)


class Openers:
    """Makes an opener for each hand-in; use as a context manager."""

    def __init__(self, isolation: str, hidden: Sequence[Path] = ()) -> None:
        """``hidden``: what no submission may read."""
        self._isolation = isolation
        self._hidden = hidden
        self._launcher: Launcher | None = None

    def __call__(self) -> Opener:
        return Opener(self._start)

    def _start(self) -> WorkerProcess:
        self._launcher = self._launcher or open_launcher(self._isolation, hidden=self._hidden, torch=False)
        return self._launcher.start(LIMITS, preload=[UNPACKER], serve=f"{UNPACKER}:serve")

    def __enter__(self) -> Openers:
        return self

    def __exit__(self, *_: object) -> None:
        if self._launcher is not None:
            self._launcher.close()
