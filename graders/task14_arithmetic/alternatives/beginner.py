"""One step after the other: loops where they are allowed, each rule written out."""

import math

import torch


def broadcast_shape(a, b):
    a, b = list(a), list(b)
    while len(a) < len(b):
        a.insert(0, 1)
    while len(b) < len(a):
        b.insert(0, 1)
    result = []
    for i in range(len(a)):
        if a[i] == b[i]:
            result.append(a[i])
        elif a[i] == 1:
            result.append(b[i])
        elif b[i] == 1:
            result.append(a[i])
        else:
            raise ValueError("these shapes do not fit")
    return tuple(result)


def matmul_shape(a, b):
    if a[-1] != b[-2]:
        raise ValueError("columns and rows differ")
    return broadcast_shape(a[:-2], b[:-2]) + (a[-2], b[-1])


def add_inplace(a, b):
    a += b
    return a


def scaled_add(a, b, alpha=1):
    return a + alpha * b


def round_all(x):
    result = {}
    result["floor"] = torch.floor(x)
    result["ceil"] = torch.ceil(x)
    result["round"] = torch.round(x)
    result["trunc"] = torch.trunc(x)
    result["frac"] = x - torch.trunc(x)
    return result


def python_mod(x, m):
    return x % m


def c_mod(x, m):
    return torch.fmod(x, m)


def topk_values(x, k, dim=-1):
    values, indices = torch.topk(x, k, dim=dim)
    return values


def kth_smallest(x, k, dim=-1):
    values, indices = torch.sort(x, dim=dim)
    if k < 1:
        raise ValueError("k counts from 1")
    return values.select(dim, k - 1)


def safe_equal(a, b):
    if a.shape != b.shape:
        return False
    for x, y in zip(a.flatten().tolist(), b.flatten().tolist(), strict=True):
        both_nan = math.isnan(x) and math.isnan(y)
        if x != y and not both_nan:
            return False
    return True


def finite_mask(x):
    return ~(torch.isnan(x) | torch.isinf(x))


def stats(x, dim=None, unbiased=True):
    if dim is None:
        x = x.flatten()
        dim = 0
    n = x.shape[dim]
    mean = x.mean(dim)
    squares = ((x - x.mean(dim, keepdim=True)) ** 2).sum(dim)
    var = squares / (n - 1) if unbiased else squares / n
    return {
        "mean": mean,
        "sum": x.sum(dim),
        "prod": x.prod(dim),
        "var": var,
        "std": var.sqrt(),
        "median": torch.median(x, dim)[0],
        "mode": torch.mode(x, dim)[0],
        "argmax": torch.max(x, dim)[1],
        "argmin": torch.min(x, dim)[1],
    }


def histogram(x, bins, lo=0, hi=0):
    if lo > hi:
        raise ValueError("lo > hi")
    numbers = x.flatten().tolist()
    if lo == 0 and hi == 0:
        lo, hi = min(numbers), max(numbers)
    counts = [0] * bins
    width = (hi - lo) / bins
    for v in numbers:
        if lo <= v <= hi:
            place = int((v - lo) / width)
            counts[min(place, bins - 1)] += 1
    return torch.tensor(counts, device=x.device)


def count_values(x):
    if x.dim() != 1:
        raise ValueError("one axis")
    if x.is_floating_point():
        raise TypeError("integers only")
    if len(x) == 0:
        return torch.zeros(0, dtype=torch.int64)
    if x.min() < 0:
        raise ValueError("negative")
    counts = torch.zeros(int(x.max()) + 1, dtype=torch.int64, device=x.device)
    for v in x.tolist():
        counts[v] += 1
    return counts


def clip(x, lo=None, hi=None):
    if lo is not None:
        x = torch.where(x < lo, torch.full_like(x, lo), x)
    if hi is not None:
        x = torch.where(x > hi, torch.full_like(x, hi), x)
    return x


def pairwise_distance_matrix(a, b):
    difference = a.unsqueeze(1) - b.unsqueeze(0)
    return (difference**2).sum(2).sqrt()
