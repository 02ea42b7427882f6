"""Frames between the grader and the worker: plain data and raw tensor bytes, nothing executable.

    u32 header length | msgpack header [body, buffers] | inline buffers, one after another

``body`` is made of scalars and of lists whose first item is a tag ("l" list, "t" tuple, "d" dict, "T" tensor,
"A" array, "o" object, "x" other). ``buffers`` describes the raw bytes of tensors and arrays. Buffers from
``SHARED_FROM`` bytes on travel by shared memory: their descriptors were passed beside the frame.

The decoder trusts nothing: every length, dtype, shape, depth and count is checked against ``Caps`` before
anything is allocated, and what does not fit raises ``Violation``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
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


USUAL = {torch.float32: "float32", torch.float64: "float64", torch.int64: "int64"}  # sent without a detour
PLAIN = frozenset((type(None), bool, int, float, str, bytes))
AS_THEY_ARE = frozenset((type(None), bool, float))


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
class ObjectSpec:
    """What the grader learns of an object that stays in the worker."""

    id: int
    type_name: str
    bases: tuple[str, ...]  # names of the classes it derives from
    callable: bool
    where: tuple[str, int, str] | None = None  # file, line and name of its definition
    tensor: tuple[str, tuple[int, ...], str, bool, bool] | None = None  # dtype, shape, device, requires_grad, leaf


class Encoder:
    """Turns values into a ``Frame``. ``refer`` describes an object that is not plain data, or raises."""

    def __init__(self, refer: Callable[[Any], list[Any]], caps: Caps = CAPS, keep_strides: bool = False) -> None:
        self.refer = refer
        self.caps = caps
        self.keep_strides = keep_strides
        self.frame = Frame(None)
        self.nodes = 0

    def encode(self, value: Any) -> Frame:
        self.frame.body = self._encode(value, 0)
        return self.frame

    def _encode(self, value: Any, depth: int) -> Any:
        if depth > self.caps.depth:
            raise Unsendable("a value that is nested too deeply or has too many parts")
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return value
        if kind is int:
            return value if -(1 << 63) <= value < 1 << 63 else ["x", "int", _text(hex(value), self.caps)]
        if kind is str:
            return _text(value, self.caps)
        if kind is bytes:
            if len(value) > self.caps.text:
                raise Unsendable(f"a bytes object of {len(value):,} bytes")
            return value
        if isinstance(value, torch.Tensor) and not _stays(value):
            return self._tensor(value)
        if isinstance(value, np.ndarray):
            return self._array(np.asarray(value), "A")
        if isinstance(value, np.generic):
            return self._array(np.asarray(value), "S")
        if isinstance(value, (list, tuple)):
            return ["t" if isinstance(value, tuple) else "l", *self._parts(list(value), depth)]
        if isinstance(value, dict):
            return ["d", *self._parts([part for pair in list(value.items()) for part in pair], depth)]
        other = _encode_other(value)
        return other if other is not None else ["o", *self.refer(value)]

    def _parts(self, items: list[Any], depth: int) -> list[Any]:
        """The encoded items; the plain ones, which are most, without a call for each."""
        self.nodes += len(items)
        if self.nodes > self.caps.nodes:
            raise Unsendable("a value that is nested too deeply or has too many parts")
        return [
            item
            if (kind := type(item)) in AS_THEY_ARE
            or (kind is int and -(1 << 63) <= item < 1 << 63)
            or (kind is str and len(item) < 100 and item.isascii())
            else self._encode(item, depth + 1)
            for item in items
        ]

    def _tensor(self, value: torch.Tensor) -> list[Any]:
        if type(value) is torch.Tensor and value.dtype in USUAL and value.is_cpu and value.is_contiguous():
            self._check_size(value.numel() * value.element_size(), "a tensor")
            if value.layout is torch.strided and not value.is_neg() and value.numel() > 1:
                index = self._add([USUAL[value.dtype]], value.detach().numpy().data)
                return ["T", index, USUAL[value.dtype], list(value.shape), None, "cpu", value.requires_grad]
        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            tensor = value.detach().as_subclass(torch.Tensor)
            name = str(tensor.dtype).removeprefix("torch.")
            if name not in TORCH_DTYPES or tensor.layout is not torch.strided:
                return ["o", *self.refer(value)]
            shape, grad = list(tensor.shape), bool(value.requires_grad)
            if tensor.device.type == "meta":
                return ["T", -1, name, shape, None, "meta", grad]
            strides: list[int] | None = None
            if self.keep_strides and not tensor.is_contiguous() and tensor.numel():
                strides = list(tensor.stride())
                span = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
                tensor = tensor.as_strided((span,), (1,))
            self._check_size(tensor.numel() * tensor.element_size(), "a tensor")
            flat = tensor.resolve_conj().resolve_neg().to("cpu").contiguous().reshape(-1)
            if flat.numel() == 1 and flat.stride(0) != 1:  # an expanded number counts as contiguous
                flat = flat.clone(memory_format=torch.contiguous_format)
            index = self._add([name], flat.view(torch.uint8).numpy().data)
            return ["T", index, name, shape, strides, str(value.device), grad]

    def _array(self, value: np.ndarray[Any, Any], tag: str) -> list[Any]:
        if value.dtype.kind not in NUMPY_KINDS or value.dtype.itemsize > 16:
            return ["o", *self.refer(value)]
        self._check_size(value.size * value.itemsize, "an array")
        strides, offset = None, 0
        if self.keep_strides and value.size and not value.flags.c_contiguous:
            strides = list(value.strides)
            reach = [(n - 1) * step for n, step in zip(value.shape, strides, strict=True)]
            low, high = sum(r for r in reach if r < 0), sum(r for r in reach if r > 0) + value.itemsize
            offset = -low
            corner = value[tuple(slice(-1, None) if r < 0 else slice(0, 1) for r in reach)]
            raw = np.lib.stride_tricks.as_strided(corner.view(np.uint8).reshape(-1), (high - low,), (1,)).copy()
        else:
            raw = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        index = self._add(["bytes"], raw.data)
        return [tag, index, value.dtype.str, list(value.shape), strides, offset, bool(value.flags.writeable)]

    def _check_size(self, size: int, what: str) -> None:
        if size + self.frame.size > self.caps.data:
            raise Unsendable(f"{what} of {size / 1e9:.1f} GB; at most {self.caps.data / 1e9:.1f} GB can be sent")

    def _add(self, spec: list[Any], raw: memoryview) -> int:
        raw = raw.cast("B") if raw.nbytes else memoryview(b"")
        self.frame.specs.append([*spec, raw.nbytes])
        self.frame.raw.append(raw)
        return len(self.frame.specs) - 1


def _stays(tensor: torch.Tensor) -> bool:
    """A parameter keeps its identity: it stays where it is and is described."""
    return isinstance(tensor, torch.nn.Parameter)


def _text(value: str, caps: Caps) -> str:
    if len(value) > caps.text:
        raise Unsendable(f"a string of {len(value):,} characters")
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _encode_other(value: Any) -> list[Any] | None:
    """The tagged form of the remaining plain kinds, or None for an object that stays where it is."""
    if isinstance(value, torch.Size):
        return ["t", *value]
    if isinstance(value, complex):
        return ["x", "complex", [value.real, value.imag]]
    if isinstance(value, torch.dtype):
        return ["x", "dtype", str(value).removeprefix("torch.")]
    if isinstance(value, np.dtype):
        return ["x", "numpy dtype", value.str]
    if isinstance(value, torch.device):
        return ["x", "device", str(value)]
    if isinstance(value, slice):
        parts = [value.start, value.stop, value.step]
        return ["x", "slice", parts] if all(part is None or type(part) is int for part in parts) else None
    if value is Ellipsis:
        return ["x", "ellipsis", None]
    if isinstance(value, bool | int | float | str):  # a subclass of a plain type, such as an enum
        plain = next(kind for kind in (bool, int, float, str) if isinstance(value, kind))
        return ["x", "plain", plain(value)]
    if isinstance(value, (set, frozenset)) and all(type(item) in (int, str, float, bool) for item in value):
        return ["x", "set", sorted(value, key=repr)]
    return None


class Decoder:
    """Turns a received body back into values. ``resolve`` makes something of the description of an object."""

    def __init__(
        self,
        buffers: Sequence[Any],
        resolve: Callable[[list[Any]], Any],
        caps: Caps = CAPS,
        on_tensor: Callable[[torch.Tensor, bool], torch.Tensor] | None = None,
    ) -> None:
        self.buffers = buffers
        self.resolve = resolve
        self.caps = caps
        self.on_tensor = on_tensor
        self.nodes = 0

    def decode(self, body: Any, depth: int = 0) -> Any:
        if depth > self.caps.depth:
            raise Violation("too deep or too many parts")
        if type(body) in PLAIN:
            return body
        if type(body) is not list or not body or type(body[0]) is not str:
            raise Violation("untagged value")
        tag, rest = body[0], body[1:]
        if tag in ("l", "t"):
            items = self._parts(rest, depth)
            return tuple(items) if tag == "t" else items
        if tag == "d":
            return self._dict(rest, depth)
        if tag == "T":
            return self._tensor(rest)
        if tag in ("A", "S"):
            return self._array(rest, scalar=tag == "S")
        if tag == "o":
            return self.resolve(rest)
        if tag == "x" and len(rest) == 2 and type(rest[0]) is str:
            return _decode_other(rest[0], rest[1])
        raise Violation(f"tag {tag[:8]!r}")

    def _parts(self, items: list[Any], depth: int) -> list[Any]:
        """The decoded items; the plain ones, which are most, without a call for each."""
        self.nodes += len(items)
        if self.nodes > self.caps.nodes:
            raise Violation("too deep or too many parts")
        return [item if type(item) in PLAIN else self.decode(item, depth + 1) for item in items]

    def _dict(self, rest: list[Any], depth: int) -> dict[Any, Any]:
        if len(rest) % 2:
            raise Violation("odd dict")
        values = self._parts(rest, depth)
        try:
            return dict(zip(values[::2], values[1::2], strict=True))
        except TypeError:
            raise Violation("unhashable key") from None

    def _buffer(self, index: Any) -> Any:
        if type(index) is not int or not 0 <= index < len(self.buffers):
            raise Violation("buffer index")
        return self.buffers[index]

    def _tensor(self, rest: list[Any]) -> torch.Tensor:
        if len(rest) != 6:
            raise Violation("tensor")
        index, name, shape, strides, device, grad = rest
        if type(name) is not str or name not in TORCH_DTYPES or type(grad) is not bool or type(device) is not str:
            raise Violation("tensor")
        dtype, numel = TORCH_DTYPES[name], _product(shape)
        self._check_extent(numel * dtype.itemsize, strides is not None, index == -1)
        if index == -1:
            tensor = torch.empty(shape, dtype=dtype, device="meta")
        else:
            raw = self._buffer(index)
            count = numel if strides is None else _span(shape, strides)
            if len(raw) != count * dtype.itemsize:
                raise Violation("tensor size")
            tensor = _from_bytes(raw, dtype)
            tensor = tensor.reshape(shape) if strides is None else tensor.as_strided(shape, strides)
            if device != "cpu":
                tensor = tensor.to(_device(device))
        return self.on_tensor(tensor, grad) if self.on_tensor else tensor

    def _check_extent(self, size: int, strided: bool, empty: bool) -> None:
        """A few bytes can pretend to be many: by a stride of 0, or without storage at all."""
        if size > (1 << 62 if empty else self.caps.data) and (strided or empty):
            raise Violation("extent")

    def _array(self, rest: list[Any], scalar: bool) -> Any:
        if len(rest) != 6 or type(rest[1]) is not str or len(rest[1]) > 8:
            raise Violation("array")
        index, name, shape, strides, offset, writeable = rest
        if name[:1] not in "<>|=" or name[1:2] not in NUMPY_KINDS or not name[2:].isdigit():
            raise Violation("array dtype")
        try:
            dtype = np.dtype(name)
        except TypeError:
            raise Violation("array dtype") from None
        raw, numel = self._buffer(index), _product(shape)
        self._check_extent(numel * dtype.itemsize, strides is not None, False)
        if dtype.kind == "b" and len(raw) and int(np.frombuffer(raw, np.uint8).max()) > 1:
            raise Violation("bool byte")
        if strides is None:
            if len(raw) != numel * dtype.itemsize:
                raise Violation("array size")
            array = np.frombuffer(raw, dtype=dtype).reshape(shape)
        else:
            try:
                array = np.ndarray(shape, dtype, buffer=raw, offset=offset, strides=strides)
            except (TypeError, ValueError, OverflowError):
                raise Violation("array strides") from None
        if scalar:
            return array[()]
        if not writeable or not array.flags.writeable:
            array = array if not writeable else array.copy()
            array.flags.writeable = bool(writeable)
        return array


def _product(shape: Any) -> int:
    if type(shape) is not list or len(shape) > 16:
        raise Violation("shape")
    if any(type(n) is not int or not 0 <= n < 1 << 40 for n in shape):
        raise Violation("shape")
    return math.prod(shape)


def _span(shape: list[int], strides: Any) -> int:
    if type(strides) is not list or len(strides) != len(shape) or any(type(s) is not int or s < 0 for s in strides):
        raise Violation("strides")
    span: int = 1 + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    return span


def _from_bytes(raw: Any, dtype: torch.dtype) -> torch.Tensor:
    if not len(raw):
        return torch.empty(0, dtype=dtype)
    flat = torch.frombuffer(raw, dtype=torch.uint8)
    if dtype is torch.bool and int(flat.max()) > 1:
        raise Violation("bool byte")
    return flat.view(dtype)


def _device(name: str) -> torch.device:
    kind = name.partition(":")[0]
    if kind != "cuda" or not torch.cuda.is_available():
        raise Violation(f"device {name[:16]!r}")
    return torch.device(kind)


def _decode_other(tag: str, value: Any) -> Any:
    try:
        if tag == "int":
            return int(value, 16)
        if tag == "complex":
            return complex(*value)
        if tag == "dtype":
            return TORCH_DTYPES[value]
        if tag == "numpy dtype":
            return np.dtype(value)
        if tag == "device":
            return torch.device(value)
        if tag == "slice" and all(part is None or type(part) is int for part in value):
            return slice(*value)
        if tag == "ellipsis":
            return Ellipsis
        if tag == "plain" and type(value) in (bool, int, float, str):
            return value
        if tag == "set":
            return set(value)
    except Exception:
        raise Violation(f"bad {tag}") from None
    raise Violation(f"tag {tag[:8]!r}")


def unpack_header(raw: bytes | bytearray, caps: Caps = CAPS) -> tuple[Any, list[int]]:
    """The body and the sizes of the buffers that follow; all sizes are within ``caps``."""

    def refuse(code: int, data: bytes) -> Any:
        raise Violation("extension type")

    try:
        header = msgpack.unpackb(raw, ext_hook=refuse, raw=False, strict_map_key=True, use_list=True)
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
