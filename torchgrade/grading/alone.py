"""A failure that may be the machine's is tried once more while no other check runs on this machine.

All graders of a user share one file with two locked bytes: a check holds ROOM together with others, a check that must
be alone holds it by itself. Whoever wants ROOM passes the GATE first, so that one who waits to be alone is not starved
by those who come after. The kernel gives the locks back whatever happens to a grader; for one that is suspended in
the middle of a check, nobody waits longer than PATIENCE.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torchgrade.errors import LoadFailed, SubmissionRaised, TimedOut, WorkerDied

GATE, ROOM = 0, 1
PATIENCE = 120.0  # seconds; after that a check runs beside whatever is there
SMELLS = ("can't start new thread", "Resource temporarily unavailable", "Cannot allocate memory", "No space left")


def reruns(error: BaseException | None) -> int:
    """How often a check that ended with ``error`` is tried again: where a machine short of something may be to blame.

    A worker may be killed by chance, and the next one, too; after that the submission kills it.
    """
    fault = error.fault if isinstance(error, LoadFailed) else error
    if isinstance(fault, WorkerDied):
        return 2 if fault.starved else 0
    if isinstance(fault, TimedOut):
        return 1 if fault.starved else 0
    return 1 if isinstance(fault, SubmissionRaised) and any(words in str(fault) for words in SMELLS) else 0


def lock_file(folder: Path | None = None) -> int:
    """A descriptor of the file that this user's graders share, in a folder that nobody else may write.

    Where there is no such folder the file is this grader's own: what cannot be shared safely is not waited for.
    """
    home = Path(os.path.expanduser("~"), ".cache")
    owner = os.getuid() if hasattr(os, "getuid") else None
    places = [os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("XDG_CACHE_HOME"), home]
    for place in [folder] if folder else [Path(place, "torchgrade") for place in places if place]:
        with suppress(OSError):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts = place.lstat()
            if stat.S_ISDIR(facts.st_mode) and (owner is None or (facts.st_uid == owner and not facts.st_mode & 0o022)):
                flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
                return os.open(place / "alone.lock", flags, 0o600)
    with tempfile.TemporaryFile() as own:
        return os.dup(own.fileno())


class Machine:
    """This grader's place among those that run on this machine."""

    def __init__(self, folder: Path | None = None, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._file = lock_file(folder)

    @contextmanager
    def beside_others(self) -> Iterator[None]:
        """While a check runs as usual."""
        with self._room(shared=True):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait for the checks that run to end, and let none begin meanwhile."""
        with self._room(shared=False):
            yield

    @contextmanager
    def _room(self, *, shared: bool) -> Iterator[None]:
        try:
            import fcntl
        except ImportError:  # Windows: one grader at a time is the rule there
            yield
            return
        deadline = time.monotonic() + self.patience
        gate = self._take(fcntl.LOCK_EX, GATE, deadline)
        room = gate and self._take(fcntl.LOCK_SH if shared else fcntl.LOCK_EX, ROOM, deadline)
        if gate:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, GATE)
        try:
            yield
        finally:
            if room:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, ROOM)

    def _take(self, kind: int, place: int, deadline: float) -> bool:
        """Whether the lock was had in time."""
        import fcntl

        while True:
            try:
                fcntl.lockf(self._file, kind | fcntl.LOCK_NB, 1, place)
            except OSError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.02)
            else:
                return True
