"""A class that draws, ranges of Python, the global state put back by hand."""

import ctypes

import numpy as np
import torch
from torch import Tensor


class Dice:
    def __init__(self, generator):
        self.g = generator
        self.home = torch.device("cpu") if generator is None else generator.device

    def flat(self, size):
        return (
            torch.rand(*size, generator=self.g, device=self.home)
            if size
            else torch.rand((), generator=self.g, device=self.home)
        )

    def bell(self, m, s):
        if torch.any(s < 0):
            raise ValueError("a negative deviation")
        m, s = torch.broadcast_tensors(m, s)
        return torch.normal(m, s, generator=self.g)


def rank_name(t: Tensor):
    names = {0: "scalar", 1: "vector", 2: "matrix"}
    return names[t.ndim] if t.ndim in names else "tensor"


class Report(dict):
    pass


def environment_report():
    r = Report()
    acc = torch.accelerator.current_accelerator()
    r.update(
        torch=torch.__version__ + "",
        cuda_available=torch.cuda.device_count() > 0 and torch.cuda.is_available(),
        cuda_version=torch.version.cuda,
        device_count=torch.cuda.device_count(),
        accelerator=str(acc) if acc is not None else None,
    )
    return r


def memory_address(obj):
    if type(obj) is np.ndarray:
        return obj.ctypes.data_as(ctypes.c_void_p).value
    return obj.detach().data_ptr()


def arange_like_python(start, end, step=1):
    whole = not any(isinstance(v, float) for v in (start, end, step))
    if whole:
        r = range(start, end, step)
        return torch.as_tensor(r, dtype=torch.int64) if len(r) else torch.tensor([], dtype=torch.int64)
    if step == 0:
        raise ValueError("step")
    n = max(0, int(np.ceil((end - start) / step)))
    return torch.arange(n, dtype=torch.float32) * step + start


def linspace(start, end, steps):
    if steps == 1:
        return torch.Tensor([start])
    out = torch.zeros(steps)
    for k in range(steps):
        out[k] = start + k * (end - start) / (steps - 1)
    return out


def coo_to_dense(indices, values, size):
    dense = torch.zeros(size, dtype=values.dtype, device=values.device)
    dense.index_put_(tuple(indices.unbind(0)), values, accumulate=True)
    return dense


def uniform(low, high, size, generator=None):
    return torch.lerp(torch.tensor(float(low)), torch.tensor(float(high)), Dice(generator).flat(size).cpu()).to(
        Dice(generator).home
    )


def normal_four_modes(mean_t, std_t, mean, std, size, generator=None):
    d = Dice(generator)
    return tuple(
        [
            d.bell(mean_t, std_t),
            d.bell(torch.full_like(std_t, mean), std_t),
            d.bell(mean_t, torch.full_like(mean_t, std)),
            d.bell(torch.full(size, float(mean), device=d.home), torch.tensor(float(std), device=d.home)),
        ]
    )


def seeded_sample(seed):
    state = torch.get_rng_state()
    try:
        torch.manual_seed(seed)
        mean = torch.rand(2)
        std = torch.rand(2)
        return torch.normal(mean, std)
    finally:
        torch.set_rng_state(state)
