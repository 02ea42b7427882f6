"""Whether two tensors or arrays lie in the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from torchgrade.isolation.worker.registry import probe


@probe
def shares_memory(a: Any, b: Any) -> bool:
    """Whether the bytes from first to last of ``a`` and ``b`` overlap.

    At least one has to be a handle (``submission.hold``, or an object of the submission): a value that was
    sent is a copy and shares nothing.
    """
    first, second = _span(a), _span(b)
    if first[0] == first[1] or second[0] == second[1] or first[2] != second[2]:
        return False
    return first[0] < second[1] and second[0] < first[1]


def _span(value: Any) -> tuple[int, int, str]:
    """First address, address behind the last, device."""
    if isinstance(value, torch.Tensor):
        if value.is_meta or value.numel() == 0:
            return 0, 0, str(value.device)
        last = sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True))
        start = value.data_ptr()
        return start, start + (last + 1) * value.element_size(), value.device.type
    if isinstance(value, np.ndarray):
        low, high = _byte_bounds(value)
        return low, high, "cpu"
    raise TypeError(f"shares_memory compares tensors and arrays, not a {type(value).__name__}")


def _byte_bounds(array: np.ndarray[Any, Any]) -> tuple[int, int]:
    if array.size == 0:
        return 0, 0
    start = int(array.__array_interface__["data"][0])
    reach = [(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)]
    low = start + sum(step for step in reach if step < 0)
    return low, start + sum(step for step in reach if step > 0) + array.itemsize
