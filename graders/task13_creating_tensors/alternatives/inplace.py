"""Everything is filled in place."""

import torch


def rank_name(t):
    d = t.dim()
    return "tensor" if d > 2 else ["scalar", "vector", "matrix"][d]


def environment_report():
    from torch import cuda, version

    out = {
        "torch": version.__version__,
        "cuda_available": cuda.is_available(),
        "cuda_version": version.cuda,
        "device_count": cuda.device_count(),
        "accelerator": None,
        "python": "3",
    }
    if torch.accelerator.current_accelerator() is not None:
        out["accelerator"] = torch.accelerator.current_accelerator().type
    return out


def memory_address(obj):
    try:
        return obj.data_ptr()
    except AttributeError:
        return obj.ctypes.data


def arange_like_python(start, end, step=1):
    if step == 0:
        raise ValueError()
    if (step > 0 and start >= end) or (step < 0 and start <= end):
        floats = isinstance(start, float) or isinstance(end, float) or isinstance(step, float)
        return torch.tensor([], dtype=torch.float32 if floats else torch.int64)
    return torch.arange(start, end, step)


def linspace(start, end, steps):
    return torch.linspace(float(start), float(end), steps, dtype=torch.float64).to(torch.float32)


def coo_to_dense(indices, values, size):
    dense = values.new_zeros(size)
    flat = dense.view(-1)
    where = torch.zeros_like(indices[0])
    for axis, length in enumerate(size):
        where.mul_(length).add_(indices[axis])
    flat.scatter_add_(0, where, values)
    return dense


def uniform(low, high, size, generator=None):
    out = torch.empty(size, device=generator.device if generator else "cpu")
    out.uniform_(0, 1, generator=generator)
    out *= high - low
    out += low
    return out


def normal_four_modes(mean_t, std_t, mean, std, size, generator=None):
    if std < 0 or torch.any(std_t < 0):
        raise ValueError("std < 0")
    if not mean_t.is_floating_point():
        raise TypeError("floating mean")
    kw = dict(dtype=mean_t.dtype, device=mean_t.device)
    both = torch.zeros(torch.broadcast_shapes(mean_t.shape, std_t.shape), **kw)
    both.normal_(generator=generator).mul_(std_t).add_(mean_t)
    second = torch.zeros_like(std_t).normal_(generator=generator).mul_(std_t).add_(mean)
    third = torch.zeros_like(mean_t).normal_(generator=generator).mul_(std).add_(mean_t)
    fourth = (
        torch.zeros(size, device=generator.device if generator else "cpu")
        .normal_(generator=generator)
        .mul_(std)
        .add_(mean)
    )
    return [both, second, third, fourth]


def seeded_sample(seed):
    g = torch.Generator("cpu")
    g.manual_seed(seed)
    draws = torch.rand(4, generator=g)
    return torch.normal(draws[:2], draws[2:], generator=g)
