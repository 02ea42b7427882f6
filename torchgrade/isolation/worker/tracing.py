"""What reaches the functions of a submission: dtypes, layouts, sizes, ranges, options, modes, calls per object.

``trace`` stands at the end of a reference solution that ``verify`` grades; nothing else imports this module. A summary
travels, not the calls: for each function and each of its parameters the kinds of values that it was given.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from itertools import combinations
from typing import Any

import numpy
import torch
from torch._subclasses import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

from torchgrade.isolation.worker.summary import Summary, merge, new_call, new_value, packed

LOOKED_AT = 100  # tensors of a parameter between two reports, until no more values are looked at
LARGE = 100_000  # elements of a tensor whose values are not looked at: far ones come in small tensors
REPORT = "traced_calls"  # the name under which the summary is asked for
FLOATS = {"float16": "half", "bfloat16": "half", "float32": "float32", "float64": "float64"}
OWN = ("self", "ctx", "cls")


def trace(namespace: MutableMapping[str, Any], names: Sequence[str]) -> None:
    """Wrap ``function`` and ``Class.method`` of ``names``; ``traced_calls()`` tells and forgets what reached them."""
    tracer = Tracer()
    for name in names:
        replace(namespace, name, functools.partial(tracer.wrapped, name))
    namespace[REPORT] = tracer.report


def replace(namespace: MutableMapping[str, Any], name: str, change: Callable[[Any], Any]) -> None:
    """Put ``change(function)`` where the function ``name`` of a module, or method of a class in it, is."""
    owner, _, method = name.partition(".")
    if not method:
        namespace[owner] = change(namespace[owner])
        return
    raw = vars(namespace[owner]).get(method)
    if isinstance(raw, (staticmethod, classmethod)):
        setattr(namespace[owner], method, type(raw)(change(raw.__func__)))
    elif inspect.isfunction(raw):
        setattr(namespace[owner], method, change(raw))


class Tracer:
    """Gathers what ``report`` tells."""

    def __init__(self) -> None:
        self.seen: Summary = {}
        self.calls_of: MutableMapping[Any, Counter[str]] = weakref.WeakKeyDictionary()

    def report(self) -> str:
        """The summary since the last one."""
        text, self.seen = packed(self.seen), {}
        return text

    def wrapped(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(inner)

        @functools.wraps(inner)
        def traced(*args: Any, **kwargs: Any) -> Any:
            call, refused = new_call(), new_call()
            with contextlib.suppress(Exception), quietly():  # before the call, which may change its arguments
                self._note_call(call, name, signature.bind(*args, **kwargs))
            try:
                result = inner(*args, **kwargs)
            except Exception as error:
                refused["raised"].add(type(error).__name__)
                merge(self.seen.setdefault(name, new_call()), refused)
                raise
            with contextlib.suppress(Exception), quietly():
                note_value(call["result"], result)
            merge(self.seen.setdefault(name, new_call()), call)
            return result

        return traced

    def _note_call(self, call: Summary, name: str, bound: inspect.BoundArguments) -> None:
        call["calls"] = 1
        call["grad_mode"].add(str(torch.is_grad_enabled()))
        given = set(bound.arguments)
        bound.apply_defaults()
        for parameter, value in bound.arguments.items():
            if parameter not in OWN:
                default = bound.signature.parameters[parameter].default
                seen = call["parameters"].setdefault(parameter, new_value())
                looked_at = self.seen.get(name, {}).get("parameters", {}).get(parameter, {}).get("tensors", 0)
                note_value(seen, value, looked_at < LOOKED_AT)
                if parameter not in given:
                    seen["omitted"] = 1
                elif default is not inspect.Parameter.empty and repr(value) != repr(default):
                    seen["other"].add(repr(value)[:80])
        others = sorted(key for key, seen in call["parameters"].items() if seen["other"])
        call["together"] |= {"+".join(pair) for pair in combinations(others, 2)}
        me = bound.arguments.get("self")
        call["modules"] = int(isinstance(me, torch.nn.Module))
        if isinstance(me, torch.nn.Module) and not name.endswith("__init__"):
            call["training"].add(str(me.training))
        if me is not None:
            count = self.calls_of.setdefault(me, Counter())  # TypeError where nothing can refer to it weakly
            count[name] += 1
            call["per_object"].add(min(count[name], 3))
            call["objects"] = int(count[name] == 1)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Looking leaves no trace in what a suite records."""
    with _disable_current_modes(), torch._C.DisableTorchFunction(), torch.no_grad():
        yield


def note_value(seen: Summary, value: Any, ranges: bool = True, level: int = 0) -> None:
    """Add what is to be said of ``value``, and of the tensors in it."""
    if level == 0:
        seen["types"].add(type_of(value))
    if isinstance(value, (torch.Tensor, numpy.ndarray)):
        note_tensor(seen, value, ranges)
    elif isinstance(value, (list, tuple)) and level < 2:
        if isinstance(value, tuple) and len(value) == 2 and level == 0 and not same(*value):
            seen["kinds"].add("two different members")
        if all(plain(item) for item in value):
            seen["values"].add(repr(value)[:80])
        for item in value[:50]:
            note_value(seen, item, ranges, level + 1)
    elif isinstance(value, Mapping):
        seen["keys"] |= {str(key) for key in list(value)[:20]}
    elif plain(value) and level == 0:
        seen["values"].add(repr(value)[:80])


def same(one: Any, other: Any) -> bool:
    """Arrays are compared by identity: to write them out costs lines of Python that a check may be counting."""
    return one is other if isinstance(one, (torch.Tensor, numpy.ndarray)) else repr(one) == repr(other)


def plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def type_of(value: Any) -> str:
    if isinstance(value, torch.nn.Module):
        return "module"
    return "tensor" if isinstance(value, torch.Tensor) else type(value).__name__


def note_tensor(seen: Summary, value: torch.Tensor | numpy.ndarray, ranges: bool) -> None:
    if isinstance(value, torch.Tensor) and (value.device.type != "cpu" or value.layout != torch.strided):
        return  # meta, or a stand-in
    if isinstance(value, FakeTensor):
        return  # an export is recorded: there are no numbers, and to ask for a length would fix it
    seen["tensors"] += 1
    dtype = str(value.dtype).removeprefix("torch.")
    seen["dtypes"].add(dtype)
    seen["kinds"] |= set(layout_of(value)) | {FLOATS.get(dtype, "no floats")}
    if ranges and (value.numel() if isinstance(value, torch.Tensor) else value.size) <= LARGE:
        seen["kinds"] |= set(range_of(value))


def layout_of(value: torch.Tensor | numpy.ndarray) -> Iterator[str]:
    shape = tuple(value.shape)
    if isinstance(value, torch.Tensor):
        contiguous, offset = value.is_contiguous(), value.storage_offset() != 0
        yield "requires grad" if value.requires_grad else "without grad"
        if any(n > 1 and step == 0 for n, step in zip(shape, value.stride(), strict=True)):
            yield "expanded"
    else:
        contiguous, offset = bool(value.flags.c_contiguous), value.base is not None
    yield "contiguous" if contiguous else "not contiguous"
    if offset:
        yield "a view with an offset"
    yield f"{len(shape)}-d"
    if 0 in shape:
        yield "empty"
    if 1 in shape:
        yield "an axis of 1"
    if shape[:1] == (1,):
        yield "a batch of 1"


def range_of(value: torch.Tensor | numpy.ndarray) -> Iterator[str]:
    x = value.detach() if isinstance(value, torch.Tensor) else torch.tensor(value.tolist())
    x = (x.abs() if x.is_complex() else x).double().reshape(-1)
    tests = {
        "NaN": x.isnan(),
        "infinite": x.isinf(),
        "negative": x < 0,
        "0": x == 0,
        "above 1e3": x > 1e3,
        "below -1e3": x < -1e3,
    }
    return (kind for kind, test in tests.items() if bool(test.any()))
