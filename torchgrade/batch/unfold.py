"""Opening what a student sent without touching it: archives and notebooks go to a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from torchgrade.errors import TorchGradeError

_HEADER = 8 << 20


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
    """A running opener; start it once, ask it often, close it."""

    def __init__(self, start: str = "from torchgrade.isolation.unpacker import main; main()") -> None:
        package = str(Path(__file__).parents[2])
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
        stdin, stdout = self._ends()
        try:
            stdin.write(json.dumps({"kind": kind, "size": len(data)}).encode() + b"\n")
            stdin.write(data)
            stdin.flush()
        except BrokenPipeError:
            raise TorchGradeError("the process that opens archives has ended") from None
        line = stdout.readline(_HEADER)
        if not line.endswith(b"\n"):
            raise TorchGradeError("the process that opens archives has ended")
        header: dict[str, Any] = json.loads(line)
        files = {str(name): stdout.read(int(size)) for name, size in header.get("files", [])}
        refused = tuple((str(name), str(why)) for name, why in header.get("refused", []))
        places = (tuple(int(n) for n in header.get(key, ())) for key in ("starts", "cells"))
        return Unfolded(files, refused, str(header.get("error", "")), *places)

    def close(self) -> None:
        for end in self._ends():
            end.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ends(self) -> tuple[IO[bytes], IO[bytes]]:
        ends = self._process.stdin, self._process.stdout
        assert ends[0] is not None
        assert ends[1] is not None
        return ends[0], ends[1]

    def __enter__(self) -> Unfolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
