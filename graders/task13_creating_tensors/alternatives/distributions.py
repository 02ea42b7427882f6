"""torch.distributions know no generator, so its state takes the place of the global one for a while."""

import contextlib

import numpy as np
import torch
from torch.distributions import Normal, Uniform


@contextlib.contextmanager
def chance(generator):
    if generator is None:
        yield
        return
    device = generator.device
    if device.type == "cuda":
        before = torch.cuda.get_rng_state(device)
        torch.cuda.set_rng_state(generator.get_state(), device)
    else:
        before = torch.get_rng_state()
        torch.set_rng_state(generator.get_state())
    try:
        yield
    finally:
        if device.type == "cuda":
            generator.set_state(torch.cuda.get_rng_state(device))
            torch.cuda.set_rng_state(before, device)
        else:
            generator.set_state(torch.get_rng_state())
            torch.set_rng_state(before)


def rank_name(t):
    match t.ndim:
        case 0:
            return "scalar"
        case 1:
            return "vector"
        case 2:
            return "matrix"
        case _:
            return "tensor"


def environment_report():
    a = torch.accelerator.current_accelerator()
    return {
        "torch": torch.__version__,
        "cuda_available": torch.cuda.is_available(),
        "cuda_version": torch.version.cuda,
        "device_count": torch.cuda.device_count(),
        "accelerator": a and a.type,
    }


def memory_address(obj):
    if isinstance(obj, np.ndarray):
        return obj.ctypes.data
    return obj.untyped_storage().data_ptr() + obj.storage_offset() * obj.element_size()


def arange_like_python(start, end, step=1):
    if all(isinstance(n, int) for n in (start, end, step)):
        return torch.tensor(list(range(start, end, step)), dtype=torch.int64)
    if step == 0:
        raise ValueError
    try:
        return torch.arange(start, end, step, dtype=torch.float32)
    except RuntimeError:
        return torch.zeros(0)


def linspace(start, end, steps):
    t = torch.linspace(0, 1, steps)
    return torch.lerp(torch.tensor(float(start)), torch.tensor(float(end)), t)


def coo_to_dense(indices, values, size):
    sparse = torch.sparse_coo_tensor(indices, values, size=size, device=values.device)
    return sparse.coalesce().to_dense()


def uniform(low, high, size, generator=None):
    device = generator.device if generator is not None else "cpu"
    with chance(generator):
        if low == high:
            return torch.full(size, float(low), device=device)
        return Uniform(torch.tensor(float(low), device=device), torch.tensor(float(high), device=device)).sample(size)


def normal_four_modes(mean_t, std_t, mean, std, size, generator=None):
    device = generator.device if generator is not None else "cpu"

    def draw(m, s, shape=()):
        return Normal(m, s, validate_args=False).sample(shape)

    if std < 0 or bool((std_t < 0).any()):
        raise ValueError("std")
    with chance(generator):
        return (
            draw(mean_t, std_t),
            draw(torch.full_like(std_t, mean), std_t),
            draw(mean_t, torch.full_like(mean_t, std)),
            draw(torch.tensor(float(mean), device=device), torch.tensor(float(std), device=device), size),
        )


def seeded_sample(seed):
    with chance(torch.Generator().manual_seed(seed)):
        mean = torch.rand(2)
        std = torch.rand(2)
        return Normal(mean, std).sample()
