"""One function, many cases: each called with its own arguments, each with an outcome of its own.

The worker runs this over a submission, the grader over an oracle, so that what is compared was asked in the same way.
A case is ``[arguments, keywords, how]``; see ``How``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from torchgrade.isolation.worker.graphs import tensors

CUT = "cut"  # in place of gradients: no result hangs on the graph


@dataclass(frozen=True)
class How:
    """How a case is called; ``build`` and what follows only matter for a class of modules."""

    names: Sequence[str] = ()  # of the positional arguments
    grad: str = "plain"  # "requires_grad": the tensors do already; "no_grad": the call is made within it
    steps: int = 1  # calls one after the other, of which the last is the case
    build: Mapping[str, Any] | None = None  # what the class is called with
    training: bool = True
    layer_dtype: torch.dtype | None = None  # None: that of the first floating argument
    objects: int = 1  # 2: another object is built and called in between
    beside: Mapping[str, Any] | None = None  # settings with which one more object is built, if they go together
    state: Mapping[str, torch.Tensor] | None = None  # loaded before the first call
    of: str = "output"  # or "state": the state_dict after the last call
    cotangent: torch.Tensor | None = None  # with it the vector-Jacobian products are asked for
    second_order: bool = False
    arguments: bool = False  # the arguments come back as they are after the call


@dataclass
class CaseResult:
    """What came of a case."""

    value: Any
    gradients: Any = None  # by name; ``CUT``; None where they are not asked for
    arguments: Any = None

    def parts(self) -> list[Any]:
        return [self.value, self.gradients, self.arguments]


def run_case(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], how: How) -> CaseResult:
    """Call ``function``, or the module that it builds; whatever it raises passes through."""
    leaves = _leaves([*zip(how.names, args, strict=False), *kwargs.items()])
    with torch.set_grad_enabled(how.grad != "no_grad"):
        if how.build is None:
            call = function
        else:
            call = _module(function, args, how)
            leaves.update(call.named_parameters())
        for step in range(how.steps - 1, 0, -1):
            call(*_smaller(args, step), **_smaller(kwargs, step))
        value = call(*args, **kwargs)
        gradients = None if how.cotangent is None else _gradients(value, leaves, how)
        if how.of == "state":
            value = {name: entry.detach().clone() for name, entry in call.state_dict().items()}  # type: ignore[attr-defined]
    return CaseResult(value, gradients, [list(args), dict(kwargs)] if how.arguments else None)


def _module(build: Callable[..., Any], args: Sequence[Any], how: How) -> nn.Module:
    """A module in the dtype and on the device of the first floating argument."""
    layer = _built(build, args, how)
    if how.objects > 1:
        other = replace(how, state=None if how.state is None else _smaller(how.state, 1))
        with torch.no_grad():
            _built(build, args, other)(*_smaller(args, 1))
    if how.beside is not None:
        with contextlib.suppress(Exception):
            build(**how.beside)
    return layer


def _built(build: Callable[..., Any], args: Sequence[Any], how: How) -> nn.Module:
    layer: nn.Module = build(**(how.build or {}))
    if how.state is not None:
        layer.load_state_dict(dict(how.state))
    first = next((t for t in tensors(list(args)) if t.is_floating_point()), None)
    dtype = how.layer_dtype or (first.dtype if first is not None else torch.float32)
    if first is not None and (dtype is not torch.float32 or first.device.type != "cpu"):
        layer.to(first.device, dtype)
    layer.train(how.training)
    return layer


def _smaller(value: Any, step: int) -> Any:
    """Other arguments of the same kind: what floats is turned round, and halved so many times."""
    if isinstance(value, torch.Tensor):
        turned = value.detach().flip(tuple(range(value.ndim)))
        return turned * 0.5**step if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(_smaller(item, step) for item in value)
    if isinstance(value, Mapping):
        return {key: _smaller(item, step) for key, item in value.items()}
    return value


def _leaves(named: Sequence[tuple[str, Any]]) -> dict[str, torch.Tensor]:
    """The arguments that require a gradient, by name."""
    found = {}
    for name, value in named:
        several = list(tensors(value))
        for number, tensor in enumerate(several):
            if tensor.requires_grad:
                found[name if len(several) == 1 else f"{name}[{number}]"] = tensor
    return found


def _gradients(value: Any, leaves: Mapping[str, torch.Tensor], how: How) -> Any:
    """The vector-Jacobian products with the cotangent, and with ``second_order`` those of the products again."""
    outputs = [out for out in tensors(value) if out.requires_grad and out.is_floating_point()]
    if not outputs:
        return CUT
    found = _products(outputs, leaves, how, again=how.second_order)
    if how.second_order:
        first = [grad for grad in found.values() if grad is not None and grad.requires_grad]
        second = _products(first, leaves, how) if first else dict.fromkeys(leaves)
        found |= {f"{name}, second order": grad for name, grad in second.items()}
    return found


def _products(
    outputs: Sequence[torch.Tensor], leaves: Mapping[str, torch.Tensor], how: How, again: bool = False
) -> dict[str, torch.Tensor | None]:
    head = sum((out * _weights(how, out, number)).sum() for number, out in enumerate(outputs))
    wanted = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}  # a parameter may be frozen
    grads = torch.autograd.grad(head, list(wanted.values()), allow_unused=True, create_graph=again, retain_graph=True)  # type: ignore[arg-type]
    return {**dict.fromkeys(leaves), **dict(zip(wanted, grads, strict=True))}


def _weights(how: How, output: torch.Tensor, number: int) -> torch.Tensor:
    """Other numbers for each output, from the one cotangent of all cases."""
    assert how.cotangent is not None
    flat, count = how.cotangent, output.numel()
    times = -(-(count + 97 * number) // flat.numel())
    flat = flat.repeat(times) if times > 1 else flat
    start = 97 * number
    return flat[start : start + count].reshape(output.shape).to(output.device, output.dtype)
