"""The one folder a worker may write at levels 1 and 2: made before it starts, measured, removed after its end.

(At level 3 it is a tmpfs of the job's own mount namespace, with a size, and vanishes with it.)
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from torchgrade.isolation.confine import watch

MB = 2**20
MOST_FILES = 16384
MOST_DEEP = 64  # folders within folders; a path that is too long for the kernel cannot be looked into
REWRITES = 16  # the disk may be written this many times over: files that are deleted but open are not seen
SHARED = "/dev/shm"


def make(owner: int | None) -> str:
    """A new private folder of user ``owner`` (None: of this user)."""
    folder = tempfile.mkdtemp(prefix="torchgrade-job-")
    if owner is not None:
        os.chown(folder, owner, owner)
    return folder


def enter(folder: str) -> None:
    """Make ``folder`` the worker's home, temporary and current folder."""
    os.environ.update(HOME=folder, TMPDIR=folder, TMP=folder, TEMP=folder)
    tempfile.tempdir = None
    os.chdir(folder)


def remove(folder: str) -> None:
    """Remove it, however deep it is and whatever the submission did to its modes; symlinks are not followed.

    A folder inside is moved to the top before it is emptied, so that no path and no stack grows with the depth.
    """
    with contextlib.suppress(OSError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            names = itertools.count()
            waiting = _emptied(top, top, names)
            while waiting:
                name = waiting.pop()
                inside = _opened(name, top)
                if inside is not None:
                    waiting += _emptied(inside, top, names)
                    os.close(inside)
                with contextlib.suppress(OSError):
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)
        os.rmdir(folder)


def _emptied(folder: int, top: int, names: Iterator[int]) -> list[str]:
    """Delete the files in ``folder`` and move its folders into ``top``; their new names there."""
    moved = []
    with os.scandir(folder) as entries:
        listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in listed:
        with contextlib.suppress(OSError):
            if is_folder:
                inside = _opened(name, folder)  # a folder that may not be written cannot be moved
                if inside is not None:
                    os.close(inside)
                new = f"torchgrade-{os.getpid()}-{next(names)}"
                os.rename(name, new, src_dir_fd=folder, dst_dir_fd=top)
                moved.append(new)
            else:
                os.unlink(name, dir_fd=folder)
    return moved


def _opened(name: str, parent: int) -> int | None:
    """A descriptor of the folder ``name`` in ``parent``, with all rights of its owner."""
    with contextlib.suppress(OSError):
        os.chmod(name, 0o700, dir_fd=parent)  # not a link: the entry was a folder, and its job has ended
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    return None


class Cleaner:
    """Measures a job's files while it runs, and removes them when it has ended. Runs in the supervisor."""

    def __init__(self, folder: str, owner: int | None, size_mb: int) -> None:
        self.folder = folder
        self.owner = os.getuid() if owner is None else owner
        self.exclusive = owner is not None  # nobody else has this user
        self.size = size_mb * MB
        self.before = _shared_files(self.owner)
        self.written = watch.written_bytes(os.getpid())  # by earlier jobs of this supervisor

    def overfull(self) -> bool:
        """Whether the job holds, or has written, more than it may."""
        total = files = 0
        waiting = [(self.folder, 0)]
        while waiting:
            folder, depth = waiting.pop()
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    files += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append((entry.path, depth + 1))
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if total > self.size or files > MOST_FILES or depth > MOST_DEEP:
                        return True
        return watch.written_bytes(os.getpid()) - self.written > REWRITES * self.size

    def remove(self) -> None:
        """The folder, and the shared memory that the job left behind."""
        remove(self.folder)
        left = _shared_files(self.owner) - self.before
        for path in left if self.exclusive else left - _in_use(left):
            with contextlib.suppress(OSError):
                os.unlink(path)


def _shared_files(owner: int) -> set[str]:
    """Files of ``owner`` in shared memory."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(SHARED):
            info = entry.stat(follow_symlinks=False)
            if info.st_uid == owner and stat.S_ISREG(info.st_mode):
                found.add(entry.path)
    return found


def _in_use(paths: set[str]) -> set[str]:
    """Those that a living process has mapped or open: they are another program's."""
    used: set[str] = set()
    if not paths:
        return used
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            text = (process / "maps").read_text(errors="replace")
            used |= {path for path in paths if path in text}
        with contextlib.suppress(OSError):
            used |= paths & {os.readlink(entry) for entry in (process / "fd").iterdir()}
    return used
