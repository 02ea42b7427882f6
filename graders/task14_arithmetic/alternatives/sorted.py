"""Everything by sorting: ranks, medians, modes, and histograms by searchsorted."""

import torch


def broadcast_shape(a, b):
    return tuple((torch.empty(tuple(a), device="meta") + torch.empty(tuple(b), device="meta")).shape)


def matmul_shape(a, b):
    return tuple((torch.empty(tuple(a), device="meta") @ torch.empty(tuple(b), device="meta")).shape)


def add_inplace(a, b):
    return torch.Tensor.add_(a, other=b)


def scaled_add(a, b, alpha=1):
    return a.add(b, alpha=alpha)


def round_all(x):
    trunc = x.trunc()
    return dict(floor=x.floor(), ceil=-(-x).floor(), round=x.round(), trunc=trunc, frac=x.frac())


def python_mod(x, m):
    r = torch.fmod(x, m)
    m = torch.as_tensor(m, dtype=x.dtype, device=x.device)
    return torch.where((r != 0) & ((r < 0) != (m < 0)), r + m, r)


def c_mod(x, m):
    m = torch.as_tensor(m, dtype=x.dtype, device=x.device)
    return torch.sign(x) * torch.remainder(x.abs(), m.abs())


def topk_values(x, k, dim=-1):
    if k > x.shape[dim]:
        raise IndexError(k)
    return x.sort(dim, descending=True).values.narrow(dim, 0, k)


def kth_smallest(x, k, dim=-1):
    return topk_values(-x, k, dim).narrow(dim, k - 1, 1).squeeze(dim).neg() if k > 0 else x.new_ones(0).item()


def safe_equal(a, b):
    if a.dtype.is_floating_point:
        nan_a, nan_b = torch.isnan(a), torch.isnan(b)
        return torch.equal(nan_a, nan_b) and torch.equal(a.masked_fill(nan_a, 0), b.masked_fill(nan_b, 0))
    return torch.equal(a, b)


def finite_mask(x):
    return x - x == 0


def stats(x, dim=None, unbiased=True):
    if dim is None:
        return stats(x.ravel(), 0, unbiased)
    n = x.shape[dim]
    order = x.sort(dim)
    var, mean = torch.var_mean(x, dim, correction=int(unbiased))
    return {
        "mean": mean,
        "std": var**0.5,
        "var": var,
        "sum": mean * n,
        "prod": x.cumprod(dim).select(dim, -1),
        "median": order.values.select(dim, (n - 1) // 2),
        "argmin": order.indices.select(dim, 0),
        "argmax": order.indices.select(dim, -1),
        "mode": x.mode(dim)[0],
    }


def histogram(x, bins, lo=0, hi=0):
    if lo > hi:
        raise RuntimeError("lo > hi")
    x = x.flatten()
    if lo == hi == 0:
        lo, hi = x.min().item(), x.max().item()
    x = x[(x >= lo) & (x <= hi)]
    edges = torch.linspace(lo, hi, bins + 1, dtype=x.dtype, device=x.device)
    places = torch.bucketize(x, edges, right=True) - 1
    return torch.bincount(places.clamp(0, bins - 1), minlength=bins)


def count_values(x):
    if x.ndim != 1 or x.is_floating_point() or (x < 0).any():
        raise ValueError("counts need a row of integers from 0 on")
    if x.numel() == 0:
        return x.long()
    levels = torch.arange(int(x.max()) + 1, device=x.device)
    return (x[:, None] == levels).sum(0)


def clip(x, lo=None, hi=None):
    lo = torch.full_like(x, -float("inf") if lo is None else lo)
    hi = torch.full_like(x, float("inf") if hi is None else hi)
    return torch.minimum(torch.maximum(x, lo), hi)


def pairwise_distance_matrix(a, b):
    squares = a.square().sum(1, keepdim=True) + b.square().sum(1) - 2 * a @ b.T
    return squares.clamp(min=0).sqrt()
