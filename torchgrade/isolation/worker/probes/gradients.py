"""The parameters of a module and their gradients, by name: read, replaced, cleared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from torchgrade.isolation.worker.probes.modules import need_module
from torchgrade.isolation.worker.registry import probe


@probe
def parameter_values(module: Any) -> dict[str, torch.Tensor]:
    """A copy of each registered parameter that wants a gradient."""
    named = nn.Module.named_parameters(need_module(module))
    return {name: p.detach().clone() for name, p in named if p.requires_grad}


@probe
def set_parameters(module: Any, values: Mapping[str, torch.Tensor]) -> None:
    """Write the values into the parameters that have these names, in place."""
    parameters = dict(nn.Module.named_parameters(need_module(module)))
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)


@probe
def calls(function: Any, arguments: Sequence[Sequence[Any]], names: Sequence[str] = ()) -> list[Any]:
    """``function(*args)`` for each of ``arguments``, in one exchange.

    With ``names`` the function is a module, and the last of each ``args`` are used in place of its parameters that
    have these names; it keeps its own.
    """
    if not names:
        return [function(*args) for args in arguments]
    module, inputs = need_module(function), len(arguments[0]) - len(names)
    values = [dict(zip(names, args[inputs:], strict=True)) for args in arguments]
    return [functional_call(module, own, tuple(args[:inputs])) for own, args in zip(values, arguments, strict=True)]


@probe
def parameter_gradients(module: Any) -> dict[str, torch.Tensor | None]:
    """A copy of ``.grad`` of each registered parameter that wants one; None where there is none yet."""
    named = nn.Module.named_parameters(need_module(module))
    return {name: None if p.grad is None else p.grad.detach().clone() for name, p in named if p.requires_grad}


@probe
def gradient_flow_problems(module: Any) -> dict[str, str]:
    """For each registered parameter that wants a gradient: "none", "not finite", "zeros", or "" where one arrived."""
    named = nn.Module.named_parameters(need_module(module))
    return {name: flow_problem(p.grad) for name, p in named if p.requires_grad}


def flow_problem(grad: torch.Tensor | None) -> str:
    """What is wrong with a gradient that should have arrived: "none", "not finite", "zeros" or nothing."""
    if grad is None:
        return "none"
    if not bool(grad.isfinite().all()):
        return "not finite"
    return "" if bool(grad.count_nonzero()) else "zeros"


@probe
def clear_gradients(module: Any) -> None:
    """Set ``.grad`` of every registered parameter to None."""
    for _, parameter in nn.Module.named_parameters(need_module(module)):
        parameter.grad = None
