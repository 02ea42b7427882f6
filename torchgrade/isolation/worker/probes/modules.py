"""What a module holds: parameters, buffers, the shapes of its feature maps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from torchgrade.errors import Mismatch
from torchgrade.isolation.worker.registry import probe


def need_module(value: Any) -> nn.Module:
    """The value, when it is a module. Raises Mismatch: a submission may return anything."""
    if isinstance(value, nn.Module):
        return value
    kind = "None" if value is None else f"{type(value).__name__} object"
    raise Mismatch("a torch.nn.Module", kind)


@probe
def parameter_count(module: Any, trainable: bool | None = None) -> int:
    """Values in the registered parameters, shared ones once; ``trainable`` picks some by requires_grad."""
    named = nn.Module.named_parameters(need_module(module))  # torch's own, whatever the class overrides
    return sum(p.numel() for _, p in named if trainable is None or p.requires_grad is trainable)


@probe
def registered_parameters(module: Any) -> list[dict[str, Any]]:
    """``name``, ``shape`` (list), ``dtype`` ("float32"), ``requires_grad``; in registration order."""
    return [
        {**_facts(name, parameter), "requires_grad": parameter.requires_grad}
        for name, parameter in nn.Module.named_parameters(need_module(module))
    ]


@probe
def buffers(module: Any) -> list[dict[str, Any]]:
    """``name``, ``shape`` (list) and ``dtype`` of each registered buffer, in registration order."""
    return [_facts(name, buffer) for name, buffer in nn.Module.named_buffers(need_module(module))]


def _facts(name: str, tensor: torch.Tensor) -> dict[str, Any]:
    return {"name": name, "shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}


@probe
def feature_maps(module: Any, *inputs: Any) -> list[dict[str, Any]]:
    """One forward pass: ``name``, ``type``, ``shape`` of the output and ``calls`` of each submodule.

    In order of the first call, the module itself under the name "". The shape is that of the first call, None
    when it gave no tensor. Runs without gradients, in the mode the module is in, on the device of its
    parameters ("meta" included); buffers are put back afterwards.
    """
    root = need_module(module)
    rows: dict[str, dict[str, Any]] = {}

    def listen(name: str, child: nn.Module) -> Any:
        def before(_: nn.Module, __: Any) -> None:
            kind = type(child).__name__
            rows.setdefault(name, {"name": name, "type": kind, "shape": None, "calls": 0})["calls"] += 1

        def after(_: nn.Module, __: Any, output: Any) -> None:
            if rows[name]["shape"] is None and isinstance(output, torch.Tensor):
                rows[name]["shape"] = list(output.shape)

        return [child.register_forward_pre_hook(before), child.register_forward_hook(after)]

    hooks = [hook for name, child in root.named_modules() for hook in listen(name, child)]
    try:
        with torch.no_grad(), buffers_kept(root):
            root(*on_device_of(root, inputs))
    finally:
        for hook in hooks:
            hook.remove()
    return list(rows.values())


def on_device_of(module: nn.Module, values: Any) -> list[Any]:
    """The tensors among the values on the device of the module's first parameter."""
    first = next(module.parameters(), None)
    if first is None:
        return list(values)
    return [value.to(first.device) if isinstance(value, torch.Tensor) else value for value in values]


@contextmanager
def buffers_kept(module: nn.Module) -> Iterator[None]:
    """Within this block the module may count batches and move averages; afterwards it has not."""
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                if name in before and buffer.shape == before[name].shape and not buffer.is_meta:
                    buffer.copy_(before[name])
