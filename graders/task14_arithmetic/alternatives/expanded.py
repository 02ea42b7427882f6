"""Out-of-the-way functions: lerp, logical_xor, histogramdd, scatter, hypot."""

import torch


def broadcast_shape(a, b):
    x, y = torch.broadcast_tensors(torch.empty(()).expand(tuple(a)), torch.empty(()).expand(tuple(b)))
    return tuple(y.shape)


def matmul_shape(a, b):
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise RuntimeError("no matrices")
    return tuple(torch.broadcast_shapes(torch.Size(a[:-2]), torch.Size(b[:-2]))) + (a[-2],) + (b[-1],)


def add_inplace(a, b):
    if a.requires_grad and a.is_leaf:
        raise RuntimeError("a leaf")
    if b.is_floating_point() and not a.is_floating_point():
        raise RuntimeError("fractions do not fit into integers")
    a.copy_(a + b) if (a + b).shape == a.shape else a.fail()
    return a


def scaled_add(a, b, alpha=1):
    if a.is_floating_point() and a.dtype == b.dtype and a.device.type == "cpu":
        return torch.lerp(*torch.broadcast_tensors(a, a + b), torch.tensor(float(alpha), dtype=a.dtype))
    return a + b * alpha


def round_all(x):
    names = ["floor", "ceil", "round", "trunc", "frac"]
    return dict(zip(names, [getattr(torch.Tensor, name)(x) for name in names], strict=True))


def python_mod(x, m):
    return torch.Tensor.__mod__(x, m)


def c_mod(x, m):
    return torch.sub(x, torch.div(x, m, rounding_mode="trunc") * m)


def topk_values(x, k, dim=-1):
    return torch.topk(x.movedim(dim, 0), k, 0)[0].movedim(0, dim)


def kth_smallest(x, k, dim=-1):
    return torch.kthvalue(x.movedim(dim, -1), k)[0]


def safe_equal(a, b):
    return a.shape == b.shape and not ((a != b) & ~(a.ne(a) & b.ne(b))).any().item()


def finite_mask(x):
    return torch.isfinite(x.detach())


def stats(x, dim=None, unbiased=True):
    if dim is None:
        x, dim = x.reshape(-1), -1
    std, mean = torch.std_mean(x, dim=dim, unbiased=unbiased)
    low, high = torch.aminmax(x, dim=dim, keepdim=True)
    return {
        "mean": mean,
        "sum": torch.nansum(x, dim),
        "prod": torch.prod(x, dim),
        "var": std * std,
        "std": std,
        "median": torch.nanmedian(x, dim).values,
        "mode": torch.mode(x, dim).values,
        "argmax": (x == high).int().argmax(dim),
        "argmin": (x == low).int().argmax(dim),
    }


def histogram(x, bins, lo=0, hi=0):
    return torch.histc(x, bins=bins, min=lo, max=hi)


def count_values(x):
    if x.dtype == torch.bool or x.dim() != 1:
        raise ValueError
    return torch.bincount(x, minlength=0)


def clip(x, lo=None, hi=None):
    if hi is not None:
        x = hi - torch.relu(hi - x) if lo is None else x
    if lo is not None and hi is not None:
        return x.clamp(lo, hi)
    return x if lo is None else lo + torch.relu(x - lo)


def pairwise_distance_matrix(a, b):
    n, m = len(a), len(b)
    left = a.repeat_interleave(m, 0)
    right = b.repeat(n, 1)
    return (left - right).norm(dim=1).reshape(n, m)
