"""A command on a real pseudo-terminal, whose screen can be read."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte
from support import ROOT


class Terminal:
    """``python grade.py …`` in ``cwd``, on a terminal of so many rows and columns."""

    def __init__(self, *arguments: str, cwd: Path, rows: int = 24, columns: int = 80, **environment: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = pexpect.spawn(
            sys.executable,
            [str(ROOT / "grade.py"), *arguments],
            cwd=str(cwd),
            env={**kept, "TERM": "xterm-256color", "HOME": str(cwd), **environment},  # waits for no other grading
            dimensions=(rows, columns),
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a background job of a shell ignores it
        )

    @property
    def text(self) -> str:
        """What the screen shows now."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def read(self, seconds: float) -> bool:
        """Take what comes within ``seconds``; whether the terminal is still open."""
        try:
            data = self.process.read_nonblocking(1 << 16, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def wait_for(self, *words: str, seconds: float = 90.0, without: str = "") -> str:
        """The screen once it shows all of ``words``, and not ``without``."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            text = self.text
            if all(word in text for word in words) and not (without and without in text):
                return text
            if not self.read(0.05):
                break
        raise AssertionError(f"{words} did not come:\n{self.text}")

    def wait_until(self, holds: Callable[[], bool], seconds: float = 30.0) -> None:
        """Read until something holds that no screen shows."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"it did not come to hold:\n{self.text}"
            self.read(0.05)

    def press(self, keys: str) -> None:
        self.process.send(keys)

    def resize(self, rows: int, columns: int) -> None:
        self.screen.resize(rows, columns)
        self.process.setwinsize(rows, columns)

    def ended(self, seconds: float = 30.0) -> int | None:
        """The exit status, or None where a signal ended it."""
        end = time.monotonic() + seconds
        while self.read(0.05) and time.monotonic() < end:
            pass
        self.process.close(force=True)
        status: int | None = self.process.exitstatus
        return status
