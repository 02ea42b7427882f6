"""Operators and methods, as short as it gets; einsum for the distances."""

import itertools

import torch


def broadcast_shape(a, b):
    pairs = itertools.zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(_meet(i, j) for i, j in pairs)[::-1]


def _meet(i, j):
    if i == j or j == 1:
        return i
    if i == 1:
        return j
    raise IndexError((i, j))


def matmul_shape(a, b):
    assert a[-1] == b[-2]
    return (*broadcast_shape(tuple(a)[:-2], tuple(b)[:-2]), a[-2], b[-1])


def add_inplace(a, b):
    torch.ops.aten.add_(a, b)
    return a


def scaled_add(a, b, alpha=1):
    return torch.sub(a, b, alpha=-alpha)


def round_all(x):
    floor = x // 1
    return {
        "floor": floor,
        "ceil": -(-x // 1),
        "round": torch.round(x),
        "trunc": torch.where(x < 0, -(-x // 1), floor),
        "frac": torch.fmod(x, 1),
    }


def python_mod(x, m):
    return torch.fmod(torch.fmod(x, m) + m, m)


def c_mod(x, m):
    return x.fmod(m)


def topk_values(x, k, dim=-1):
    return torch.sort(x, dim=dim)[0].flip(dim).split([k, x.shape[dim] - k], dim)[0]


def kth_smallest(x, k, dim=-1):
    return x.topk(k, dim, largest=False).values.select(dim, -1)


def safe_equal(a, b):
    if a.shape != b.shape:
        return False
    return torch.all(torch.isclose(a, b, rtol=0, atol=0, equal_nan=True)).item()


def finite_mask(x):
    return (x * 0) == 0


def stats(x, dim=None, unbiased=True):
    flat, at = (x.flatten(), 0) if dim is None else (x, dim)
    names = ("mean", "sum", "prod", "argmax", "argmin")
    out = {name: getattr(flat, name)(at) for name in names}
    out |= {name: getattr(flat, name)(at, unbiased) for name in ("var", "std")}
    out |= {name: getattr(flat, name)(at)[0] for name in ("median", "mode")}
    return out


def histogram(x, bins, lo=0, hi=0):
    if hi < lo:
        raise ValueError
    if lo == 0 == hi:
        lo, hi = float(x.amin()), float(x.amax())
    return torch.histogram(x.flatten(), bins, range=(float(lo), float(hi))).hist


def count_values(x):
    if x.ndim != 1 or torch.is_floating_point(x):
        raise TypeError
    top = int(x.max()) + 1 if len(x) else 0
    return torch.zeros(top, dtype=torch.int64, device=x.device).index_add_(0, x.int(), torch.ones_like(x.long()))


def clip(x, lo=None, hi=None):
    return torch.clip(x, min=lo, max=hi)


def pairwise_distance_matrix(a, b):
    d = a[:, None, :] - b[None, :, :]
    return torch.einsum("ijk,ijk->ij", d, d).sqrt()
