"""Calls whose arguments are looked at again afterwards."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from torchgrade.isolation.worker.probes.recorders import tensors_in
from torchgrade.isolation.worker.registry import probe


@probe
def call_by_reference(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """What ``function`` returns, and its arguments as they are after the call, in one exchange.

    Of a module that left them as they were a copy in eval mode is called as well, where no gradients are recorded:
    nothing stops it there from working in place.
    """
    if not isinstance(function, nn.Module):
        return [function(*args, **kwargs), args, kwargs]
    before = [tensor.detach().clone() for tensor in tensors_in([args, kwargs])]
    result = function(*args, **kwargs)
    with contextlib.suppress(Exception), torch.no_grad():  # not every module can be copied
        if all(map(_is_same, before, tensors_in([args, kwargs]))):  # a second change could undo the first
            copy.deepcopy(function).eval()(*args, **kwargs)
    return [result, args, kwargs]


def _is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and bool(torch.isclose(one, other, rtol=0, atol=0, equal_nan=True).all())
