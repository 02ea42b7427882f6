"""Opening what a student sent without touching it: archives and notebooks go to a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from torchgrade.errors import TorchGradeError
from torchgrade.isolation.launch.launcher import WorkerProcess

_HEADER = 8 << 20
_TOTAL = 300 << 20
SECONDS = 60.0  # for one archive, waiting included


@dataclass(frozen=True)
class Unfolded:
    """``files`` maps names to contents; ``refused`` pairs what was not taken with a sentence; ``error`` is
    the whole.

    ``starts`` and ``cells`` lead from a line of a notebook's module back to its code cell.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    refused: tuple[tuple[str, str], ...] = ()
    error: str = ""
    starts: tuple[int, ...] = ()
    cells: tuple[int, ...] = ()


class Unfolder:
    """A running opener with its own limits, for machines that cannot confine; start once, ask often, close."""

    def __init__(self, start: str = "from torchgrade.isolation.worker.unpacker import main; main()") -> None:
        package = str(Path(__file__).parents[3])
        code = f"import sys; sys.path.insert(0, {package!r}); {start}"
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def archive(self, data: bytes) -> Unfolded:
        """The files in a zip or tar archive."""
        return self._ask("archive", data)

    def notebook(self, data: bytes) -> Unfolded:
        """The module that a notebook defines, as its only file."""
        return self._ask("notebook", data)

    def _ask(self, kind: str, data: bytes) -> Unfolded:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            _send(stdin, kind, data)
            return _receive(stdout)
        except (BrokenPipeError, EOFError):
            raise TorchGradeError("the process that opens archives has ended") from None

    def close(self) -> None:
        for end in (self._process.stdin, self._process.stdout):
            if end is not None:
                end.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Unfolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ConfinedUnfolder(Unfolder):
    """A fresh confined worker for each archive and notebook; ``start`` makes one (see ``isolation.launch``)."""

    def __init__(self, start: Callable[[], WorkerProcess]) -> None:
        self._start = start

    def _ask(self, kind: str, data: bytes) -> Unfolded:
        worker = self._start()
        try:
            worker.socket.settimeout(SECONDS)
            with worker.socket.makefile("rwb") as pair:
                stream = cast("IO[bytes]", pair)
                _send(stream, kind, data)
                return _receive(stream)
        except (OSError, EOFError):
            return Unfolded(error="opening it takes too much memory or time")
        finally:
            worker.close()

    def close(self) -> None:
        pass


def _send(stream: IO[bytes], kind: str, data: bytes) -> None:
    stream.write(json.dumps({"kind": kind, "size": len(data)}).encode() + b"\n")
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Unfolded:
    """Read an answer; whoever wrote it has just handled hostile bytes, so nothing in it is believed."""
    line = stream.readline(_HEADER)
    if not line.endswith(b"\n"):
        raise EOFError
    try:
        header: dict[str, Any] = json.loads(line)
        sizes = [(str(name), int(size)) for name, size in header.get("files", [])]
        refused = tuple((str(name), str(why)) for name, why in header.get("refused", []))
        starts, cells = (tuple(int(number) for number in header.get(key, ())) for key in ("starts", "cells"))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise EOFError from None
    if len(starts) != len(cells) or any(size < 0 for _, size in sizes) or sum(size for _, size in sizes) > _TOTAL:
        raise EOFError
    files = {name: stream.read(size) for name, size in sizes}
    if any(len(files[name]) != size for name, size in sizes):
        raise EOFError
    return Unfolded(files, refused, str(header.get("error", "")), starts, cells)
