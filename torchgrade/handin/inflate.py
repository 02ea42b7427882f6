"""Decompression that cannot be made to take more memory or to give more bytes than allowed."""

from __future__ import annotations

import bz2
import gzip
import lzma
from typing import BinaryIO

from torchgrade.handin.names import Refused

_XZ_MEMORY = 96 << 20  # the largest preset needs 65 MB; a header may ask for 4 GB
_CHUNK = 1 << 16


class Bomb(Refused):
    """Reading on would exhaust the machine."""


def megabytes(size: int) -> str:
    """A size in bytes for a sentence."""
    return f"{size / (1 << 20):g} MB"


class Plain:
    """What a compressed stream contains; an uncompressed one is passed on as it is."""

    @staticmethod
    def of(stream: BinaryIO, magic: bytes) -> BinaryIO | Xz:
        """``magic`` are the first six bytes of the stream."""
        if magic.startswith(b"\x1f\x8b"):
            return gzip.GzipFile(fileobj=stream)  # type: ignore[return-value]
        if magic.startswith(b"BZh"):
            return bz2.BZ2File(stream)  # type: ignore[return-value]
        return Xz(stream) if magic == b"\xfd7zXZ\x00" else stream


class Xz:
    """An xz stream with a bound on the memory that its dictionary takes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._xz = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; fewer are possible, none at the end. A cut-off stream raises EOFError."""
        while not self._xz.eof:
            packed = self._stream.read(_CHUNK) if self._xz.needs_input else b""
            if self._xz.needs_input and not packed:
                raise EOFError("it ends in the middle")
            if plain := self._xz.decompress(packed, size):
                return plain
        return b""


class Metered:
    """A reader that counts. It ends past ``most`` bytes, or past both ``small`` and ``enough`` of them."""

    def __init__(self, stream: BinaryIO | Xz, most: int, small: int, enough: int, ratio: int) -> None:
        self._stream = stream
        self._most, self._small, self._enough, self._ratio = most, small, enough, ratio
        self._read = 0

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end; raises Bomb past the limits."""
        parts: list[bytes] = []
        while size > 0 and (chunk := self._stream.read(min(size, _CHUNK))):
            self._read += len(chunk)
            size -= len(chunk)
            if self._read > self._most:
                raise Bomb(f"the archive unpacks to more than {megabytes(self._most)}")
            if self._read > self._small and self._read > self._enough:
                raise Bomb(f"the archive unpacks to more than {self._ratio} times its size")
            parts.append(chunk)
        return b"".join(parts)
