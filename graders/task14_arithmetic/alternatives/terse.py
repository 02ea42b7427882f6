"""Meta tensors for shapes, axes moved to the end, einsum, and counts by bincount and index_add."""


def _meta(shape):
    return torch.empty(tuple(shape), device="meta")


def broadcast_shape(a, b):
    return tuple((_meta(a) + _meta(b)).shape)


def matmul_shape(a, b):
    *batch_a, n, k = a
    *batch_b, k2, m = b
    assert k == k2, "k differs"
    return tuple(torch.broadcast_shapes(tuple(batch_a), tuple(batch_b))) + (n, m)


def add_inplace(a, b):
    return a.__iadd__(b)


def scaled_add(a, b, alpha=1):
    whole = not (a.is_floating_point() or b.is_floating_point())
    return torch.add(input=a, other=b, alpha=int(alpha) if whole else float(alpha))


def round_all(x):
    return {name: getattr(torch, name)(x) for name in "floor ceil round trunc frac".split()}


def _number(x, m):
    return m if isinstance(m, torch.Tensor) or x.is_floating_point() else int(m)


def python_mod(x, m):
    return x % _number(x, m)


def c_mod(x, m):
    return x.fmod(_number(x, m))


def topk_values(x, k, dim=-1):
    y = x.movedim(dim, -1)
    assert 0 <= k <= y.shape[-1]
    return y.sort(dim=-1).values.flip(-1)[..., :k].movedim(-1, dim)


def kth_smallest(x, k, dim=-1):
    return torch.kthvalue(x, k, dim)[0]


def safe_equal(a, b):
    return a.shape == b.shape and not ((a != b) & ~(a.isnan() & b.isnan())).any().item()


def finite_mask(x):
    return x.isfinite()


def stats(x, dim=None, unbiased=True):
    y = x.ravel() if dim is None else x.movedim(dim, -1)
    out = {k: getattr(torch, k)(y, -1) for k in ("mean", "sum", "prod", "argmax", "argmin")}
    out |= {k: getattr(torch, k)(y, -1)[0] for k in ("median", "mode")}
    return out | {k: getattr(torch, k)(y, -1, correction=int(unbiased)) for k in ("var", "std")}


def histogram(x, bins, lo=0, hi=0):
    assert lo <= hi
    assert bins > 0
    v = x.detach().ravel().double()
    if lo == hi == 0 and len(v):
        lo, hi = v.aminmax()
    v = v[(v >= lo) & (v <= hi)]
    place = ((v - lo) * bins / (hi - lo)).floor().long().clamp_(0, bins - 1)
    return torch.bincount(place, minlength=bins)


def count_values(x):
    (n,) = x.shape
    assert not x.is_floating_point()
    assert n == 0 or x.min() >= 0
    return torch.zeros(1 + int(x.max()) if n else 0, dtype=torch.int64).index_add_(
        0, x.long(), torch.ones(n, dtype=torch.int64)
    )


def clip(x, lo=None, hi=None):
    return x.clip(lo, hi)


def pairwise_distance_matrix(a, b):
    d = a[:, None] - b[None]
    return torch.einsum("nmd,nmd->nm", d, d).sqrt()
