"""Frames into values. The decoder trusts nothing: every length, dtype, shape, depth and count is checked against
``Caps`` before anything is allocated, and what does not fit raises ``Violation``.

What a reply costs is bounded by its bytes. A buffer makes one tensor and is looked through once; a reply has no
strides, for with a stride of 0 a few bytes pretend to be many; a dict has keys whose hashes nobody can choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from torchgrade.isolation.wire.protocol import CAPS, NUMPY_KINDS, PLAIN, TORCH_DTYPES, Caps, Violation, is_key

_DTYPE = 8  # characters of an array's dtype at most


class Decoder:
    """Turns a received body back into values. ``resolve`` makes something of the description of an object."""

    def __init__(
        self,
        buffers: Sequence[Any],
        resolve: Callable[[list[Any]], Any],
        caps: Caps = CAPS,
        on_tensor: Callable[[torch.Tensor, bool], torch.Tensor] | None = None,
        strided: bool = False,
    ) -> None:
        """``strided``: the other side is trusted, and tensors may lie in memory as they lie there."""
        self.buffers = list(buffers)
        self.strided = strided
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
        if not all(is_key(key) for key in values[::2]):
            raise Violation("dict key")
        return dict(zip(values[::2], values[1::2], strict=True))

    def _buffer(self, index: Any) -> Any:
        if type(index) is not int or not 0 <= index < len(self.buffers) or self.buffers[index] is None:
            raise Violation("buffer index")
        raw, self.buffers[index] = self.buffers[index], None
        return raw

    def _tensor(self, rest: list[Any]) -> torch.Tensor:
        if len(rest) != 6:
            raise Violation("tensor")
        index, name, shape, strides, device, grad = rest
        if type(name) is not str or name not in TORCH_DTYPES or type(grad) is not bool or type(device) is not str:
            raise Violation("tensor")
        if strides is not None and not self.strided:
            raise Violation("strides")
        dtype, numel = TORCH_DTYPES[name], _product(shape)
        self._check_extent(numel * dtype.itemsize, strides is not None, index == -1)
        if index == -1:
            tensor = torch.empty(shape, dtype=dtype, device="meta")
        else:
            raw = self._buffer(index)
            lead, count = (0, numel) if strides is None else _span(shape, strides)
            if len(raw) != count * dtype.itemsize:
                raise Violation("tensor size")
            tensor = _from_bytes(raw, dtype)
            tensor = tensor.reshape(shape) if strides is None else tensor.as_strided(shape, strides[1:], lead)
            if device != "cpu":
                tensor = tensor.to(_device(device))
        return self.on_tensor(tensor, grad) if self.on_tensor else tensor

    def _check_extent(self, size: int, strided: bool, empty: bool) -> None:
        """A few bytes can pretend to be many: by a stride of 0, or without storage at all."""
        if size > (1 << 62 if empty else self.caps.data) and (strided or empty):
            raise Violation("extent")

    def _array(self, rest: list[Any], scalar: bool) -> Any:
        if len(rest) != 6 or type(rest[1]) is not str or len(rest[1]) > _DTYPE:
            raise Violation("array")
        index, name, shape, strides, offset, writeable = rest
        if strides is not None and not self.strided:
            raise Violation("strides")
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
    if math.prod(max(n, 1) for n in shape) >= 1 << 56:  # a length of 0 hides the others, but strides count them
        raise Violation("shape")
    return math.prod(shape)


def _span(shape: list[int], strides: Any) -> tuple[int, int]:
    """How many values stand before a strided tensor, and how many it spans together with them."""
    if type(strides) is not list or len(strides) != len(shape) + 1 or any(type(s) is not int or s < 0 for s in strides):
        raise Violation("strides")
    lead: int = strides[0]
    return lead, lead + 1 + sum((n - 1) * step for n, step in zip(shape, strides[1:], strict=True))


def _from_bytes(raw: Any, dtype: torch.dtype) -> torch.Tensor:
    if not len(raw):
        return torch.empty(0, dtype=dtype)
    flat = torch.frombuffer(raw, dtype=torch.uint8)
    if dtype is torch.bool and int(flat.max()) > 1:
        raise Violation("bool byte")
    return flat.view(dtype)


def _device(name: str) -> torch.device:
    kind = name.partition(":")[0]
    here = torch.cuda.is_available() if kind == "cuda" else kind == "mps" and torch.backends.mps.is_available()
    if not here:
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
        if tag == "numpy dtype" and len(value) <= _DTYPE:  # a long text names fields by the thousand
            return np.dtype(value)
        if tag == "device":
            return torch.device(value)
        if tag == "slice" and all(part is None or type(part) is int for part in value):
            return slice(*value)
        if tag == "ellipsis":
            return Ellipsis
        if tag == "plain" and type(value) in (bool, int, float, str):
            return value
        if tag == "set" and all(is_key(item) for item in value):
            return set(value)
    except Exception:
        raise Violation(f"bad {tag}") from None
    raise Violation(f"tag {tag[:8]!r}")
