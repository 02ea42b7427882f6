"""Opening what a student sent without touching it: archives and notebooks go to a confined process.

The bytes of one hand-in share one budget of time; a file that kills its opener costs itself, the others get a
fresh one. See ``isolation/worker/unpacker.py`` for the other end.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, cast

from torchgrade.handin.limits import HANDIN, SECONDS

_HEADER = 8 << 20
COSTLY = "opening it takes too much memory or time"


class Worker(Protocol):
    """A confined process that runs ``torchgrade.isolation.worker.unpacker``."""

    socket: socket.socket

    def close(self) -> None: ...


@dataclass(frozen=True)
class Opened:
    """``files`` maps names to the code found, notebooks as text (``notebooks.slim``).

    ``refused`` pairs what was not taken with a sentence, ``others`` names what is no code, ``error`` is the whole's.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()
    others: tuple[str, ...] = ()
    error: str = ""


class Opener:
    """Opens the files of one hand-in; ``start`` makes a worker, which happens only when there is something to open."""

    def __init__(self, start: Callable[[], Worker], seconds: float = SECONDS) -> None:
        self._start = start
        self._left = seconds
        self._worker: Worker | None = None
        self._stream: IO[bytes] | None = None

    def open(self, name: str, data: bytes) -> Opened:
        """What is in an archive; a notebook is its own only file."""
        started = time.monotonic()
        try:
            stream = self._connected()
            _send(stream, name, data)
            return _receive(stream)
        except (OSError, EOFError):
            self.close()
            return Opened(error=COSTLY)
        finally:
            self._left -= time.monotonic() - started

    def _connected(self) -> IO[bytes]:
        if self._left <= 0:
            raise EOFError
        if self._worker is None or self._stream is None:
            self._worker = self._start()
            self._stream = cast("IO[bytes]", self._worker.socket.makefile("rwb"))
        self._worker.socket.settimeout(self._left)
        return self._stream

    def close(self) -> None:
        worker, self._worker, self._stream = self._worker, None, None
        if worker is not None:
            worker.close()

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _send(stream: IO[bytes], name: str, data: bytes) -> None:
    stream.write(json.dumps({"name": name, "size": len(data)}).encode() + b"\n")
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Opened:
    """Read an answer; whoever wrote it has just handled hostile bytes, so nothing in it is believed."""
    line = stream.readline(_HEADER)
    if not line.endswith(b"\n"):
        raise EOFError
    try:
        header: dict[str, Any] = json.loads(line)
        sizes = [(str(name), int(size)) for name, size in header.get("files", [])]
        refused = tuple((str(name), str(why)) for name, why in header.get("refused", []))
        others = tuple(str(name) for name in header.get("others", []))
        error = str(header.get("error", ""))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise EOFError from None
    if any(size < 0 for _, size in sizes) or sum(size for _, size in sizes) > HANDIN:
        raise EOFError
    files = {name: stream.read(size) for name, size in sizes}
    if any(len(files[name]) != size for name, size in sizes):
        raise EOFError
    return Opened(files, refused, others, error)
