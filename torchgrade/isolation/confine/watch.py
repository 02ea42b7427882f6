"""Watching a job from outside: is it alive, what memory and CPU time has it used.

Nothing here believes the job: numbers come from the kernel, by the host pid of the job's first process and
the tree below it. Orphans in a job are adopted by that first process, so the tree is complete.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MB = 2**20
PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Process:
    """One process, by pidfd where the system has one: a number that was given away again is never hit."""

    def __init__(self, pid: int, descriptor: int | None = None) -> None:
        self.pid = pid
        self._fd = descriptor

    @classmethod
    def from_descriptor(cls, descriptor: int) -> Process:
        """Of a pidfd that another process sent: its pid as this process counts."""
        for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
            if line.startswith("Pid:"):
                return cls(int(line.split()[1]), descriptor)
        raise OSError(f"{descriptor} is not a pidfd")

    def alive(self) -> bool:
        return not self.wait(0.0)

    def wait(self, seconds: float) -> bool:
        """Whether the process ended within ``seconds``."""
        if self._fd is not None:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        deadline = time.monotonic() + seconds
        while _exists(self.pid):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._fd is not None and hasattr(signal, "pidfd_send_signal"):
                signal.pidfd_send_signal(self._fd, signal.SIGKILL)
            else:
                os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = -1


def _exists(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def running(pid: int) -> bool:
    """Whether the process exists and has not ended: one that waits to be reaped does not run."""
    if not sys.platform.startswith("linux"):
        return _exists(pid)
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class MemoryWatch:
    """Memory of a job as the sum over its processes."""

    def __init__(self, baseline_mb: float = 0.0) -> None:
        self._baseline = baseline_mb  # anonymous memory of the zygote, which every fork of it shares

    def attach(self, first: int) -> None:
        """Called with the worker before it reads a submission."""

    def used_mb(self, first: int) -> float:
        """MB of the tree under ``first``: exact (PSS) where the kernel shows it, else an upper estimate."""
        return self._sum([pid for pid in tree(first) if pid != first])

    def own_mb(self, first: int) -> float:
        """The same, ``first`` included."""
        return self._sum(tree(first))

    def _sum(self, processes: list[int]) -> float:
        bound = sum(max(0.0, _anonymous_mb(pid) - self._baseline) for pid in processes)
        exact = [_pss_mb(pid) for pid in processes]
        known = [value for value in exact if value is not None]
        return sum(known) if len(known) == len(exact) else bound

    def exceeded(self) -> bool:
        """Whether the kernel itself ended a process of the job for its memory."""
        return False

    def close(self) -> None:
        """Nothing to give back."""


def tree(first: int) -> list[int]:
    """``first`` and its descendants. Without /proc (macOS) as `ps` knows them."""
    found, waiting = [first], [first]
    known = None if sys.platform.startswith("linux") else _children_by_ps()
    while waiting:
        pid = waiting.pop()
        below = children_of(pid) if known is None else known.get(pid, [])
        found += below
        waiting += below
    return found


def children_of(pid: int) -> list[int]:
    """Children of all threads of ``pid``."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(word) for word in (thread / "children").read_text().split()]
    return found


def _children_by_ps() -> dict[int, list[int]]:
    command = ["ps", "-axo", "pid=,ppid="]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:  # Windows
        return {}
    children: dict[int, list[int]] = {}
    for line in listing.splitlines():
        pid, parent = map(int, line.split())
        children.setdefault(parent, []).append(pid)
    return children


def cpu_seconds(first: int, with_first: bool = False) -> float:
    """CPU seconds of the tree under ``first``, ended children included; of ``first`` only if asked for."""
    total = 0.0
    for pid in tree(first):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            own, children = map(int, fields[11:13]), map(int, fields[13:15])
            total += (sum(children) + (sum(own) if with_first or pid != first else 0)) / TICKS
    return total


def written_bytes(first: int) -> int:
    """Bytes that the tree under ``first`` has sent to disks, ended children included; 0 where it is not told."""
    total = 0
    for pid in tree(first):
        with contextlib.suppress(OSError, ValueError):
            lines = (PROC / str(pid) / "io").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
    return total


def _fields(path: Path, names: tuple[str, ...]) -> Iterator[float]:
    """Values of a /proc file of `Name:  1234 kB` lines, in MB."""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(":")
        if name in names:
            yield int(value.split()[0]) / 1024


def _pss_mb(pid: int) -> float | None:
    try:
        return next(_fields(PROC / str(pid) / "smaps_rollup", ("Pss",)), 0.0)
    except FileNotFoundError:
        return 0.0  # it has just ended
    except OSError as error:
        return 0.0 if isinstance(error, ProcessLookupError) else None


def _anonymous_mb(pid: int) -> float:
    try:
        return sum(_fields(PROC / str(pid) / "status", ("RssAnon", "RssShmem")))
    except OSError:
        return 0.0


def peak_mb(pid: int) -> float:
    """The largest resident memory that the process ever had, what it shares with others included; 0 if unknown."""
    try:
        return next(_fields(PROC / str(pid) / "status", ("VmHWM",)), 0.0)
    except OSError:
        return 0.0


def own_anonymous_mb() -> float:
    """Anonymous memory of this process: the baseline of what is forked from it."""
    return _anonymous_mb(os.getpid())
