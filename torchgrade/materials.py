"""What a suite makes its cases of: random values, and layers of PyTorch whose weights depend on their shape alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from torchgrade.isolation.worker.probes import fill_by_shape


def any_seed() -> int:
    """A seed drawn from this check's own, for what draws by itself: a generated data set, a generator."""
    return int(torch.randint(0, 2**31, ()))


def normal(*shape: int, dtype: torch.dtype = torch.float64, requires_grad: bool = False) -> torch.Tensor:
    """Normally distributed values; float64, so that what differs is the method and not its rounding."""
    return torch.randn(*shape, dtype=dtype, requires_grad=requires_grad)


def filled(
    kind: type[nn.Module], *args: Any, block: int | None = None, dtype: torch.dtype = torch.float64, **kwargs: Any
) -> Any:
    """A layer of PyTorch that holds the values of ``fill_by_shape``, for an oracle; nothing is drawn at random.

    A submission's network that was filled by shape, with the same ``block``, holds these values wherever shapes agree.
    """
    with torch.device("meta"):
        layer = kind(*args, dtype=dtype, **kwargs)
    layer.requires_grad_(False)
    fill_by_shape(layer, block)
    return layer
