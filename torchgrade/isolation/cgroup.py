"""A control group for each job, where one may be made: the only hard bound on the memory of a whole job.

Version 2 and version 1 are tried in this process's own group, in its parent and at the root; what works is used. A
group is named after the grader's pid, so that one left by a killed grader is found and removed by the next.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torchgrade.isolation import watch
from torchgrade.isolation.job import Limits

MB = 2**20
SLACK_MB = 64  # the kernel's own memory for the job
PREFIX = "torchgrade-"
_numbers = itertools.count()


@dataclass(frozen=True)
class Version:
    """File names of one version of control groups."""

    limit: str
    swap: tuple[str, str]  # file and what to write, {} for the limit
    statistics: tuple[str, ...]  # fields of memory.stat that are the job's own
    kills: str  # file with a line "oom_kill N"


V2 = Version("memory.max", ("memory.swap.max", "0"), ("anon", "shmem"), "memory.events")
V1 = Version(
    "memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", "{}"), ("total_rss", "total_shmem"), "memory.oom_control"
)


class CgroupWatch(watch.MemoryWatch):
    """Bounds and measures one job."""

    kind = "cgroup"

    def __init__(self, folder: Path, version: Version, limit_mb: int) -> None:
        super().__init__()
        self._folder = folder
        self._version = version
        self._killed = False
        size = str(limit_mb * MB)
        (folder / version.limit).write_text(size)
        with contextlib.suppress(OSError):  # no accounting of swap, or no swap
            (folder / version.swap[0]).write_text(version.swap[1].format(size))

    def attach(self, first: int) -> None:
        (self._folder / "cgroup.procs").write_text(str(first))

    def used_mb(self, first: int) -> float:
        fields = _lines(self._folder / "memory.stat")
        return sum(fields.get(name, 0) for name in self._version.statistics) / MB

    def exceeded(self) -> bool:
        self._killed = self._killed or _lines(self._folder / self._version.kills).get("oom_kill", 0) > 0
        return self._killed

    def close(self) -> None:
        self.exceeded()
        for _ in range(50):
            with contextlib.suppress(FileNotFoundError):
                try:
                    self._folder.rmdir()
                except OSError:
                    time.sleep(0.01)  # its last process is still being taken apart
                    continue
            return


class Cgroups:
    """Makes groups under the first folder where that works."""

    def __init__(self, root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> None:
        self._base: tuple[Path, Version] | None = None
        for folder, version in _candidates(root, own):
            _remove_stale(folder)
            with contextlib.suppress(OSError):
                probe = self._make(folder, version, Limits())
                probe.close()
                self._base = folder, version
                return

    @property
    def usable(self) -> bool:
        return self._base is not None

    def watch(self, limits: Limits) -> CgroupWatch:
        """A new group for one job; OSError when it cannot be made."""
        if self._base is None:
            raise OSError("no control group may be made here")
        return self._make(*self._base, limits)

    def _make(self, folder: Path, version: Version, limits: Limits) -> CgroupWatch:
        group = folder / f"{PREFIX}{os.getpid()}-{next(_numbers)}"
        group.mkdir()
        try:
            if version is V2 and not (group / V2.limit).exists():
                (folder / "cgroup.subtree_control").write_text("+memory")
            if not (group / version.limit).exists():
                raise OSError("no memory controller")
            return CgroupWatch(group, version, limits.memory_mb + limits.file_mb + SLACK_MB)
        except OSError:
            group.rmdir()
            raise


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
