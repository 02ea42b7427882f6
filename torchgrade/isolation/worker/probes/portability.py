"""Would this run on another device? Asked without one, on torch's ``meta`` device.

How this works. Inputs and modules go to ``meta``, whose tensors have shapes and no values, and the code runs
there under two modes. The dispatch mode refuses an operator that mixes a ``meta`` tensor with a CPU tensor of
one or more dimensions, as CUDA would; plain ``meta`` lets some of them pass (matmul, convolution, embedding,
gather). The function mode sees what no operator shows: ``.numpy()`` of a tensor that is not on the CPU.

Legal, as on CUDA: CPU tensors without dimensions (but not to write into, as in ``total += loss``), CPU tensors as
an index, and copies between devices.

What ``meta`` cannot decide is ``inconclusive`` and no failure: code that needs values (``.item()``,
``if t.any()``, boolean masks as an index), and a mix after a copy to the CPU or in code that asks which devices
there are: with another device it may have chosen otherwise.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from torchgrade.isolation.worker.probes import stand_ins
from torchgrade.isolation.worker.probes.dispatch import QuietDispatchMode
from torchgrade.isolation.worker.probes.recorders import function_name, operator_name, tensors_in
from torchgrade.isolation.worker.probes.sources import source_names
from torchgrade.isolation.worker.registry import probe

PORTABLE, MIXED, INCONCLUSIVE = "portable", "mixed", "inconclusive"
INDEXING = ("index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index_put")
COPIES = ("copy_", "_to_copy", "copy")
IN_PLACE = ("add_", "sub_", "mul_", "div_", "pow_", "logical_and_", "logical_or_")  # the left side is the output, too
ASKS_FOR_DEVICES = ("is_available", "device_count", "current_accelerator")


@probe
def portable(target: Any, *inputs: Any, build: Sequence[Any] = ()) -> dict[str, str]:
    """Run ``target(*inputs)``, forward and backward, as on a device that is not the CPU.

    ``target`` is a function, a module, or a class of modules. A class is built on the CPU, as
    ``target(*build)``, and then moved, so that what is neither parameter nor buffer stays behind. It runs on
    the CPU first: what it raises there passes on. Returns ``verdict``, which is
    "portable", "mixed" or "inconclusive", and ``detail``.
    """
    if isinstance(target, type):
        target = target(*build)
    target(*_copied(inputs))
    try:
        moved = copy.deepcopy(target).to("meta") if isinstance(target, nn.Module) else target
    except Exception as error:
        return _verdict(INCONCLUSIVE, f"the module cannot be copied: {error}")
    return _try(moved, _to_meta(inputs), target)


@probe
def moves_to_device(target: Any, *inputs: Any) -> dict[str, str]:
    """Call ``target(*inputs)``, code that is told a device and has to move there what it is given.

    The inputs go in as they are: batches on the CPU, a model and its optimizer on ``meta``, "meta" as the device.
    What is told is that of ``portable``; the first value that the code asks for ends the run.
    """
    return _try(target, list(inputs), target)


def _try(moved: Callable[..., Any], inputs: list[Any], target: Any) -> dict[str, str]:
    strict, calls = _StrictMeta(), _NumpyWatch()
    problem = ""
    try:
        with calls, strict:
            outputs = [t for t in tensors_in(moved(*inputs)) if t.ndim]
            roots = [t.sum() for t in outputs if t.requires_grad and t.is_meta and not t.is_complex()]
            for root in roots:
                root.backward(retain_graph=True)
        on_the_cpu = outputs and not any(t.is_meta for t in outputs) and not strict.collected
        if on_the_cpu and any(t.ndim for t in tensors_in(inputs)):
            strict.found.append("the result is on the CPU, not on the device of the input")
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:
            raise  # a gap that is still a gap: nothing has run
        problem = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
    found = [*calls.found, *strict.found]
    if found and not strict.came_home and not _asks_for_devices(target):
        return _verdict(MIXED, found[0])
    if found or problem:
        return _verdict(INCONCLUSIVE, problem or found[0])
    return _verdict(PORTABLE, "")


class Mixed(RuntimeError):
    """What CUDA would raise for tensors on two devices."""


class _StrictMeta(QuietDispatchMode):
    """Refuses to mix. ``found`` keeps what was refused, whatever the code does with the exception."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []
        self.came_home = False  # values were asked for on the CPU: from there on they are made up
        self.collected = False  # values were written into a CPU tensor, which may be meant to stay there

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, operator_name(func)
        given = tensors_in([*args, *kwargs.values()])
        if name == "_to_copy" and given[0].is_meta and _is_cpu(kwargs.get("device")):
            self.came_home = True
            dtype = kwargs.get("dtype") or given[0].dtype
            return torch.zeros(given[0].shape, dtype=dtype)
        if name in COPIES:
            if len(given) > 1 and given[1].is_meta and not given[0].is_meta:
                self.collected = True
                return args[0]
            return func(*args, **kwargs)
        if name in INDEXING:
            given = [args[0], *tensors_in(args[2:])]  # without the list of indices
        output = args[0] if name in IN_PLACE else None
        strangers = [t for t in given if t.device.type == "cpu" and (t.ndim or t is output)]
        if strangers and any(t.is_meta for t in given):
            sentence = f"{name} meets a CPU tensor of shape {list(strangers[0].shape)}"
            self.found.append(f"{sentence} and one on the device")
            raise Mixed(self.found[-1])
        return stand_ins.run(func, args, kwargs)


class _NumpyWatch(TorchFunctionMode):
    """Sees ``x.numpy()`` and ``np.asarray(x)`` of a tensor that is not on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function_name(func)
        if name in ("numpy", "__array__") and args[0].is_meta and not (kwargs or {}).get("force"):
            self.found.append("a tensor is turned into a numpy array without .cpu()")
        return func(*args, **(kwargs or {}))


def _is_cpu(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cpu"


def _asks_for_devices(target: Any) -> bool:
    """Whether the code chooses its device by what this machine has: here it chose the CPU."""
    try:
        return any(row["name"].rpartition(".")[2] in ASKS_FOR_DEVICES for row in source_names(target))
    except OSError:
        return False


def _to_meta(inputs: Sequence[Any]) -> list[Any]:
    moved = []
    for value in inputs:
        if isinstance(value, torch.Tensor):
            value = value.detach().to("meta").requires_grad_(value.requires_grad)
        elif isinstance(value, nn.Module):
            value = copy.deepcopy(value).to("meta")
        elif type(value) in (list, tuple):
            value = type(value)(_to_meta(value))
        moved.append(value)
    return moved


def _copied(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    return type(value)(_copied(item) for item in value) if type(value) in (list, tuple) else value


def _verdict(verdict: str, detail: str) -> dict[str, str]:
    return {"verdict": verdict, "detail": detail}


@probe
def on_meta(cls: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``cls(*args, **kwargs)`` built on ``meta``: shapes and counts of a big network in no time."""
    with torch.device("meta"):
        return cls(*args, **kwargs)


@probe
def lean(cls: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``cls(*args, **kwargs)`` built on ``meta``, or where that raises, as usual: for ``fill_by_shape`` to fill."""
    try:
        return on_meta(cls, *args, **kwargs)
    except Exception:
        return cls(*args, **kwargs)
