"""As short as it gets."""

from math import ceil

import numpy
import torch


def rank_name(t):
    return ("scalar", "vector", "matrix", "tensor")[min(t.ndim, 3)]


def environment_report():
    return {
        "torch": torch.version.__version__,
        "cuda_available": torch.cuda.is_available(),
        "cuda_version": torch.version.cuda,
        "device_count": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "accelerator": getattr(torch.accelerator.current_accelerator(), "type", None),
    }


def memory_address(obj):
    return torch.as_tensor(obj).data_ptr() if not isinstance(obj, numpy.ndarray) else obj.ctypes.data


def arange_like_python(start, end, step=1):
    return start + (step + (end - start) * 0) * torch.arange(max(0, ceil((end - start) / step)))


def linspace(start, end, steps):
    return (
        torch.cat([torch.arange(steps - 1) / (steps - 1) * (end - start) + start, torch.tensor([float(end)])])
        if steps > 1
        else torch.full((steps,), float(start))
    )


def coo_to_dense(indices, values, size):
    return torch.zeros(size, dtype=values.dtype, device=values.device).index_put(
        tuple(indices), values, accumulate=True
    )


def uniform(low, high, size, generator=None):
    return torch.rand(size, generator=generator, device=getattr(generator, "device", "cpu")).mul(high - low).add(low)


def normal_four_modes(mean_t, std_t, mean, std, size, generator=None):
    def n(m, s, *a, **k):
        return torch.normal(m, s, *a, generator=generator, **k)

    return (
        n(mean_t.expand(torch.broadcast_shapes(mean_t.shape, std_t.shape)), std_t),
        n(torch.full_like(std_t, mean), std_t),
        n(mean_t, torch.full_like(mean_t, std)),
        n(float(mean), float(std), size, device=getattr(generator, "device", "cpu")),
    )


def seeded_sample(seed):
    g = torch.Generator().manual_seed(seed)
    mean, std = torch.rand(2, 2, generator=g)
    return mean + std * torch.randn(2, generator=g)
