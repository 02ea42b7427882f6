"""Single keys from a terminal, whole lines from anything else, each told from a thread."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

SEQUENCES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1bOA": "up", "\x1bOB": "down", "\x1b[5~": "pageup", "\x1b[6~": "pagedown",
    "\r": "enter", "\n": "enter", " ": "pagedown", "\x1b": "escape", "k": "up", "j": "down",
}  # fmt: skip
_KEY = re.compile(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", re.DOTALL)
WINDOWS = {"H": "up", "P": "down", "I": "pageup", "Q": "pagedown"}  # behind \x00 or \xe0


class Keys:
    """Keys of the terminal on standard input, without Enter and unseen; Ctrl-C and Ctrl-Z stay signals.

    ``pause`` gives the terminal to another program, ``resume`` takes it back.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._thread: threading.Thread | None = None
        self._before: Any = None
        self._going = False
        self._wake: tuple[int, int] | None = None

    def resume(self) -> None:
        self._going = True
        if sys.platform != "win32":
            import termios
            import tty

            self._before = termios.tcgetattr(0)
            tty.setcbreak(0, termios.TCSADRAIN)
            self._wake = os.pipe()
        self._thread = threading.Thread(target=self._read, name="keys", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        if self._thread is None:
            return
        self._going = False
        if self._wake is not None:
            os.write(self._wake[1], b".")
        self._thread.join(2.0)
        self._thread = None
        if sys.platform != "win32" and self._wake is not None:
            import termios

            for end in self._wake:
                os.close(end)
            with contextlib.suppress(termios.error):  # the terminal is closed
                termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def _read(self) -> None:
        if sys.platform == "win32":
            self._read_console()
            return
        assert self._wake is not None
        while self._going:
            ready, _, _ = select.select([0, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            try:
                data = os.read(0, 64).decode("utf-8", "replace")
            except OSError:
                data = ""
            if not data:  # the terminal is closed
                self._tell("q")
                return
            for key in _KEY.findall(data):
                self._tell(SEQUENCES.get(key, key))

    def _read_console(self) -> None:
        import msvcrt

        console: Any = msvcrt
        while self._going:
            if not console.kbhit():
                time.sleep(0.05)
                continue
            key = console.getwch()
            named = WINDOWS.get(console.getwch(), "") if key in "\x00\xe0" else SEQUENCES.get(key, key)
            self._tell(named)


class Lines:
    """The first letter of each line of standard input. Its end ends nothing: a program may have started us so."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell

    def resume(self) -> None:
        threading.Thread(target=self._read, name="lines", daemon=True).start()

    def pause(self) -> None:
        """Nothing was taken from the terminal."""

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in sys.stdin:
                self._tell(line.strip()[:1] or "enter")
