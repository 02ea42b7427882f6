"""A class for shapes and one for ranges; torch.linalg and boolean masks."""

import math
from dataclasses import dataclass

import torch


class Shape(tuple):
    def __or__(self, other):
        n = max(len(self), len(other))
        x, y = ((1,) * (n - len(s)) + tuple(s) for s in (self, other))
        for i, j in zip(x, y, strict=True):
            if len({i, j} - {1}) > 1:
                raise ValueError(f"{i} meets {j}")
        return Shape(j if i == 1 else i for i, j in zip(x, y, strict=True))


def broadcast_shape(a, b):
    return tuple(Shape(a) | Shape(b))


def matmul_shape(a, b):
    (*first, n, k), (*second, rows, m) = a, b
    if rows != k:
        raise ValueError("inner lengths")
    return tuple(Shape(first) | Shape(second)) + (n, m)


def add_inplace(a, b):
    return a.sub_(-b) if b.dtype != torch.bool else a.add_(b)


def scaled_add(a, b, alpha=1):
    total = b * alpha
    return total + a


def round_all(x):
    whole = torch.trunc(x)
    part = x - whole
    up = (part > 0).to(x.dtype)
    down = (part < 0).to(x.dtype)
    return {"floor": whole - down, "ceil": whole + up, "trunc": whole, "round": torch.round(x), "frac": part}


def python_mod(x, m):
    return torch.as_tensor(x).remainder(m)


def c_mod(x, m):
    r = torch.remainder(x, m)
    m = torch.as_tensor(m, dtype=x.dtype, device=x.device)
    wrong = (r != 0) & ((r < 0) != (x < 0))
    return r - wrong * m


def topk_values(x, k, dim=-1):
    if k == 0:
        return x.narrow(dim, 0, 0)
    return torch.stack([kth_smallest(x, x.shape[dim] - i, dim) for i in range(k)], dim)


def kth_smallest(x, k, dim=-1):
    return torch.kthvalue(x, k, dim=dim)[0]


def safe_equal(a, b):
    try:
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True, check_stride=False)
    except AssertionError:
        return False
    return True


def finite_mask(x):
    return torch.logical_and(torch.logical_not(torch.isnan(x)), torch.abs(x) != math.inf)


def stats(x, dim=None, unbiased=True):
    row = x.movedim(dim, -1) if dim is not None else x.reshape(-1)
    n = row.shape[-1]
    mean = row.sum(-1) / n
    var = (row - mean[..., None]).pow(2).sum(-1).div(n - bool(unbiased))
    ranked = row.sort(-1).values
    return {
        "mean": mean,
        "sum": row.sum(-1),
        "prod": row.prod(-1),
        "var": var,
        "std": var.sqrt(),
        "median": ranked[..., (n - 1) // 2],
        "mode": row.mode(-1).values,
        "argmax": row.argmax(-1),
        "argmin": row.argmin(-1),
    }


@dataclass
class Bins:
    lo: float
    hi: float
    count: int

    def __post_init__(self):
        if self.lo > self.hi:
            raise ValueError("turned round")

    def counts(self, x):
        step = (self.hi - self.lo) / self.count
        rows = [((x >= self.lo + i * step) & (x < self.lo + (i + 1) * step)).sum() for i in range(self.count - 1)]
        rows.append(((x >= self.hi - step) & (x <= self.hi)).sum())
        return torch.stack(rows)


def histogram(x, bins, lo=0, hi=0):
    if not lo and not hi:
        lo, hi = x.min().item(), x.max().item()
    return Bins(lo, hi, bins).counts(x)


def count_values(x):
    x = x.tolist() if x.ndim == 1 and not x.is_floating_point() else None
    if any(v < 0 for v in x):
        raise ValueError("negative")
    return torch.tensor([x.count(v) for v in range(max(x, default=-1) + 1)], dtype=torch.int64)


def clip(x, lo=None, hi=None):
    return torch.clamp(x, min=lo, max=hi) if lo is None or hi is None or lo <= hi else x.clamp(max=hi).clamp(min=hi)


def pairwise_distance_matrix(a, b):
    return torch.linalg.norm(a[:, None] - b, dim=-1)
