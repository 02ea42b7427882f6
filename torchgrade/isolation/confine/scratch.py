"""The one folder a worker may write at levels 1 and 2: made before it starts, measured, removed after its end.

(At level 3 it is a tmpfs of the job's own mount namespace, with a size, and vanishes with it.)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from torchgrade.isolation.confine import watch

MB = 2**20
MOST_FILES = 16384
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
    """Remove it, whatever the submission did to its modes; symlinks in it are not followed."""
    with contextlib.suppress(OSError):
        os.rmdir(folder)  # most are empty
        return
    for inside, folders, _, descriptor in os.fwalk(folder):
        del inside
        for name in folders:
            with contextlib.suppress(OSError):  # a link is left as it is
                os.chmod(name, 0o700, dir_fd=descriptor, follow_symlinks=False)
    shutil.rmtree(folder, ignore_errors=True)


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
        for inside, folders, names, descriptor in os.fwalk(self.folder, onerror=None):
            del inside
            files += len(names) + len(folders)
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_blocks * 512
            if total > self.size or files > MOST_FILES:
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
