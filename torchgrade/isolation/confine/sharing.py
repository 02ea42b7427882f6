"""Tensors between the processes of one submission (a DataLoader's workers) travel by value.

By default torch passes a descriptor through a unix socket. Sockets are refused at level 2; at level 3 the number of
descriptors on their way is counted for all jobs of a user together, so that one job could starve another's loader.
"""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from torch.multiprocessing.reductions import reduce_tensor
from torch.utils.data import get_worker_info


def install(sockets: bool) -> None:
    """In the worker. ``sockets``: memory that was shared on purpose stays shared."""

    def reduce(tensor: torch.Tensor) -> tuple[Any, ...]:
        shared = sockets and get_worker_info() is None and tensor.is_shared()
        plain = tensor.device.type == "cpu" and tensor.layout is torch.strided and not tensor.is_quantized
        if shared or not plain or (tensor.requires_grad and not tensor.is_leaf):
            return reduce_tensor(tensor)  # type: ignore[no-any-return]
        data = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        return rebuild, (data, tensor.dtype, tuple(tensor.shape), tensor.requires_grad)

    ForkingPickler.register(torch.Tensor, reduce)


def rebuild(data: bytes, dtype: torch.dtype, shape: tuple[int, ...], requires_grad: bool) -> torch.Tensor:
    flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.reshape(shape).requires_grad_(requires_grad)
