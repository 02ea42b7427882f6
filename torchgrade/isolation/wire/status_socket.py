"""JSON lines between the grader and a supervisor, descriptors beside them."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Iterable
from typing import Any


class StatusSocket:
    """One end. ``descriptors`` are those that came and were not taken; ``ended``: the other end is closed."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.descriptors: list[int] = []
        self.ended = False
        self._buffer = b""

    def send(self, message: dict[str, Any], descriptors: Iterable[int] = ()) -> None:
        """OSError when the other end is closed."""
        socket.send_fds(self.end, [json.dumps(message).encode() + b"\n"], list(descriptors))

    def read(self, deadline: float | None = None) -> dict[str, Any] | None:
        """The next message; None when the other end is closed, or at ``deadline`` (monotonic; None: never)."""
        while b"\n" not in self._buffer:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if self.ended or not select.select([self.end], [], [], left)[0]:
                return None
            try:
                data, descriptors, _, _ = socket.recv_fds(self.end, 4096, 2)
            except OSError:
                data, descriptors = b"", []
            self.descriptors += descriptors
            self._buffer += data
            self.ended = not data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        self.end.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []
