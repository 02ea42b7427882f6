"""What a call does besides its result: the passes that a network runs, what moves in it, what is left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchgrade.isolation.worker.probes.modules import need_module
from torchgrade.isolation.worker.registry import probe


@probe
def passes_seen(net: Any, fn: Callable[..., Any], *args: Any) -> list[dict[str, bool]]:
    """Each forward pass of ``net`` while ``fn(*args)`` ran: its mode (``training``), and whether ``gradients`` are on.

    Passes of copies that ``fn`` makes of the network count, too.
    """
    seen: list[dict[str, bool]] = []

    def note(module: nn.Module, _: Any) -> None:
        seen.append({"training": bool(module.training), "gradients": torch.is_grad_enabled()})

    hook = need_module(net).register_forward_pre_hook(note)
    try:
        fn(*args)
    finally:
        hook.remove()
    return seen


@probe
def moved(net: Any, fn: Callable[..., Any], *args: Any) -> list[list[str]]:
    """Names of ``net.state_dict()`` whose values ``fn(*args)`` changes, and of those that it leaves."""
    before = {name: value.clone() for name, value in nn.Module.state_dict(need_module(net)).items()}
    fn(*args)
    after = nn.Module.state_dict(net)
    stays = [name in after and _same(value, after[name]) for name, value in before.items()]
    changed = [name for name, same in zip(before, stays, strict=True) if not same]
    changed += [name for name in after if name not in before]
    return [changed, [name for name, same in zip(before, stays, strict=True) if same]]


@probe
def traces_left(fn: Callable[..., Any], net: Any, *args: Any) -> list[str]:
    """What ``fn(net, *args)`` changed in a network in the middle of a training, even if it raises.

    Among "modes", "hooks", "buffers", "parameters", "requires_grad", "gradients", "random generator" and "gradient
    mode". The network gets random gradients, it and its first layer get two hooks each, and its last child is frozen:
    it is in eval mode, and its parameters want no gradient. ``fn`` is called twice: with the network in training mode,
    and with all in training mode but the network itself and what is frozen.
    """
    net = need_module(net)
    for parameter in net.parameters():
        parameter.grad = torch.rand_like(parameter)
    hooks = []
    for module in (net, next(module for module in net.modules() if not list(module.children()))):
        hooks += [module.register_forward_hook(lambda *_: None), module.register_forward_pre_hook(lambda *_: None)]
    changed: list[str] = []
    for mode in (True, False):
        net.train().training = mode
        for last in list(net.children())[-1:]:
            last.eval().requires_grad_(False)
        before = _state(net)
        with contextlib.suppress(Exception):  # its traces matter, not what it says
            fn(net, *args)
        after = _state(net)
        changed += [name for name in before if not _same(before[name], after[name])]
    for hook in hooks:
        hook.remove()
    return list(dict.fromkeys(changed))


@probe
def torch_modes_left(fn: Callable[..., Any], *args: Any) -> list[str]:
    """Which modes of torch ``fn(*args)`` leaves otherwise: "gradient mode", "default dtype". Both are put back."""
    before = _torch_modes()
    try:
        torch.set_default_dtype(torch.float32)
        with torch.enable_grad():
            started = _torch_modes()
            fn(*args)
            return [name for name, mode in _torch_modes().items() if mode != started[name]]
    finally:
        torch.set_grad_enabled(before["gradient mode"])
        torch.set_default_dtype(before["default dtype"])


def _torch_modes() -> dict[str, Any]:
    return {"gradient mode": torch.is_grad_enabled(), "default dtype": torch.get_default_dtype()}


def _state(net: nn.Module) -> dict[str, Any]:
    return {
        "modes": [module.training for module in net.modules()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in net.modules()],
        "buffers": [buffer.clone() for buffer in net.buffers()],
        "parameters": [p.detach().clone() for p in net.parameters()],
        "requires_grad": [p.requires_grad for p in net.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in net.parameters()],
        "random generator": torch.get_rng_state(),
        "gradient mode": torch.is_grad_enabled(),
    }


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())
    if isinstance(one, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
