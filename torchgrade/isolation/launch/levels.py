"""Which level holds on this machine, and what would have to be done for a better one."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torchgrade.isolation.confine import landlock, mounts, scratch, syscalls
from torchgrade.isolation.confine.libc import LINUX
from torchgrade.isolation.confine.plan import Plan, search_path

FIRST_USER, USERS = 61184, 4336  # a range that no distribution gives to people or programs
NAMES = {3: "strict", 2: "standard", 1: "process"}

NOT_LINUX = "confinement needs Linux; use a Linux machine, WSL 2 or a container"
NO_BUBBLEWRAP = "bubblewrap is not installed: apt install bubblewrap (Debian, Ubuntu), dnf install bubblewrap (Fedora)"
NO_NAMESPACES = (
    "user namespaces are refused here. In a container: start it with a seccomp profile that allows unshare and mount; "
    "on Ubuntu: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0; "
    "on others: sysctl -w user.max_user_namespaces=10000"
)
NO_LANDLOCK = "Landlock 3 is missing: Linux 6.2 or newer, with `landlock` in the boot parameter lsm="
TEMPORARY_SHARED = "the folder for temporary files lies in /dev/shm, where jobs see each other's: set TMPDIR to another"
NO_TABLE = "there is no table of system calls for this processor (x86-64 and aarch64 have one)"


def plan(level: int, device: str, readable: Sequence[Path], hidden: Sequence[Path], user: int | None) -> Plan:
    """The plan of ``level`` on this machine. IsolationError when it would show something hidden."""
    rules = mounts.visible(device, readable)
    if level > 1:
        mounts.refuse_hidden(rules, hidden)
    return Plan(level=level, user=user, device=device, search=search_path(), rules=rules)


def obstacle(level: int) -> str | None:
    """What is known to be missing for ``level`` before anything is tried, with the repair."""
    if level == 1:
        return None
    if not LINUX:
        return NOT_LINUX
    if syscalls.machine() is None:
        return NO_TABLE
    if landlock.version() < landlock.LEAST:
        return NO_LANDLOCK
    if level == 3 and shutil.which("bwrap") is None:
        return NO_BUBBLEWRAP
    if level == 2 and Path(tempfile.gettempdir()).resolve().is_relative_to(scratch.SHARED):
        return TEMPORARY_SHARED
    return None


def explain(level: int, failure: str) -> str:
    """The failure of a trial of ``level``, with the likely repair."""
    refused = any(word in failure for word in ("bwrap:", "(unshare)", "(mount)", "uid_map", "Permission denied"))
    return f"{failure.strip()}. {NO_NAMESPACES}" if level == 3 and refused else failure.strip()


class Slot:
    """A user id for the jobs of one launcher, where the grader is root: two graders never share one.

    Taken by binding an abstract socket, which the kernel gives back whatever happens to this process.
    """

    def __init__(self) -> None:
        self.user: int | None = None
        self._claim: socket.socket | None = None
        if not LINUX or os.getuid() != 0:
            return
        for number in range(USERS):
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind(f"\0torchgrade-slot-{number}")
            except OSError:
                claim.close()
                continue
            self.user, self._claim = FIRST_USER + number, claim
            return

    def close(self) -> None:
        if self._claim is not None:
            self._claim.close()
