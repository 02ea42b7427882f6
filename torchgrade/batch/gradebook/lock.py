"""One writer for each gradebook: a lock file that names its holder.

The lock is the kernel's (it ends with the process that holds it, however that ends); the text inside only
says who that is. SQLite's own locks would let two batches take turns and grade everything twice.
"""

from __future__ import annotations

import os
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from torchgrade.errors import UsageError

if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # past the text, which others must be able to read
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class WriterLock:
    """Held from ``acquire`` to ``release``, or to the end of the process."""

    def __init__(self, gradebook: Path) -> None:
        self.path = gradebook.with_name(gradebook.name + ".lock")
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises UsageError naming the process that has it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
        try:
            _take(descriptor)
        except OSError:
            holder = os.read(descriptor, 500).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise UsageError(
                f"{self.path.with_suffix('')} is being written by {holder or 'another process'}; "
                "wait for it or stop it, then give the same command again"
            ) from None
        os.ftruncate(descriptor, 0)
        now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back. The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> WriterLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
