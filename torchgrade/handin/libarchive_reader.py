"""Reading 7z and RAR with libarchive, where the extra ``archives`` is installed: for confined processes alone."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

SUFFIXES = (".7z", ".rar")
MARKS = ((b"Rar!\x1a\x07", "RAR"), (b"7z\xbc\xaf\x27\x1c", "7z"))
HERE = importlib.util.find_spec("libarchive") is not None  # its C library may be missing all the same


class Unopened(OSError):
    """libarchive cannot read on; the text is its reason."""


def preload() -> None:
    """Load the library while files can still be opened."""
    if sys.platform.startswith("linux"):  # where finding it by itself takes programs that may not be in the PATH
        os.environ.setdefault("LIBARCHIVE", "libarchive.so.13")
    with contextlib.suppress(Exception):  # without it, opening an archive says so
        import libarchive  # noqa: F401


class Blocks:
    """The content of the member that is read at present."""

    def __init__(self, entry: Any) -> None:
        self._blocks = entry.get_blocks()

    def read(self, size: int) -> bytes:
        """The next bytes, as many as the library gives; none at the end."""
        with _own_errors():
            return next(self._blocks, b"")

    def __enter__(self) -> Blocks:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def entries(stream: BinaryIO) -> Iterator[tuple[bytes, str, Blocks]]:
    """(name, reason to refuse it, content) of each member but folders, one after another, strictly forward."""
    with _own_errors():
        import libarchive
    with _own_errors(), libarchive.memory_reader(stream.read()) as archive:
        for entry in archive:
            if not entry.isdir:
                name = entry.pathname or ""
                raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
                yield raw, _reason(entry), Blocks(entry)


def _reason(entry: Any) -> str:
    if entry.issym or entry.islnk:
        return "it is a link"
    return "" if entry.isreg else "it is a device or a pipe"


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    try:
        yield
    except GeneratorExit:
        raise
    except Exception as error:
        if type(error).__module__.startswith("libarchive") or isinstance(
            error, (ImportError, AttributeError, TypeError)
        ):
            # The library's own text names places in memory where it has no words.
            raise Unopened(str(getattr(error, "msg", error) or "it is damaged")) from None
        raise
