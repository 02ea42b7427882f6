"""Places that a command will write to, tried before it works for minutes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from torchgrade.errors import UsageError
from torchgrade.i18n import translate as _


def try_file(path: Path, option: str) -> None:
    """UsageError when no file can be written at ``path``. One that is there keeps its content."""
    try:
        new = not path.exists()
        with path.open("ab"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise _refused(path, option, error) from None


def try_folder(path: Path, option: str) -> None:
    """UsageError when no file can be written in the folder ``path``, which is made where it is missing."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise _refused(path, option, error) from None


def _refused(path: Path, option: str, error: OSError) -> UsageError:
    words = _("{option}: nothing can be written to {path}: {why}")
    return UsageError(words.format(option=option, path=path, why=error.strerror or error))
