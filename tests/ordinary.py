"""Run a command as an ordinary user, from root: `python tests/ordinary.py COMMAND...`.

Tests use it to show that confinement does not need root. Python, the repository and the data sets may lie under a
folder that is closed to others (say /root): they are shown to the command in a mount namespace of its own.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from torchgrade.isolation.confine import mounts, namespaces, start  # noqa: E402

USER = 60917  # of nobody


def main(command: list[str]) -> None:
    shown = [p for p in mounts.visible("cpu", ()) if not p.startswith("/dev/")]
    mounts.reveal([*shown, str(ROOT), sys.prefix, sys.base_prefix], USER)
    home = tempfile.mkdtemp(prefix="ordinary-")
    os.chown(home, USER, USER)
    pid = os.fork()
    if pid:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        shutil.rmtree(home, ignore_errors=True)
        sys.exit(code if code >= 0 else 128 - code)
    os.environ.update(HOME=home, TMPDIR=home, USER="ordinary", PYTHONDONTWRITEBYTECODE="1")
    start.become(USER)
    namespaces.libc.prctl(namespaces.libc.PR_SET_NO_NEW_PRIVS, 1)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
