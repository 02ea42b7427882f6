"""The one folder a worker may write: made before it starts, removed when all its processes are gone."""

from __future__ import annotations

import os
import shutil
import tempfile


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
    shutil.rmtree(folder, onerror=_retry)


def _retry(function: object, path: str, info: object) -> None:
    """A folder without its own permission bits: give them back once and go on."""
    parent = os.path.dirname(path)
    for target in (parent, path):
        if os.path.isdir(target) and not os.path.islink(target):
            os.chmod(target, 0o700)
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        os.unlink(path)
