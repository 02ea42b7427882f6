"""Graders that are forked instead of started: torch is imported once for all of them, and one zygote serves all.

    command ══control══▶ nursery ─fork─▶ grader ◀══jobs, events══▶ command

This is the command's end; ``grading/__main__.py`` is the other. On the control socket, JSON lines to the nursery:

    {"fork": N, "isolation": ..., "device": ...} + [input, output]    a grader by the number N
    {"kill": N}

The nursery reports how a grader ended as the last event on that grader's output. It ends when the socket closes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from torchgrade.environment import inherited, search_path

CAN_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")


# Not -m with PYTHONPATH: a file in the folder of the engine must hide no module of Python's.
BOOT = """
import sys
del sys.path[0]
import json
sys.path.insert(0, sys.argv[1])
import torchgrade
sys.path[:] = json.loads(sys.argv[2])
from torchgrade.grading.__main__ import main
main(*sys.argv[3:])
"""
ENGINE = Path(__file__).parents[2]


def command(root: Path, *more: str) -> list[str]:
    """The command of a grader, or with a descriptor as ``more`` of a nursery: this very engine, found where we are."""
    places = [place for place in search_path() if Path(place).resolve() != ENGINE.resolve()]
    return [sys.executable, "-c", BOOT, str(ENGINE), json.dumps(places), str(root), *more]


class Nursery:
    """Starts with the first ``fork``; a nursery that has ended is replaced by a new one."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def fork(self, isolation: str, device: str) -> tuple[int, int, int]:
        """A new grader: its number, the descriptor of its input, and that of its output."""
        control = self._running()
        (their_input, input), (output, their_output) = os.pipe(), os.pipe()
        number = next(self._numbers)
        message = {"fork": number, "isolation": isolation, "device": device}
        with contextlib.suppress(OSError):  # it has ended: so does the output, which the reader sees
            socket.send_fds(control, [json.dumps(message).encode() + b"\n"], [their_input, their_output])
        os.close(their_input)
        os.close(their_output)
        return number, input, output

    def kill(self, number: int) -> None:
        """End the grader at once."""
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.sendall(json.dumps({"kill": number}).encode() + b"\n")

    def close(self) -> None:
        """End it, its zygotes, and the graders that still run."""
        if self._control is None or self._process is None:
            return
        self._control.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._control = self._process = None

    def _running(self) -> socket.socket:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._control is None:
            self._control, theirs = socket.socketpair()
            self._process = subprocess.Popen(
                command(self._root, str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,
                env=inherited(),
                start_new_session=True,  # Ctrl-C reaches the command only, which then closes us
            )
            theirs.close()
        return self._control
