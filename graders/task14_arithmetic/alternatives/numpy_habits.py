"""The habits of NumPy where no gradient is promised; einsum and cdist elsewhere."""

import numpy as np
import torch


def broadcast_shape(a, b):
    return np.broadcast_shapes(tuple(a), tuple(b))


def matmul_shape(a, b):
    return np.matmul(np.empty(tuple(a), np.int8), np.empty(tuple(b), np.int8)).shape


def add_inplace(a, b):
    return a.__iadd__(b)


def scaled_add(a, b, alpha=1):
    return torch.sum(torch.stack(torch.broadcast_tensors(a, alpha * b)), 0, dtype=torch.result_type(a, b))


def round_all(x):
    array = x.detach().numpy() if x.dtype != torch.bfloat16 else None
    if array is None:
        return {k: v.to(x.dtype) for k, v in round_all(x.float()).items()}
    found = {"floor": np.floor(array), "ceil": np.ceil(array), "round": np.rint(array), "trunc": np.trunc(array)}
    found["frac"] = array - found["trunc"]
    return {key: torch.as_tensor(value) for key, value in found.items()}


def python_mod(x, m):
    return x - m * torch.div(x, m, rounding_mode="floor")


def c_mod(x, m):
    return x - m * torch.div(x, m, rounding_mode="trunc")


def topk_values(x, k, dim=-1):
    places = torch.argsort(x, dim=dim, descending=True)
    if not 0 <= k <= x.size(dim):
        raise ValueError("k")
    return torch.take_along_dim(x, places, dim).index_select(dim, torch.arange(k, device=x.device))


def kth_smallest(x, k, dim=-1):
    if not 1 <= k <= x.size(dim):
        raise ValueError("k")
    return torch.take_along_dim(x, torch.argsort(x, dim=dim), dim).unbind(dim)[k - 1]


def safe_equal(a, b):
    if a.is_floating_point():
        a, b = a.detach().double(), b.detach().double()  # NumPy knows no bfloat16
    return a.shape == b.shape and np.array_equal(a.cpu().numpy(), b.cpu().numpy(), equal_nan=a.is_floating_point())


def finite_mask(x):
    return x.abs() < float("inf") if x.is_floating_point() else torch.ones_like(x, dtype=torch.bool)


def stats(x, dim=None, unbiased=True):
    kwargs = {} if dim is None else {"dim": dim}
    every = x if dim is not None else x.flatten()
    axis = dim if dim is not None else 0
    return {
        "mean": torch.mean(x, **kwargs),
        "sum": torch.sum(x, **kwargs),
        "prod": torch.prod(x, **kwargs),
        "var": torch.var(x, dim, unbiased=unbiased),
        "std": torch.std(x, dim, correction=1 if unbiased else 0),
        "median": torch.kthvalue(every, (every.shape[axis] + 1) // 2, axis).values,
        "mode": torch.mode(every, axis).values,
        "argmax": torch.argmax(x, dim),
        "argmin": torch.argmin(x, dim),
    }


def histogram(x, bins, lo=0, hi=0):
    spread = None if lo == hi == 0 else (lo, hi)
    counts, _ = np.histogram(x.detach().cpu().double().numpy(), bins, spread)
    return torch.from_numpy(counts)


def count_values(x):
    return torch.from_numpy(np.bincount(x.numpy().astype(x.numpy().dtype)).astype(np.int64))[: None if len(x) else 0]


def clip(x, lo=None, hi=None):
    if lo is not None:
        x = x.clamp_min(lo)
    if hi is not None:
        x = x.clamp_max(hi)
    return x


def pairwise_distance_matrix(a, b):
    return torch.cdist(a, b)
