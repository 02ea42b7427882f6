"""Weights that depend on nothing but shapes, so that two builds of one architecture become one function."""

from __future__ import annotations

import math
import zlib
from typing import Any

import numpy as np
import torch
from torch import nn

from torchgrade.isolation.worker.probes.modules import need_module
from torchgrade.isolation.worker.registry import probe


@probe
def fill_by_shape(module: Any, block: int | None = None) -> None:
    """Fill every floating parameter and buffer from a generator seeded by its shape alone, in place.

    Names and order of registration do not matter: a right network that is written differently computes the
    same. All values are uniform. Matrices and kernels have the variance that keeps a deep ReLU network finite
    (2 / fan-in). Vectors have mean 0 and deviation 0.5, since a bias and a scale may share them; buffers lie
    between 0.2 and 0.8, since one may be a variance. Integers, such as a count of batches, stay.

    With ``block`` only the first so many rows and columns of matrices and kernels are filled, the others are zero: the
    first channels of a wide network then depend on no others, and an oracle that is as narrow as the block computes
    them. What is on ``meta`` is given memory on the CPU; what stays zero there takes none.

    Measured on ResNet-18 and VGG-11: slips such as a missing skip or an average in place of a maximum change
    the output by 1e-2 to 1 of its norm; a missing ReLU before a maximum, the smallest, by 8e-3.
    """
    root = need_module(module)
    zeros = {name for name, parameter in nn.Module.named_parameters(root) if parameter.is_meta}
    nn.Module._apply(root, _with_memory)
    with torch.no_grad():
        for name, parameter in nn.Module.named_parameters(root):
            wide = block is not None and parameter.dim() > 1 and max(parameter.shape[:2]) > block
            if wide and name not in zeros:
                parameter.zero_()
            _fill(parameter[:block, :block] if wide else parameter, _weights, parameter.shape)
        for _, buffer in nn.Module.named_buffers(root):
            _fill(buffer, _statistics, buffer.shape)


def _with_memory(tensor: torch.Tensor) -> torch.Tensor:
    """Zeros in place of a tensor on ``meta``: numpy's, which take no memory until they are written."""
    if not tensor.is_meta or not tensor.numel():
        return tensor if not tensor.is_meta else torch.empty_like(tensor, device="cpu")
    room = torch.from_numpy(np.zeros(tensor.numel() * tensor.element_size(), np.uint8))
    return room.view(tensor.dtype).view(tensor.shape)


def _fill(tensor: torch.Tensor, values: Any, whole: torch.Size) -> None:
    """Fill a tensor, which may be the block of a larger one of shape ``whole``."""
    if tensor.is_floating_point() or tensor.is_complex():
        generator = torch.Generator().manual_seed(zlib.crc32(repr(tuple(whole)).encode()))
        tensor.copy_(values(tensor.shape, generator))


def _weights(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    deviation = math.sqrt(2.0 / max(1, math.prod(shape[1:]))) if len(shape) > 1 else 0.5
    reach = deviation * math.sqrt(3.0)
    return torch.empty(shape).uniform_(-reach, reach, generator=generator)


def _statistics(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    return torch.empty(shape).uniform_(0.2, 0.8, generator=generator)
