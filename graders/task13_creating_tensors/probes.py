"""What has to be seen beside the submission: addresses, states of generators, memory that nobody has set."""

import contextlib

import numpy as np
import torch


def address_verdicts(memory_address, views):
    """Ask where tensors and arrays, or views of them begin. By their names: "right", or what the answer is instead."""
    x = torch.arange(6.0).reshape(2, 3)
    half = torch.ones(4, 5, dtype=torch.float16)
    array = np.arange(12.0).reshape(3, 4)
    plain = {
        "a float32 tensor (2, 3)": x,
        "a tensor of integers": torch.arange(5),
        "a float64 array (3, 4)": array,
    }
    others = {
        "the transpose, x.T": x.T,
        "the second row, x[1]": x[1],
        "the last column, x[:, 2]": x[:, 2],
        "the last number, x[1, 2]": x[1, 2],
        "a part of a float16 tensor": half[2:, 1:],
        "a tensor that requires grad": torch.ones(3).requires_grad_(),
        "a tensor of bools": torch.zeros(2, 3, dtype=torch.bool)[:, 1],
        "a row (1, 3) of a tensor": torch.zeros(2, 3)[1:],
        "a column (4, 1) of a tensor": torch.zeros(4, 3)[:, 2:],
        "the transpose, a.T": array.T,
        "the second row, a[1]": array[1],
        "an array in reverse, a[::-1]": array[::-1],
        "a column of an array, a[:, 3]": array[:, 3],
        "a tensor on its memory, torch.from_numpy(a)": torch.from_numpy(array),
        "an array on the memory of x, x.numpy()": x.numpy(),
        "a read-only array": np.broadcast_to(np.float32(2.5), (2, 3)),
    }
    return {name: _verdict(memory_address(value), value) for name, value in (others if views else plain).items()}


def _verdict(answer, value):
    is_tensor = isinstance(value, torch.Tensor)
    if isinstance(answer, bool) or not isinstance(answer, (int, np.integer)):
        return f"an answer of type {type(answer).__name__}"
    if answer == (value.data_ptr() if is_tensor else value.__array_interface__["data"][0]):
        return "right"
    if answer == id(value):
        return "the address of the Python object"
    if is_tensor and answer == value.untyped_storage().data_ptr():
        return "the address of the memory that it is a view of"
    return "another address"


def report_beside_truth(environment_report, pretend=None):
    """The report, and what torch says; with ``pretend`` where torch is led to see so many CUDA devices, 0 or 2."""
    with _none_without_accelerator(), contextlib.nullcontext() if pretend is None else _devices(pretend):
        accelerator = torch.accelerator.current_accelerator()
        truth = {
            "torch": str(torch.__version__),
            "cuda_available": torch.cuda.is_available(),
            "cuda_version": torch.version.cuda,
            "device_count": torch.cuda.device_count(),
            "accelerator": None if accelerator is None else accelerator.type,
        }
        report = environment_report()
    if isinstance(report, dict) and isinstance(report.get("torch"), str):
        report = {**report, "torch": str(report["torch"])}  # torch's own version is a str with a comparison of its own
    return {"report": report, "truth": truth}


@contextlib.contextmanager
def _none_without_accelerator():
    """Torch 2.6 raises where there is none; later releases return None."""
    asked = torch.accelerator.current_accelerator

    def current_accelerator(*arguments, **named):
        with contextlib.suppress(RuntimeError):
            return asked(*arguments, **named)

    torch.accelerator.current_accelerator = current_accelerator
    try:
        yield
    finally:
        torch.accelerator.current_accelerator = asked


@contextlib.contextmanager
def _devices(count):
    """A build with CUDA, as far as the questions of a report go; where torch is one it has its own answers."""
    names = {
        (torch._C, "_has_cuda"): True,
        (torch._C, "_cuda_getDeviceCount"): lambda: count,
        (torch._C, "_accelerator_getAccelerator"): lambda: torch.device("cuda") if count else None,
        (torch.version, "cuda"): "12.8",
    }
    if hasattr(torch._C, "_cuda_getDeviceCount"):
        names = {}
    before = {(module, name): vars(module).get(name, names) for module, name in names}
    try:
        for (module, name), value in names.items():
            setattr(module, name, value)
        yield
    finally:
        for (module, name), value in before.items():
            if value is names:
                delattr(module, name)
            else:
                setattr(module, name, value)


def drawn(function, args, state=0, times=1, device="cpu"):
    """Call with a generator in this state, several times; the results, whether the generator moved, the global did."""
    generator = torch.Generator(device).manual_seed(state)
    started, before = generator.get_state(), _states(device)
    results = [function(*args, generator=generator) for _ in range(times)]
    return {
        "results": results,
        "advanced": not torch.equal(generator.get_state(), started),
        "global kept": all(map(torch.equal, _states(device), before)),
    }


def drawn_globally(function, args, seed, times=1):
    """Call without a generator, several times, the global state being that of a seed."""
    torch.manual_seed(seed)
    return [function(*args) for _ in range(times)]


def sampled(seeded_sample, seed):
    """Call when the global state is that of another seed; the result, and whether that state was kept."""
    torch.manual_seed(seed + 12345)
    before = torch.get_rng_state()
    result = seeded_sample(seed)
    return {"result": result, "global kept": torch.equal(torch.get_rng_state(), before)}


def drawn_again(seeded_sample, seed):
    """Call, write 99 into the result, and call once more."""
    seeded_sample(seed)[...] = 99
    return seeded_sample(seed)


def _states(device):
    found = [torch.get_rng_state()]
    return [*found, torch.cuda.get_rng_state()] if torch.device(device).type == "cuda" else found


def on_dirty_memory(function, *args):
    """Call while memory that nobody has set holds NaN, or the largest integer."""
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        return function(*args)
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def answer_or_refusal(function, *args):
    """The answer, or None where the call is refused. torch refuses some dtypes by NotImplementedError with a text."""
    try:
        return function(*args)
    except NotImplementedError as error:
        if not str(error):
            raise
        return None
    except (TypeError, ValueError, RuntimeError, IndexError):
        return None
