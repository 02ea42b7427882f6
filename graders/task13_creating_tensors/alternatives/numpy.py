"""The habits of NumPy: its ranges, flat places, in-place draws from torch.empty."""

import numpy as np
import torch

NAMES = ["scalar", "vector", "matrix"]


def rank_name(t):
    return (NAMES + ["tensor"])[min(t.dim(), 3)]


def environment_report():
    acc = torch.accelerator.current_accelerator()
    return dict(
        torch=str(torch.__version__),
        cuda_available=bool(torch.cuda.is_available()),
        cuda_version=torch.version.cuda,
        device_count=int(torch.cuda.device_count()),
        accelerator=acc.type if acc else None,
    )


def memory_address(obj):
    return int((obj.detach().numpy() if isinstance(obj, torch.Tensor) else obj).ctypes.data)


def arange_like_python(start, end, step=1):
    if step == 0:
        raise ValueError("zero")
    a = np.arange(start, end, step)
    return torch.from_numpy(a if a.dtype == np.int64 else a.astype(np.float32))


def linspace(start, end, steps):
    return torch.from_numpy(np.linspace(start, end, steps)).float()


def coo_to_dense(indices, values, size):
    flat = torch.zeros(int(np.prod(size)), dtype=values.dtype, device=values.device)
    strides = [int(np.prod(size[k + 1 :])) for k in range(len(size))]
    where = sum(
        (indices[k] * s for k, s in enumerate(strides)),
        torch.zeros(indices.shape[1], dtype=torch.long, device=indices.device),
    )
    return flat.index_add_(0, where, values).reshape(size)


def uniform(low, high, size, generator=None):
    dev = generator.device if generator else torch.device("cpu")
    return torch.empty(size, device=dev).uniform_(low, high, generator=generator)


def normal_four_modes(mean_t, std_t, mean, std, size, generator=None):
    g = generator
    a, b = torch.broadcast_tensors(mean_t, std_t)
    if (std_t < 0).any() or std < 0:
        raise ValueError
    z = torch.empty(a.shape, dtype=std_t.dtype, device=std_t.device).normal_(generator=g)
    first = z.mul(b).add(a)
    second = torch.empty(std_t.shape, dtype=std_t.dtype, device=std_t.device).normal_(generator=g) * std_t + mean
    third = torch.empty(mean_t.shape, dtype=std_t.dtype, device=mean_t.device).normal_(0, std, generator=g) + mean_t
    fourth = torch.empty(size, device=g.device if g else None).normal_(mean, std, generator=g)
    return first, second, third, fourth


def seeded_sample(seed):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.normal(torch.rand(2), torch.rand(2))
