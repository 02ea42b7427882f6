"""A control group for each job, where one may be made: the only hard bound on the memory of a whole job.

Version 2 and version 1 are tried in this process's own group, in its parent and at the root; what works is used. A
group that a job has left empty takes the next job: making and removing one occupies the kernel for a millisecond. It is
named after the grader's pid, so that one left by a killed grader is found and removed by the next.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torchgrade.isolation.confine import watch
from torchgrade.isolation.wire.limits import Limits

MB = 2**20
SLACK_MB = 64  # the kernel's own memory for the job
LEFT_MB = SLACK_MB // 8  # what may still count of an ended job, out of the next one's slack; seen: under 1
PREFIX = "torchgrade-"
_numbers = itertools.count()


@dataclass(frozen=True)
class Version:
    """File names of one version of control groups."""

    limit: str
    swap: tuple[str, str]  # file and what to write, {} for the limit
    charged: str  # bytes of everything that counts against the limit
    statistics: tuple[str, ...]  # fields of memory.stat that are the job's own
    kills: str  # file with a line "oom_kill N"


V2 = Version("memory.max", ("memory.swap.max", "0"), "memory.current", ("anon", "shmem"), "memory.events")
V1 = Version(
    "memory.limit_in_bytes",
    ("memory.memsw.limit_in_bytes", "{}"),
    "memory.usage_in_bytes",
    ("total_rss", "total_shmem"),
    "memory.oom_control",
)


class Group:
    """One control group, for one job after another."""

    def __init__(self, folder: Path, version: Version) -> None:
        self.folder = folder
        self.version = version
        self._limit_mb = 0  # none yet

    def limit(self, mb: int) -> None:
        """Bound what its processes hold together."""
        if mb == self._limit_mb:
            return
        size = str(mb * MB)
        files = [(self.version.limit, size), (self.version.swap[0], self.version.swap[1].format(size))]
        if 0 < self._limit_mb < mb:
            files.reverse()  # version 1: memory may at no time be more than memory with swap
        for name, text in files:
            try:
                (self.folder / name).write_text(text)
            except OSError:
                if name == self.version.limit:
                    raise  # else: no accounting of swap, or no swap
        self._limit_mb = mb

    def kills(self) -> int:
        """How often the kernel has ended a process of it for its memory, in all its jobs."""
        return _lines(self.folder / self.version.kills).get("oom_kill", 0)

    def is_clean(self) -> bool:
        """Whether no process is in it, and next to nothing of the last job counts against the next one."""
        with contextlib.suppress(OSError, ValueError):
            if not (self.folder / "cgroup.procs").read_text():
                return int((self.folder / self.version.charged).read_text()) <= LEFT_MB * MB
        return False

    def remove(self) -> None:
        for _ in range(50):
            with contextlib.suppress(FileNotFoundError):
                try:
                    self.folder.rmdir()
                except OSError:
                    time.sleep(0.01)  # its last process is still being taken apart
                    continue
            return


class CgroupWatch(watch.MemoryWatch):
    """Bounds and measures one job in a group, and then gives the group back."""

    def __init__(self, group: Group, limit_mb: int, give_back: Callable[[Group], None]) -> None:
        super().__init__()
        group.limit(limit_mb)
        self._group = group
        self._kills = group.kills()  # of the jobs before this one
        self._exceeded = False
        self._give_back = give_back
        self._open = True

    def attach(self, first: int) -> None:
        (self._group.folder / "cgroup.procs").write_text(str(first))

    def used_mb(self, first: int) -> float:
        fields = _lines(self._group.folder / "memory.stat")
        return sum(fields.get(name, 0) for name in self._group.version.statistics) / MB

    def exceeded(self) -> bool:
        if self._open:
            self._exceeded = self._group.kills() > self._kills
        return self._exceeded

    def close(self) -> None:
        if self._open:
            self.exceeded()
            self._open = False
            self._give_back(self._group)


class Cgroups:
    """Makes groups under the first folder where that works."""

    def __init__(self, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> None:
        self._base: tuple[Path, Version] | None = None
        self._waiting: list[Group] = []
        self._closed = False
        for folder, version in _candidates(root, own):
            _remove_stale(folder)
            with contextlib.suppress(OSError):
                self._waiting.append(self._make(folder, version))
                self._base = folder, version
                return

    @property
    def usable(self) -> bool:
        return self._base is not None

    def watch(self, limits: Limits) -> CgroupWatch:
        """A group for one job, with nothing in it; OSError when it cannot be had."""
        if self._base is None:
            raise OSError("no control group may be made here")
        try:
            group = self._waiting.pop()
        except IndexError:
            group = self._make(*self._base)
        try:
            return CgroupWatch(group, _bound(limits), self._give_back)
        except OSError:
            group.remove()
            raise

    def inherit(self) -> None:
        """In a fork of the process that made it: leave that process its groups."""
        self._waiting = []

    def close(self) -> None:
        """Remove the groups that wait for a job, and from now on each that is given back."""
        self._closed = True
        while self._waiting:
            self._waiting.pop().remove()

    def _give_back(self, group: Group) -> None:
        if not self._closed and group.is_clean():
            self._waiting.append(group)
        else:
            group.remove()

    def _make(self, folder: Path, version: Version) -> Group:
        group = Group(folder / f"{PREFIX}{os.getpid()}-{next(_numbers)}", version)
        group.folder.mkdir()
        try:
            if version is V2 and not (group.folder / V2.limit).exists():
                (folder / "cgroup.subtree_control").write_text("+memory")
            if not (group.folder / version.limit).exists():
                raise OSError("no memory controller")
            group.limit(_bound(Limits()))
            return group
        except OSError:
            group.folder.rmdir()
            raise


def _bound(limits: Limits) -> int:
    return limits.memory_mb + limits.file_mb + SLACK_MB


def _candidates(root: Path, own: Path) -> Iterator[tuple[Path, Version]]:
    """Folders to try: own group, its parent, the root; version 2 first."""
    paths: dict[str, str] = {}
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            paths.update({name: path.strip("/") for name in controllers.split(",")})
    for name, folder, version in (("", root, V2), ("memory", root / "memory", V1)):
        if name in paths and folder.is_dir():
            group = folder / paths[name]
            yield from ((f, version) for f in dict.fromkeys((group, group.parent, folder)) if f.is_relative_to(folder))


def _remove_stale(folder: Path) -> None:
    """Groups of graders that are gone."""
    for group in folder.glob(f"{PREFIX}*"):
        pid = group.name[len(PREFIX) :].partition("-")[0]
        if not Path(f"/proc/{pid}").exists():
            with contextlib.suppress(OSError):
                group.rmdir()


def _lines(path: Path) -> dict[str, int]:
    """A file of `name value` lines; empty when it cannot be read."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if value.isdigit():
                found[name] = int(value)
    return found
