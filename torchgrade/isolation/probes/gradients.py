"""The parameters of a module and their gradients, by name: read, replaced, cleared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from torchgrade.isolation.probes.modules import need_module
from torchgrade.isolation.registry import probe


@probe
def parameter_values(module: Any) -> dict[str, torch.Tensor]:
    """A copy of each registered parameter."""
    return {name: p.detach().clone() for name, p in nn.Module.named_parameters(need_module(module))}


@probe
def set_parameters(module: Any, values: Mapping[str, torch.Tensor]) -> None:
    """Write the values into the parameters that have these names, in place."""
    parameters = dict(nn.Module.named_parameters(need_module(module)))
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)


@probe
def call_with(module: Any, values: Mapping[str, torch.Tensor], *inputs: Any) -> Any:
    """``module(*inputs)`` with the values in place of the parameters that have these names; it keeps its own."""
    return functional_call(need_module(module), dict(values), inputs)


@probe
def parameter_gradients(module: Any) -> dict[str, torch.Tensor | None]:
    """A copy of ``.grad`` of each registered parameter that wants one; None where there is none yet."""
    named = nn.Module.named_parameters(need_module(module))
    return {name: None if p.grad is None else p.grad.detach().clone() for name, p in named if p.requires_grad}


@probe
def clear_gradients(module: Any) -> None:
    """Set ``.grad`` of every registered parameter to None."""
    for _, parameter in nn.Module.named_parameters(need_module(module)):
        parameter.grad = None
