"""Values into frames: plain data as it is, tensors and arrays as raw bytes, anything else as a description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from torchgrade.isolation.wire.protocol import (
    CAPS,
    NUMPY_KINDS,
    TORCH_DTYPES,
    Caps,
    Each,
    Encoded,
    Frame,
    Unsendable,
    is_key,
)

USUAL = {torch.float32: "float32", torch.float64: "float64", torch.int64: "int64"}  # sent without a detour
LEAD = 16  # values before a view that starts inside of a larger buffer; so many are sent along
AS_THEY_ARE = frozenset((type(None), bool, float))


class Encoder:
    """Turns values into a ``Frame``. ``refer`` describes an object that is not plain data, or raises."""

    def __init__(self, refer: Callable[[Any], list[Any]], caps: Caps = CAPS, keep_strides: bool = False) -> None:
        self.refer = refer
        self.caps = caps
        self.keep_strides = keep_strides
        self.frame = Frame(None)
        self.nodes = 0
        self.size = 0  # bytes of all buffers

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
        if isinstance(value, (list, tuple, dict)) and callable(value):  # an object that happens to be a list
            return ["o", *self.refer(value)]
        if isinstance(value, (list, tuple)):
            return ["t" if isinstance(value, tuple) else "l", *self._parts(list(value), depth)]
        if isinstance(value, dict):
            strange = next((key for key in list(value) if not is_key(key)), None)
            if strange is not None:
                raise Unsendable(
                    f"a dict with a key of type {type(strange).__name__}; text and whole numbers can be sent"
                )
            return ["d", *self._parts([part for pair in list(value.items()) for part in pair], depth)]
        if isinstance(value, torch.Tensor) and not _stays(value):
            return self._tensor(value)
        if kind is Encoded:
            return self._again(value.frame)
        if kind is Each:
            return ["l", *(self._alone(item, value, depth + 1) for item in value.items)]
        if isinstance(value, np.ndarray):
            return self._array(np.asarray(value), "A")
        if isinstance(value, np.generic):
            return self._array(np.asarray(value), "S")
        other = _encode_other(value)
        return other if other is not None else ["o", *self.refer(value)]

    def _again(self, frame: Frame) -> Any:
        """What was encoded before: its numbers of buffers only hold where no buffer stands before them."""
        if self.frame.specs:
            raise ValueError("a value that was encoded before stands behind other buffers")
        self.frame.specs += frame.specs
        self.frame.raw += frame.raw
        self.size += frame.size
        return frame.body

    def _alone(self, item: Any, each: Each, depth: int) -> Any:
        """The encoded item, or what is to stand in its place; then nothing of it is left in the frame."""
        before, size = len(self.frame.specs), self.size
        try:
            found = self._encode(item, depth)
            if self.size > each.most:
                raise Unsendable(f"more than {each.most / 1e6:.1f} MB in all")
            return found
        except Unsendable as error:
            del self.frame.specs[before:], self.frame.raw[before:]
            self.size = size
            return self._encode(each.otherwise(str(error)), depth)

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
        plain = type(value) is torch.Tensor and value.dtype in USUAL and value.is_cpu and value.is_contiguous()
        if plain and not (self.keep_strides and value.storage_offset()):
            self._check_size(value.numel() * value.element_size(), "a tensor")
            if value.layout is torch.strided and not value.is_neg() and value.numel() > 1:
                index = self._add([USUAL[value.dtype]], value.detach().numpy().data)
                return ["T", index, USUAL[value.dtype], list(value.shape), None, "cpu", value.requires_grad]
        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            name = str(value.dtype).removeprefix("torch.")
            if name not in TORCH_DTYPES or value.layout is not torch.strided:
                return ["o", *self.refer(value)]
            tensor = value.detach().as_subclass(torch.Tensor)
            shape, grad = list(tensor.shape), bool(value.requires_grad)
            if tensor.device.type == "meta":
                return ["T", -1, name, shape, None, "meta", grad]
            strides: list[int] | None = None
            if self.keep_strides and _has_layout(tensor):
                lead = min(int(tensor.storage_offset()), LEAD)
                strides = [lead, *tensor.stride()]
                span = 1 + sum((n - 1) * step for n, step in zip(shape, tensor.stride(), strict=True))
                tensor = tensor.as_strided((lead + span,), (1,), tensor.storage_offset() - lead)
            self._check_size(tensor.numel() * tensor.element_size(), "a tensor")
            flat = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu").copy_(tensor).reshape(-1)
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
        if size + self.size > self.caps.data:
            raise Unsendable(f"{what} of {size / 1e9:.1f} GB; at most {self.caps.data / 1e9:.1f} GB can be sent")

    def _add(self, spec: list[Any], raw: memoryview) -> int:
        raw = raw.cast("B") if raw.nbytes else memoryview(b"")
        self.frame.specs.append([*spec, raw.nbytes])
        self.frame.raw.append(raw)
        self.size += raw.nbytes
        return len(self.frame.specs) - 1


def _has_layout(tensor: torch.Tensor) -> bool:
    return bool(tensor.numel()) and (not tensor.is_contiguous() or tensor.storage_offset() > 0)


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
