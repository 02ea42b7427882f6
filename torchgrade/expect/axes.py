"""What the kit provides for the axes of a grid: dtypes, layouts in memory, and what tensors hold.

Values are functions of shape, dtype and generator that return float64, or int64 where that holds too few digits; they
are rounded to the dtype of the case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from torchgrade.errors import AuthoringError
from torchgrade.i18n import noop

Values = Callable[[Sequence[int], torch.dtype, torch.Generator], torch.Tensor]

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
LAYOUTS = ("contiguous", "transposed", "channels last", "gaps", "offset", "expanded")
ARRAY_LAYOUTS = ("contiguous", "transposed", "gaps", "offset", "reversed")  # of NumPy arrays
RECORDING = ("plain", "requires_grad", "no_grad")

LAYOUT_WORDS = {
    "transposed": noop("a transposed view"),
    "channels last": noop("channels last in memory"),
    "gaps": noop("a view of every second column"),
    "offset": noop("a view that starts inside of a larger buffer"),
    "expanded": noop("one row expanded"),
    "reversed": noop("a view with a negative step"),
}


def lay_out(tensor: torch.Tensor, layout: str) -> torch.Tensor:
    """The same values in another order in memory; where that is impossible, a copy. ``expanded`` repeats the first row.

    Between the values lies what a careless view would show: NaN, or 99.
    """
    filler = float("nan") if tensor.is_floating_point() or tensor.is_complex() else tensor.dtype is torch.bool or 99
    if layout == "channels last" and tensor.ndim == 4:
        return tensor.clone(memory_format=torch.channels_last)
    if layout == "transposed" and tensor.ndim > 1:
        return tensor.transpose(-1, -2).contiguous().transpose(-1, -2)
    if layout == "gaps" and tensor.ndim:
        wide = tensor.new_full((*tensor.shape[:-1], 2 * tensor.shape[-1]), filler)
        return wide[..., ::2].copy_(tensor)
    if layout == "offset":
        long = tensor.new_full((tensor.numel() + 3,), filler)
        return long[3:].view(tensor.shape).copy_(tensor)
    if layout == "expanded" and tensor.ndim and len(tensor):
        return tensor[:1].clone().expand(tensor.shape)
    if layout not in (*LAYOUTS, *ARRAY_LAYOUTS):
        raise AuthoringError(f"There is no layout {layout!r}; choose among {', '.join(LAYOUTS)}.")
    return tensor.clone(memory_format=torch.contiguous_format)


# --- what tensors hold ---------------------------------------------------------------------------------------------


def normal(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """numbers of both signs near 0"""
    if not dtype.is_floating_point and not dtype.is_complex:
        return integers(shape, dtype, generator)
    return torch.randn(tuple(shape), generator=generator, dtype=torch.float64)


def integers(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """whole numbers from 0 to 9"""
    top = 2 if dtype is torch.bool else 10
    return torch.randint(0, top, tuple(shape), generator=generator).double()


def whole_range(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """integers of the whole range of their dtype"""
    info = torch.iinfo(dtype)
    return torch.randint(info.min, info.max, tuple(shape), generator=generator)


def distinct(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """1, 2, 3, ... in random order"""
    count = torch.Size(shape).numel()
    return (torch.randperm(count, generator=generator) + 1).reshape(tuple(shape)).double()


def negative(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """-1, -2, -3, ... in random order"""
    return -distinct(shape, dtype, generator)


def positive(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """numbers between 1/2 and 3/2"""
    return torch.rand(tuple(shape), generator=generator, dtype=torch.float64) + 0.5


def spread(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """numbers from -12 to 12, 0 among them"""
    count = torch.Size(shape).numel()
    steps = torch.linspace(-12, 12, count | 1, dtype=torch.float64)[:count]
    return steps[torch.randperm(count, generator=generator)].reshape(tuple(shape))


def ties(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """whole numbers from -2 to 2, many of them equal"""
    return torch.randint(-2, 3, tuple(shape), generator=generator).double()


def thousands(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """numbers of both signs beyond 1000"""
    return _signed(shape, generator, 1e3)


def negative_thousands(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """numbers below -1000"""
    return -_signed(shape, generator, 1e3).abs()


def huge(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """numbers of both signs beyond 1e30"""
    return _signed(shape, generator, 1e30 if torch.finfo(dtype).max > 1e31 else 1e3)


def lowest(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """numbers near the lowest of the dtype, all different"""
    return distinct(shape, dtype, generator) / (torch.Size(shape).numel() + 1) * torch.finfo(dtype).min


def tiny(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """subnormal numbers of both signs"""
    return _signed(shape, generator, torch.finfo(dtype).tiny / 8)


def infinite(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """infinity among ordinary numbers"""
    return _with_one(shape, dtype, generator, float("inf"))


def minus_infinite(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """minus infinity among ordinary numbers"""
    return _with_one(shape, dtype, generator, -float("inf"))


def not_a_number(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """NaN among ordinary numbers"""
    return _with_one(shape, dtype, generator, float("nan"))


def zeros(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """zeros of both signs"""
    return torch.zeros(tuple(shape), dtype=torch.float64).copysign(normal(shape, torch.float64, generator))


FAR = (thousands, negative_thousands, huge, tiny, infinite, minus_infinite, not_a_number, zeros)


def _signed(shape: Sequence[int], generator: torch.Generator, size: float) -> torch.Tensor:
    """From ``size`` to four times that, of both signs."""
    amounts = size * (1 + 3 * torch.rand(tuple(shape), generator=generator, dtype=torch.float64))
    return amounts.copysign(torch.randn(tuple(shape), generator=generator, dtype=torch.float64))


def _with_one(shape: Sequence[int], dtype: torch.dtype, generator: torch.Generator, value: float) -> torch.Tensor:
    found = normal(shape, dtype, generator).reshape(-1)
    found[len(found) // 2 : len(found) // 2 + 1] = value
    return found.reshape(tuple(shape))
