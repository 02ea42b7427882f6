"""One line about any value, for the ``expected`` and ``got`` of a report. Never a whole tensor."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from torchgrade.i18n import translate as _

LONGEST = 60  # characters of a string or of a short container
FEW = 8  # items of a container that are shown rather than counted


def is_handle(value: Any) -> bool:
    """Whether the value stands for an object that stayed in the worker."""
    return hasattr(type(value), "torchgrade_client")


def fetched(value: Any) -> Any:
    """The tensor or array behind a handle to one; every other value, other handles included, as it is."""
    if not is_handle(value):
        return value
    kind = str(value.type_name).rpartition(".")[2]
    if hasattr(type(value), "shape") or kind in ("Tensor", "Parameter", "Buffer", "ndarray"):
        return value.fetch()
    return value


def describe(value: Any) -> str:
    """A short phrase: the value itself where it is small, its kind and size where it is not."""
    if is_handle(value):
        return _("{kind} object").format(kind=a_or_an(value.type_name))
    if isinstance(value, torch.Tensor):
        return _describe_tensor(value)
    if isinstance(value, np.ndarray):
        name, shape = a_or_an(value.dtype), shape_text(value.shape)
        return _("{dtype} array of shape {shape}").format(dtype=name, shape=shape)
    if value is None or isinstance(value, (torch.dtype, torch.device, bool, np.bool_)):
        return str(value)
    if isinstance(value, numbers.Number):
        return number_text(value)
    if isinstance(value, (str, bytes)):
        return _cut(repr(value[: LONGEST + 1]))
    if isinstance(value, type):
        return _("the class {name}").format(name=value.__name__)
    return _describe_container(value)


def kind_of(value: Any) -> str:
    """The kind of value without the value: "a float32 tensor", "a list", "None"."""
    if is_handle(value):
        return _("{kind} object").format(kind=a_or_an(value.type_name))
    if value is None:
        return "None"
    if isinstance(value, torch.Tensor):
        return _("{dtype} tensor").format(dtype=a_or_an(value.dtype))
    if isinstance(value, np.ndarray):
        return _("{dtype} array").format(dtype=a_or_an(value.dtype))
    return a_or_an(type(value).__name__)


def a_or_an(name: Any) -> str:
    """The name of a dtype or a class with its article: "an int64", "a float32"."""
    text = dtype_text(name)
    phrase = _("an {name}") if text[:1].lower() in "aeio" else _("a {name}")
    return phrase.format(name=text)


def number_text(value: Any, digits: int = 5) -> str:
    """A number with ``digits`` significant digits; integers in full up to 40 digits."""
    if isinstance(value, numbers.Integral):
        whole = int(value)
        if whole.bit_length() > 132:
            return _("an integer of {bits} bits").format(bits=whole.bit_length())
        return str(whole)
    if isinstance(value, numbers.Real):
        text = f"{float(value):.{digits}g}"
        return text if any(letter in text for letter in ".en") else f"{text}.0"
    if isinstance(value, numbers.Complex):
        return f"{complex(value):.{digits}g}"
    return _cut(str(value))


def number_pair(one: Any, other: Any) -> tuple[str, str]:
    """Both numbers with as many digits as it takes to see that they differ."""
    first, second = number_text(one), number_text(other)
    for digits in (7, 9, 12, 17):
        if first != second:
            break
        first, second = number_text(one, digits), number_text(other, digits)
    return first, second


def shape_text(shape: Any) -> str:
    """A shape as ``[2, 3]``; a size that may be anything is ``*``."""
    return "[" + ", ".join("*" if size is None else str(size) for size in shape) + "]"


def dtype_text(dtype: Any) -> str:
    """``float32`` for ``torch.float32`` and for numpy's."""
    return str(dtype).removeprefix("torch.")


def call_text(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A call as it would be written, a tensor by its dtype and shape: ``conv2d(float32 [1, 2, 5, 5], stride=2)``."""
    parts = [_argument(value) for value in args] + [f"{key}={_argument(value)}" for key, value in kwargs.items()]
    return f"{name}({', '.join(parts)})"


def _argument(value: Any) -> str:
    if isinstance(value, (torch.Tensor, np.ndarray)) and not is_handle(value):
        return f"{dtype_text(value.dtype)} {shape_text(value.shape)}"
    return describe(value)


def _describe_tensor(value: torch.Tensor) -> str:
    readable = value.numel() == 1 and value.device.type != "meta" and value.layout is torch.strided
    if value.ndim == 0 and readable and not value.is_quantized:
        text = number_text(value.detach().item())
        return _("{dtype} tensor holding {value}").format(dtype=a_or_an(value.dtype), value=text)
    dtype, shape = a_or_an(value.dtype), shape_text(value.shape)
    return _("{dtype} tensor of shape {shape}").format(dtype=dtype, shape=shape)


def _describe_container(value: Any) -> str:
    kind = kind_of(value)
    if in_full(value):
        return repr(value)
    if isinstance(value, (list, tuple, Mapping, set, frozenset)):
        return _("{kind} of length {count}").format(kind=kind, count=len(value))
    return _("{kind} object").format(kind=kind)


def in_full(value: Any) -> bool:
    """Whether ``describe`` shows a container whole: few plain items, and a short text."""
    if type(value) not in (list, tuple, dict, set) or len(value) > FEW:
        return False
    items = [*value.keys(), *value.values()] if isinstance(value, dict) else list(value)
    plain = all(item is None or isinstance(item, (bool, int, float, str, torch.dtype)) for item in items)
    return plain and len(repr(value)) <= LONGEST


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
