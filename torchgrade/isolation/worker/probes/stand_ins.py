"""What an operator makes of ``meta`` tensors, found out with stand-ins on the CPU.

Many meta kernels of torch are written in Python: an addition takes 0.7 ms, and the first of them imports
torch._dynamo, which takes a fresh process two seconds. The same operator on CPU tensors of ones has an output of the
same shape, strides and dtype in microseconds. What a stand-in cannot tell is left to torch: outputs that share memory
with an input, shapes that depend on values, random numbers, big tensors, and whatever the CPU refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from torchgrade.isolation.worker.probes.dispatch import QuietDispatchMode
from torchgrade.isolation.worker.probes.recorders import tensors_in

LARGEST = 1 << 20  # bytes of one stand-in
UNTOLD = (
    torch.Tag.data_dependent_output,
    torch.Tag.dynamic_output_shape,
    torch.Tag.inplace_view,
    torch.Tag.nondeterministic_seeded,
)


class StandIns(QuietDispatchMode):
    """``with StandIns():`` what runs on ``meta`` runs quickly and without torch's compiler."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """``func(*args, **kwargs)`` for an operator with tensors on ``meta``, or told to make one there."""
    made_there = _is_meta_device(kwargs.get("device"))
    given = tensors_in([args, kwargs])
    concerned = made_there or any(tensor.is_meta for tensor in given)
    mixed = any(not tensor.is_meta and tensor.ndim for tensor in given)  # torch knows what may be mixed
    if not concerned or mixed or not (_can_be_told(func) or _picks_by_number(func, args)):
        return func(*args, **kwargs)
    try:
        kwargs_there = {**kwargs, "device": "cpu"} if made_there else kwargs
        value = func(*_mapped(_stand_in, args), **_mapped(_stand_in, kwargs_there))
    except Exception:
        return func(*args, **kwargs)
    return args[0] if func._schema.is_mutable else _mapped(_on_meta, value)


def _can_be_told(func: Any) -> bool:
    if any(tag in UNTOLD for tag in func.tags):
        return False
    name = func._schema.name
    if func._schema.is_mutable:  # in place: the first argument is the result
        return name.endswith("_") and len(func._schema.returns) == 1
    return not any(result.alias_info for result in func._schema.returns)


def _picks_by_number(func: Any, args: Sequence[Any]) -> bool:
    """``x[rows, columns]``: only a mask makes the shape depend on values."""
    if func._schema.name != "aten::index":
        return False
    return not any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])


def _stand_in(tensor: torch.Tensor) -> torch.Tensor:
    """Ones, or zeros where the numbers may be an index, in the same layout."""
    if not tensor.is_meta:
        return tensor
    last = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    numbers = last + 1 if tensor.numel() else 0
    if numbers * tensor.element_size() > LARGEST:
        raise ValueError("too big to stand in for")
    value = int(tensor.is_floating_point() or tensor.is_complex())
    return torch.full((numbers,), value, dtype=tensor.dtype).as_strided(tensor.shape, tensor.stride())


def _on_meta(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _mapped(change: Callable[[torch.Tensor], torch.Tensor], value: Any) -> Any:
    """The value with every tensor in it changed."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_mapped(change, item) for item in value)
    if isinstance(value, dict):
        return {key: _mapped(change, item) for key, item in value.items()}
    return value


def _is_meta_device(device: Any) -> bool:
    return device is not None and torch.device(device).type == "meta"
