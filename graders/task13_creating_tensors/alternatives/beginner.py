"""One step after the other: lists and loops where they are allowed, noise times deviation plus mean."""

import numpy as np
import torch


def rank_name(t):
    n = len(t.shape)
    if n == 0:
        return "scalar"
    elif n == 1:
        return "vector"
    elif n == 2:
        return "matrix"
    else:
        return "tensor"


def environment_report():
    report = {}
    report["torch"] = torch.__version__
    report["cuda_available"] = torch.cuda.is_available()
    report["cuda_version"] = torch.version.cuda
    report["device_count"] = torch.cuda.device_count()
    acc = torch.accelerator.current_accelerator()
    if acc is None:
        report["accelerator"] = None
    else:
        report["accelerator"] = str(acc)
    return report


def memory_address(obj):
    if isinstance(obj, np.ndarray):
        return obj.__array_interface__["data"][0]
    return obj.data_ptr()


def arange_like_python(start, end, step=1):
    if step == 0:
        raise ValueError("step must not be zero")
    numbers = []
    i = 0
    if step > 0:
        while start + i * step < end:
            numbers.append(start + i * step)
            i += 1
    else:
        while start + i * step > end:
            numbers.append(start + i * step)
            i += 1
    if isinstance(start, int) and isinstance(end, int) and isinstance(step, int):
        return torch.tensor(numbers, dtype=torch.int64)
    return torch.tensor(numbers, dtype=torch.float32)


def linspace(start, end, steps):
    if steps < 0:
        raise ValueError("steps")
    out = []
    for i in range(steps):
        if steps == 1:
            out.append(start)
        else:
            out.append(start + (end - start) * i / (steps - 1))
    return torch.tensor(out, dtype=torch.float32)


def coo_to_dense(indices, values, size):
    out = torch.zeros(size, dtype=values.dtype, device=values.device)
    for k in range(indices.shape[1]):
        place = tuple(indices[:, k].tolist())
        out[place] = out[place] + values[k]
    return out


def uniform(low, high, size, generator=None):
    if generator is None:
        r = torch.rand(size)
    else:
        r = torch.rand(size, generator=generator, device=generator.device)
    return r * (high - low) + low


def normal_four_modes(mean_t, std_t, mean, std, size, generator=None):
    if std < 0 or (std_t < 0).any():
        raise ValueError("negative standard deviation")
    shape = torch.broadcast_shapes(mean_t.shape, std_t.shape)
    dt = mean_t.dtype
    if not dt.is_floating_point:
        dt = torch.float32
    dev = mean_t.device
    a = mean_t + std_t * torch.randn(shape, generator=generator, dtype=dt, device=dev)
    b = mean + std_t * torch.randn(std_t.shape, generator=generator, dtype=std_t.dtype, device=dev)
    c = mean_t + std * torch.randn(mean_t.shape, generator=generator, dtype=dt, device=dev)
    gdev = generator.device if generator is not None else "cpu"
    d = mean + std * torch.randn(size, generator=generator, device=gdev)
    return a, b, c, d


def seeded_sample(seed):
    g = torch.Generator()
    g.manual_seed(seed)
    mean = torch.rand(2, generator=g)
    std = torch.rand(2, generator=g)
    return torch.normal(mean, std, generator=g)
