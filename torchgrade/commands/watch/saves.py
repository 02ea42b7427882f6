"""Tells when something below a folder is saved, however an editor saves: in place, by renaming, in pieces."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import watch

from torchgrade.i18n import translate as _

QUIET_MS, LONGEST_MS = 50, 400  # a save is told when nothing more comes for so long, and at the latest after so long
POLL_MS = 200
# File systems that do not tell of changes made by another machine: shares, and the folders of a host in its guest.
WITHOUT_EVENTS = ("9p", "cifs", "smb", "nfs", "vboxsf", "prl_fs", "vmhgfs", "fuse.sshfs", "fuse.vmhgfs", "drvfs")


class Saves:
    """Watches from the moment it is made until ``close``; ``tell`` is called from a thread, without an argument."""

    def __init__(self, folder: Path, tell: Callable[[], None]) -> None:
        self.polls = needs_polling(folder)
        self._folder = folder
        self._tell = tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="saves", daemon=True)
        self._thread.start()

    @property
    def note(self) -> str:
        """What the learner should know of it; blank where all is usual."""
        return _("this folder tells nothing of changes: it is looked at five times a second") if self.polls else ""

    def _follow(self) -> None:
        try:
            self._changes(self.polls)
        except OSError:  # no more watches, or none on this file system
            self.polls = True
            self._changes(True)

    def _changes(self, polling: bool) -> None:
        for _changes in watch(
            self._folder,
            debounce=LONGEST_MS,
            step=QUIET_MS,
            stop_event=self._stop,
            rust_timeout=1000,
            raise_interrupt=False,
            force_polling=polling or None,
            poll_delay_ms=POLL_MS,
        ):
            self._tell()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2.0)


def needs_polling(folder: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as lines:
            return file_system(folder, lines).startswith(WITHOUT_EVENTS)
    except OSError:
        return False


def file_system(folder: Path, mounts: Iterable[str]) -> str:
    """The type of the file system that ``folder`` lies on, by the lines of /proc/self/mounts."""
    found = {fields[1].replace("\\040", " "): fields[2] for fields in map(str.split, mounts) if len(fields) > 2}
    places = (str(place) for place in (folder.resolve(), *folder.resolve().parents))
    return next((found[place] for place in places if place in found), "")
