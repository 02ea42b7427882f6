"""Calls whose arguments are looked at again afterwards."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from torchgrade.isolation.worker.registry import probe


@probe
def call_by_reference(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """What ``function`` returns, and its arguments as they are after the call, in one exchange.

    Of a module a copy in eval mode is called as well, where no gradients are recorded: nothing stops it there from
    working in place.
    """
    result = function(*args, **kwargs)
    if isinstance(function, nn.Module):
        with contextlib.suppress(Exception), torch.no_grad():  # not every module can be copied
            copy.deepcopy(function).eval()(*args, **kwargs)
    return [result, args, kwargs]
