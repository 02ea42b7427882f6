"""One end of the stream between grader and worker.

    u8 kind | u32 length | header | inline buffers        kind PLAIN
    u8 kind | u32 length | header | small buffers         kind SHARED: large buffers lie in a memory file
    u8 kind | u32 size                                    kind WANT: the worker asks for a memory file of that size
    u8 kind | u32 size                                    kind BOARD: beside it a memory file that the worker writes on

Large buffers travel by memory file (``memfd_create``). Only the grader makes one: with a request it passes a
filled file beside the frame; for a reply the worker first says how much it needs. The grader seals the file
before it looks, so that a worker that kept a mapping cannot change what has been checked.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import struct
from collections.abc import Sequence
from typing import Any, Protocol

from torchgrade.isolation.wire.protocol import CAPS, SHARED_FROM, Caps, Frame, Violation, unpack_header

try:
    import fcntl
except ImportError:  # Windows: everything travels through the socket
    fcntl = None  # type: ignore[assignment]

PREFIX = struct.Struct(">BI")
PLAIN, SHARED, WANT, BOARD = 0, 1, 2, 3
NUMBER = struct.Struct(">I")  # what stands on a board
ALIGN = 64
TOGETHER = AHEAD = 1 << 16  # bytes that are worth a copy to save a system call
HAS_MEMORY_FILES = hasattr(os, "memfd_create") and fcntl is not None


class Wait(Protocol):
    """Blocks until the socket can be read (or written); raises when the time is up."""

    def __call__(self, *, write: bool) -> None: ...


class Channel:
    """Sends and receives frames; ``wait`` decides how long. Without it the channel blocks as long as it takes: for
    the worker, whose time the grader keeps."""

    def __init__(
        self, sock: socket.socket, wait: Wait | None = None, caps: Caps = CAPS, makes_files: bool = False
    ) -> None:
        sock.setblocking(wait is None)
        self.sock = sock
        self.wait = wait
        self.caps = caps
        self.makes_files = makes_files
        self.fds: list[int] = []
        self.board: int | None = None  # the descriptor of a memory file; see pin and pinned
        self._ahead = bytearray()  # what has been read and not been asked for yet

    def share_board(self) -> None:
        """The grader's side: from now on the worker can pin a number where it is found after its death."""
        if HAS_MEMORY_FILES and self.board is None:
            self.board = _new_file(NUMBER.size)
            self._send_with(PREFIX.pack(BOARD, NUMBER.size), self.board)

    def pin(self, number: int) -> None:
        if self.board is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self.board, NUMBER.pack(number), 0)

    def pinned(self) -> int | None:
        """Read, not mapped: the worker might make the file shorter."""
        raw = b"" if self.board is None else os.pread(self.board, NUMBER.size, 0)
        return int(NUMBER.unpack(raw)[0]) if len(raw) == NUMBER.size else None

    def close_board(self) -> None:
        if self.board is not None:
            os.close(self.board)
            self.board = None

    def send(self, frame: Frame) -> None:
        header = frame.header()[4:]
        large = [view for view in frame.raw if len(view) >= SHARED_FROM] if HAS_MEMORY_FILES else []
        small = [view for view in frame.raw if not large or len(view) < SHARED_FROM]
        if not large:
            start = PREFIX.pack(PLAIN, len(header)) + header
            if sum(map(len, small)) <= TOGETHER:  # one message wakes the other side once
                start, small = b"".join([start, *small]), []
            self._send_all(start)
        elif self.makes_files:
            fd = _filled_file(large)
            try:
                self._send_with(PREFIX.pack(SHARED, len(header)), fd)
            finally:
                os.close(fd)
            self._send_all(header)
        else:
            self._send_all(PREFIX.pack(WANT, _layout([len(view) for view in large])[1]))
            fd = self._recv_file()
            try:
                _fill(fd, large)
            finally:
                os.close(fd)
            self._send_all(PREFIX.pack(SHARED, len(header)) + header)
        for view in small:
            self._send_all(view)

    def receive(self) -> tuple[Any, list[Any]]:
        """The body of the next frame and its buffers (memoryviews that may be written)."""
        kind, length = PREFIX.unpack(self._recv_exact(PREFIX.size))
        if kind == BOARD and self.fds and not self.makes_files:
            self.board = self.fds.pop(0)
            kind, length = PREFIX.unpack(self._recv_exact(PREFIX.size))
        file: int | None = None
        try:
            if kind == WANT and self.makes_files and HAS_MEMORY_FILES:
                file = self._wanted_file(length)
                self._send_with(b"M", file)
                kind, length = PREFIX.unpack(self._recv_exact(PREFIX.size))
            elif kind == SHARED and self.fds:
                file = self.fds.pop(0)
            if kind not in (PLAIN, SHARED) or (kind == SHARED) != (file is not None):
                raise Violation("frame kind")
            if not 0 < length <= self.caps.header:
                raise Violation("header length")
            body, sizes = unpack_header(self._recv_exact(length), self.caps)
            return body, self._buffers(sizes, file)
        finally:
            if file is not None:
                os.close(file)

    def _buffers(self, sizes: Sequence[int], file: int | None) -> list[Any]:
        large = [size for size in sizes if size >= SHARED_FROM] if file is not None else []
        shared = iter(self._map(file, large) if file is not None else [])
        return [next(shared) if file is not None and size >= SHARED_FROM else self._recv_exact(size) for size in sizes]

    def _map(self, file: int, sizes: Sequence[int]) -> list[memoryview]:
        """Private views of the buffers in ``file``: what is written to them stays on this side."""
        offsets, total = _layout(sizes)
        if os.fstat(file).st_size != total or not total:
            raise Violation("memory file size")
        if self.makes_files:
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
            try:
                fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
            except OSError:
                raise Violation("memory file still mapped") from None
        view = memoryview(mmap.mmap(file, total, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE))
        return [view[start : start + size] for start, size in zip(offsets, sizes, strict=True)]

    def _wanted_file(self, size: int) -> int:
        if not 0 < size <= self.caps.data + ALIGN * 8192:
            raise Violation("memory file size")
        return _new_file(size)

    def _recv_file(self) -> int:
        self._recv_exact(1)
        if not self.fds:
            raise Violation("no memory file")
        return self.fds.pop(0)

    def _send_all(self, data: bytes | memoryview) -> None:
        view, sent = memoryview(data), 0
        while sent < len(view):
            try:
                sent += self.sock.send(view[sent : sent + (1 << 20)])
            except BlockingIOError:
                self._ready(write=True)

    def _send_with(self, data: bytes, fd: int) -> None:
        """Send ``data`` with a descriptor beside its first byte."""
        while True:
            try:
                sent = socket.send_fds(self.sock, [data], [fd])
                break
            except BlockingIOError:
                self._ready(write=True)
        self._send_all(data[sent:])

    def _recv_exact(self, size: int) -> bytearray:
        data = self._ahead[:size]
        del self._ahead[:size]
        got = len(data)
        if got == size:
            return data
        data += bytes(size - got)
        view = memoryview(data)
        while got < size:
            self._ready(write=False)
            try:
                if size - got >= AHEAD:
                    count = self.sock.recv_into(view[got:])
                else:
                    chunk = self._recv_some()
                    count = min(len(chunk), size - got)
                    view[got : got + count] = chunk[:count]
                    self._ahead += chunk[count:]
            except BlockingIOError:  # ready for nothing
                continue
            if not count:
                raise EOFError("the other side closed the connection")
            got += count
        return data

    def _ready(self, *, write: bool) -> None:
        if self.wait is not None:
            self.wait(write=write)

    def _recv_some(self) -> bytes:
        """What is there, up to the next message that carries a descriptor, which only the worker is sent."""
        if self.makes_files:
            return self.sock.recv(AHEAD)
        chunk, fds, _, _ = socket.recv_fds(self.sock, AHEAD, 1)
        self.fds += fds
        return chunk


def _layout(sizes: Sequence[int]) -> tuple[list[int], int]:
    offsets, end = [], 0
    for size in sizes:
        offsets.append(end)
        end += -(-size // ALIGN) * ALIGN
    return offsets, end


def _new_file(size: int) -> int:
    fd = os.memfd_create("torchgrade", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd


def _filled_file(views: Sequence[memoryview]) -> int:
    fd = _new_file(_layout([len(view) for view in views])[1])
    _fill(fd, views)
    return fd


def _fill(fd: int, views: Sequence[memoryview]) -> None:
    """Write rather than map: a mapping faults for every page, which takes twice as long."""
    offsets, _ = _layout([len(view) for view in views])
    for start, view in zip(offsets, views, strict=True):
        done = 0
        with contextlib.suppress(OSError):  # a worker may not write beyond its limit for files
            while done < len(view):
                done += os.pwrite(fd, view[done:], start + done)
        if done < len(view):
            with mmap.mmap(fd, 0) as target:
                target[start + done : start + len(view)] = view[done:]
