"""What ran: the torch functions that were called and the operators that they became."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from torchgrade.isolation.worker.probes.dispatch import QuietDispatchMode
from torchgrade.isolation.worker.probes.modules import on_device_of
from torchgrade.isolation.worker.registry import probe


class FunctionRecorder(TorchFunctionMode):
    """Counts public functions, methods and properties of tensors by their last name.

    A function that torch writes in Python (``cross_entropy``) counts once, what it calls inside does not: the
    operators show that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[function_name(func)] += 1
        return func(*args, **(kwargs or {}))


class OperatorRecorder(QuietDispatchMode):
    """Counts aten operators by name without overload: ``convolution``, ``add_``. Backward passes included."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[operator_name(func)] += 1
        return self.go_on(func, types, args, kwargs)


def function_name(func: Any) -> str:
    """``conv2d``, ``relu_``, ``numpy``; for reading a property the property's name, such as ``data``."""
    name = str(getattr(func, "__name__", type(func).__name__))
    if name in ("__get__", "__set__", "__delete__"):
        name = str(getattr(getattr(func, "__self__", None), "__name__", name))
    return name.partition(".")[0]  # torch.ops.aten.convolution.default


def operator_name(func: Any) -> str:
    """The operator's name without namespace and overload."""
    return str(func).split(".")[1] if str(func).count(".") else str(func)


@probe
def operators(fn: Callable[..., Any], *args: Any) -> dict[str, dict[str, int]]:
    """Run ``fn(*args)`` and count: ``{"functions": {name: calls}, "operators": {name: calls}}``."""
    functions, recorded = FunctionRecorder(), OperatorRecorder()
    with functions, recorded:
        fn(*args)
    return {"functions": dict(functions.counts), "operators": dict(recorded.counts)}


@probe
def operator_trace(
    fn: Callable[..., Any], *args: Any, among: Sequence[str] = ("convolution", "linear"), values: bool = False
) -> list[dict[str, Any]]:
    """The operators of these kinds that ``fn(*args)`` runs, in order: ``kind`` and the ``shape`` of the result.

    Kinds are "convolution" (transposed ones, too), "linear" (every matrix product), "max_pool" and "random" (what
    draws, as a dropout does); who calls them, a module or a function, makes no difference. ``values`` adds ``input``
    and ``output``, copies of both, and as the last row of kind "result" what ``fn`` returns, where that is a tensor.
    Runs without gradients, in the mode that a network is in, with inputs on the device of its parameters.
    """
    if isinstance(fn, nn.Module):
        args = tuple(on_device_of(fn, args))
    unknown = set(among) - set(KINDS)
    if unknown:
        raise ValueError(f"operator_trace knows {', '.join(KINDS)}, not {', '.join(sorted(unknown))}")
    tracer = _Tracer({name: kind for kind in among for name in KINDS[kind]}, values)
    with torch.no_grad(), tracer:
        result = fn(*args)
    if values and isinstance(result, torch.Tensor):
        tracer.rows.append({"kind": "result", "shape": list(result.shape), "output": result})
    return tracer.rows


KINDS = {
    "convolution": ("convolution", "_convolution", "mkldnn_convolution"),
    "linear": ("addmm", "mm", "bmm", "baddbmm", "mv", "linear"),
    "max_pool": ("max_pool2d_with_indices", "max_pool2d", "adaptive_max_pool2d"),
    "random": (
        *("bernoulli_", "bernoulli", "native_dropout", "rand", "rand_like", "uniform_", "uniform"),
        *("randn", "randn_like", "normal_", "normal", "randint", "randint_like", "random_"),
    ),
}
BIAS_FIRST = ("addmm", "baddbmm")  # their data are the second argument


class _Tracer(QuietDispatchMode):
    def __init__(self, kinds: dict[str, str], values: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kinds, self.values = kinds, values
        self.rows: list[dict[str, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result, name = func(*args, **(kwargs or {})), operator_name(func)
        if name in self.kinds:
            output = tensors_in(result)[0]
            row: dict[str, Any] = {"kind": self.kinds[name], "shape": list(output.shape)}
            if self.values:
                source = tensors_in([*args[name in BIAS_FIRST :], output])[0]
                row |= {"input": source.clone(), "output": output.clone()}
            self.rows.append(row)
        return result


@probe
def operator_growth(fn: Callable[..., Any], small_args: Sequence[Any], big_args: Sequence[Any]) -> float:
    """Operators that ``fn(*big_args)`` needs for each one that ``fn(*small_args)`` needs.

    Near 1 for vectorised code, near the ratio of the sizes for a loop over them, whatever the clock says. A
    single tensor stands for a tuple of one.
    """
    small, big = (_operator_count(fn, _tuple(args)) for args in (small_args, big_args))
    return big / max(small, 1)


@probe
def line_growth(fn: Callable[..., Any], small_args: Sequence[Any], big_args: Sequence[Any]) -> float:
    """Lines of Python that run in ``fn(*big_args)`` for each one in ``fn(*small_args)``; a loop in one line counts in
    each round. A single tensor stands for a tuple of one.

    Also a loop over plain numbers is seen, which calls no operator.
    """
    small, big = (_line_count(fn, _tuple(args)) for args in (small_args, big_args))
    return big / max(small, 1)


def _tuple(args: Sequence[Any]) -> Sequence[Any]:
    return args if isinstance(args, (list, tuple)) else [args]


def _operator_count(fn: Callable[..., Any], args: Sequence[Any]) -> int:
    recorder = OperatorRecorder()
    with recorder:
        fn(*args)
    return sum(recorder.counts.values())


def _line_count(fn: Callable[..., Any], args: Sequence[Any]) -> int:
    count = 0

    def trace(frame: Any, event: str, arg: Any) -> Any:
        nonlocal count
        count += event in ("call", "line")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        fn(*args)
    finally:
        sys.settrace(before)
    return count


def tensors_in(value: Any) -> list[torch.Tensor]:
    """Every tensor in nested lists, tuples and dicts."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return []
    return [tensor for item in value for tensor in tensors_in(item)]
