"""A worker that runs Python text: the self-test's canaries and the red team use it in place of the real one.

Each request is a length (u32) and a Python text; the answer is a length and JSON: what the text left in
`answer`, or {"raised": "Type: text"}. It is as confined as any other worker.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any


def serve(end: socket.socket) -> None:
    """In the worker: until the other end closes."""
    while (text := receive(end)) is not None:
        scope: dict[str, Any] = {"__name__": "snippet", "end": end}
        try:
            exec(compile(text, "<snippet>", "exec"), scope)
            answer = scope.get("answer")
        except BaseException as error:
            answer = {"raised": f"{type(error).__name__}: {error}"}
        send(end, json.dumps(answer, default=repr).encode())


def ask(end: socket.socket, text: str, seconds: float = 20.0) -> Any:
    """In the grader: run ``text`` in the worker. EOFError when it ended, TimeoutError when it is late."""
    return exchange(end, text.encode(), seconds)


def exchange(end: socket.socket, request: bytes, seconds: float) -> Any:
    """Send a message and return what the JSON in the answer says; errors as of ``ask``."""
    deadline = time.monotonic() + seconds
    end.settimeout(seconds)
    send(end, request)
    answer = receive(end, deadline)
    if answer is None:
        raise EOFError("the worker has ended")
    return json.loads(answer)


def send(end: socket.socket, data: bytes) -> None:
    end.sendall(struct.pack(">I", len(data)) + data)


def receive(end: socket.socket, deadline: float | None = None) -> bytes | None:
    """One message of 16 MB or less, None at its end."""
    head = _exactly(end, 4, deadline)
    size = struct.unpack(">I", head)[0] if head else 0
    return _exactly(end, size, deadline) if head and size <= 2**24 else None


def _exactly(end: socket.socket, size: int, deadline: float | None) -> bytes | None:
    data = b""
    while len(data) < size:
        if deadline is not None:
            end.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            part = end.recv(size - len(data))
        except ConnectionResetError:
            part = b""
        if not part:
            return None
        data += part
    return data
