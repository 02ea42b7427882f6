"""Frames between the grader and the worker: plain data and raw tensor bytes, nothing executable.

    u32 header length | msgpack header [body, buffers] | inline buffers, one after another

``body`` is made of scalars and of lists whose first item is a tag ("l" list, "t" tuple, "d" dict, "T" tensor,
"A" array, "o" object, "x" other). ``buffers`` describes the raw bytes of tensors and arrays. Buffers from
``SHARED_FROM`` bytes on travel by shared memory: their descriptors were passed beside the frame.

Here stand the words of the protocol and the header; ``encoding`` turns values into frames, ``decoding`` frames into
values.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack
import torch

LENGTH = struct.Struct(">I")
SHARED_FROM = 1 << 20  # bytes; below, a copy through the socket is faster than a mapping

TORCH_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
        *(torch.uint16, torch.uint32, torch.uint64),
    )
}
NUMPY_KINDS = "biufc"


class Violation(Exception):
    """The other side broke the protocol."""


class Unsendable(Exception):
    """A value that cannot travel; the text says which and why."""


@dataclass(frozen=True)
class Caps:
    """What one frame may hold."""

    header: int = 4 << 20  # bytes
    data: int = 1 << 30  # bytes, all buffers together
    nodes: int = 200_000
    depth: int = 32
    text: int = 1 << 20  # characters of one string


CAPS = Caps()


PLAIN = frozenset((type(None), bool, int, float, str, bytes))


def is_key(value: Any) -> bool:
    """Whether a dict or a set may hold this: hashes that a stranger can choose make a dict slow without end.

    Those of texts are salted; those of numbers and of objects here have 64 bits of which few can be made to agree.
    """
    return not isinstance(value, (tuple, frozenset, complex, torch.Tensor)) and (
        -(1 << 63) <= value < 1 << 63 if type(value) is int else type(value).__hash__ is not None
    )


@dataclass
class Frame:
    """An encoded body with its buffers; ``raw`` holds the bytes of each, in the order of ``specs``."""

    body: Any
    specs: list[list[Any]] = field(default_factory=list)
    raw: list[memoryview] = field(default_factory=list)

    @property
    def size(self) -> int:
        return sum(len(view) for view in self.raw)

    def header(self) -> bytes:
        packed: bytes = msgpack.packb([self.body, self.specs])
        return LENGTH.pack(len(packed)) + packed


@dataclass(frozen=True)
class Encoded:
    """A value that was encoded before and is sent again and again; nothing with buffers may stand before it."""

    frame: Frame


@dataclass(frozen=True)
class Each:
    """A list whose items travel each by itself: in place of one that cannot, ``otherwise(why)`` does.

    ``most``: bytes of all of them together.
    """

    items: list[Any]
    otherwise: Callable[[str], Any]
    most: int


@dataclass(frozen=True)
class ObjectSpec:
    """What the grader learns of an object that stays in the worker."""

    id: int
    type_name: str
    bases: tuple[str, ...]  # names of the classes it derives from
    callable: bool
    where: tuple[str, int, str] | None = None  # file, line and name of its definition
    tensor: tuple[str, tuple[int, ...], str, bool, bool] | None = None  # dtype, shape, device, requires_grad, leaf
    own: str | None = None  # the definition of the submission's that it is or comes from


def unpack_header(raw: bytes | bytearray, caps: Caps = CAPS) -> tuple[Any, list[int]]:
    """The body and the sizes of the buffers that follow; all sizes are within ``caps``."""

    left = 2 * caps.nodes  # an empty list is one byte there and sixty-four here

    def refuse(*parts: Any) -> Any:
        raise Violation("a map or an extension type")

    def count(items: list[Any]) -> list[Any]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Violation("too deep or too many parts")
        return items

    try:
        header = msgpack.unpackb(
            raw, ext_hook=refuse, object_hook=refuse, list_hook=count, raw=False, strict_map_key=True, use_list=True
        )
    except Violation:
        raise
    except Exception as error:
        raise Violation(f"not msgpack ({type(error).__name__})") from None
    if type(header) is not list or len(header) != 2 or type(header[1]) is not list or len(header[1]) > 8192:
        raise Violation("header")
    sizes = []
    for spec in header[1]:
        if type(spec) is not list or len(spec) != 2 or type(spec[0]) is not str or type(spec[1]) is not int:
            raise Violation("buffer")
        if not 0 <= spec[1] <= caps.data:
            raise Violation("buffer size")
        sizes.append(spec[1])
    if sum(sizes) > caps.data:
        raise Violation("too much data")
    return header[0], sizes
