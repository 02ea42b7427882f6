"""Waiting with ``select`` for a child to end."""

from __future__ import annotations

import contextlib
import signal
import socket


class ChildSignal:
    """``end`` can be read once a child of this process has ended, until ``drain``. One for each process."""

    def __init__(self) -> None:
        self.end, self._woken = socket.socketpair()
        self.end.setblocking(False)
        self._woken.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a signal that is ignored wakes nobody
        signal.set_wakeup_fd(self._woken.fileno())

    def drain(self) -> None:
        """Take note; the caller asks next which children have ended."""
        with contextlib.suppress(BlockingIOError):
            while self.end.recv(4096):
                pass

    def close(self) -> None:
        """In a fork: leave the parent's signal alone."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.end.close()
        self._woken.close()
