"""One clause of a contract broken: a function or method of the reference is wrapped, and the rest left alone.

``break_contract`` stands at the end of a reference solution that ``verify --contract`` grades; nothing else imports
this module. ``KINDS`` says what can be broken.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from typing import Any

import numpy
import torch

from torchgrade.isolation.worker.tracing import replace

Function = Callable[..., Any]
Break = Callable[[Function, str, Any], Function]  # the right function, a parameter, a value: the wrong one
TensorChange = Callable[[torch.Tensor], torch.Tensor]


def break_contract(namespace: MutableMapping[str, Any], name: str, kind: str, parameter: str, value: Any) -> None:
    """Wrap ``function`` or ``Class.method`` so that it breaks its contract in the way ``kind``."""
    replace(namespace, name, lambda inner: functools.wraps(inner)(KINDS[kind](inner, parameter, value)))


# --- arguments -----------------------------------------------------------------------------------------------------


def _bound(change: Callable[[inspect.BoundArguments, str, Any], None]) -> Break:
    """``change`` alters the arguments before the call."""

    def broken(inner: Function, parameter: str, value: Any) -> Function:
        signature = inspect.signature(inner)

        def wrong(*args: Any, **kwargs: Any) -> Any:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return inner(*args, **kwargs)
            if parameter in bound.arguments or change is _always:
                change(bound, parameter, value)
            return inner(*bound.args, **bound.kwargs)

        return wrong

    return broken


def _ignored(bound: inspect.BoundArguments, parameter: str, _value: Any) -> None:
    del bound.arguments[parameter]


def _always(bound: inspect.BoundArguments, parameter: str, value: Any) -> None:
    bound.arguments[parameter] = value


def _as_default(bound: inspect.BoundArguments, parameter: str, value: Any) -> None:
    if _same(bound.arguments[parameter], value):
        del bound.arguments[parameter]


def _ignored_beside(bound: inspect.BoundArguments, parameter: str, other: str) -> None:
    """As soon as the option ``other`` has another value than its default."""
    default = bound.signature.parameters[other].default
    if other in bound.arguments and not _same(bound.arguments[other], default):
        del bound.arguments[parameter]


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def _pair(change: Callable[[Any, Any], Sequence[Any]]) -> Break:
    def changed(bound: inspect.BoundArguments, parameter: str, _value: Any) -> None:
        given = bound.arguments[parameter]
        if isinstance(given, (tuple, list)) and len(given) == 2:
            new = change(*given)
            bound.arguments[parameter] = tuple(new) if isinstance(given, tuple) else list(new)

    return _bound(changed)


def _operand(change: TensorChange) -> Break:
    """``change`` of every tensor in the argument."""

    def changed(bound: inspect.BoundArguments, parameter: str, _value: Any) -> None:
        bound.arguments[parameter] = over(bound.arguments[parameter], change)

    return _bound(changed)


def _changes_argument(inner: Function, parameter: str, _value: Any) -> Function:
    """The result is right, and the caller's tensor or array another afterwards."""
    signature = inspect.signature(inner)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments.get(parameter)
        if isinstance(given, torch.Tensor):
            bound.arguments[parameter] = given.clone()
            result = inner(*bound.args, **bound.kwargs)
            if not any(given.data_ptr() == other.data_ptr() for other in tensors(result)):
                given.data.copy_(given.data.logical_not() if given.dtype == torch.bool else given.data + 1)
            return result
        if isinstance(given, numpy.ndarray) and given.flags.writeable:
            bound.arguments[parameter] = given.copy()
            result = inner(*bound.args, **bound.kwargs)
            given[...] = numpy.logical_not(given) if given.dtype == bool else given + 1
            return result
        return inner(*args, **kwargs)

    return wrong


# --- tensors -------------------------------------------------------------------------------------------------------


def over(value: Any, change: TensorChange, level: int = 0) -> Any:
    """``change`` of each tensor in ``value``, also within lists, tuples and dicts."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, (list, tuple)) and level < 3:
        new = [over(item, change, level + 1) for item in value]
        unchanged = all(one is other for one, other in zip(new, value, strict=True))
        return value if unchanged else type(value)(*new) if hasattr(value, "_fields") else type(value)(new)
    if isinstance(value, dict) and level < 3:
        return {key: over(item, change, level + 1) for key, item in value.items()}
    return value


def tensors(value: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []

    def note(tensor: torch.Tensor) -> torch.Tensor:
        found.append(tensor)
        return tensor

    over(value, note)
    return found


def _cast(old: tuple[torch.dtype, ...], new: torch.dtype) -> TensorChange:
    return lambda x: x.to(new) if x.dtype in old else x


def _floats(change: TensorChange) -> TensorChange:
    return lambda x: change(x) if x.is_floating_point() else x


def _rounded(x: torch.Tensor) -> torch.Tensor:
    return x + ((x.detach() * 1e3).round() / 1e3 - x.detach())


def _without_last(x: torch.Tensor) -> torch.Tensor:
    if x.ndim == 0 or len(x) < 2:
        return x
    keep = torch.ones(len(x), dtype=x.dtype, device=x.device)
    keep[-1] = 0
    return x * keep.reshape(-1, *[1] * (x.ndim - 1))


# --- results, objects, modes, exceptions ---------------------------------------------------------------------------


def _result(change: Callable[[Any], Any]) -> Break:
    return lambda inner, _parameter, _value: lambda *args, **kwargs: change(inner(*args, **kwargs))


def _output(change: TensorChange) -> Break:
    return _result(lambda result: over(result, change))


def _made(change: Callable[[torch.nn.Module], Any]) -> Break:
    """``change`` of the module that a constructor made or a factory returned."""

    def broken(inner: Function, _parameter: str, _value: Any) -> Function:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            result = inner(*args, **kwargs)
            made = args[0] if result is None and args else result
            if isinstance(made, torch.nn.Module):
                change(made)
            return result

        return wrong

    return broken


def _first_result(inner: Function, _parameter: str, _value: Any) -> Function:
    """Of each object, where it is a method; else of all calls."""
    is_method = next(iter(inspect.signature(inner).parameters), "") == "self"
    kept: dict[Any, Any] = {}

    def wrong(*args: Any, **kwargs: Any) -> Any:
        key = id(args[0]) if is_method else None
        if key not in kept:
            kept[key] = (inner(*args, **kwargs), args[:1])  # the object is kept, so that its id stays its own
        return kept[key][0]

    return wrong


def _shares_state(inner: Function, _parameter: str, _value: Any) -> Function:
    """Parameters and buffers are those of the first object that was made with the same arguments."""
    made: dict[str, Any] = {}

    def wrong(*args: Any, **kwargs: Any) -> None:
        inner(*args, **kwargs)
        first = made.setdefault(repr((args[1:], sorted(kwargs.items()))), args[0])
        if first is args[0] or not isinstance(first, torch.nn.Module):
            return
        for mine, theirs in zip(args[0].modules(), first.modules(), strict=False):
            for own, other in ((mine._parameters, theirs._parameters), (mine._buffers, theirs._buffers)):
                for name, tensor in list(own.items()):
                    twin = other.get(name)
                    if tensor is not None and twin is not None and _facts(tensor) == _facts(twin):
                        own[name] = twin

    return wrong


def _facts(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.dtype, tensor.device


def _memory_of_the_class(inner: Function, _parameter: str, _value: Any) -> Function:
    """The dicts and sets that the constructor makes belong to all objects."""
    shared: dict[str, Any] = {}

    def wrong(*args: Any, **kwargs: Any) -> None:
        inner(*args, **kwargs)
        for name, value in list(vars(args[0]).items()):
            if isinstance(value, (dict, set)) and not name.startswith("_"):
                setattr(args[0], name, shared.setdefault(name, value))

    return wrong


def _frozen_settings(inner: Function, _parameter: str, _value: Any) -> Function:
    """What is written to the plain settings of an object after this method was called first has no effect."""

    def wrong(*args: Any, **kwargs: Any) -> Any:
        own = {n: v for n, v in vars(args[0]).items() if not n.startswith("_") and n not in ("state", "training")}
        dicts = [found for value in own.values() for found in _dicts(value)]
        frozen = [{k: v for k, v in found.items() if _plain(v)} for found in dicts]
        kept = args[0].__dict__.setdefault("_frozen_settings", frozen)
        for found, values in zip(dicts, kept, strict=False):
            found.update(values)
        return inner(*args, **kwargs)

    return wrong


def _dicts(value: Any, level: int = 0) -> Iterator[dict[Any, Any]]:
    if isinstance(value, (list, tuple)) and level < 3:
        for item in value:
            yield from _dicts(item, level + 1)
    elif isinstance(value, dict) and level < 3:
        yield value
        for item in value.values():
            yield from _dicts(item, level + 1)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))


def _always_in(training: bool) -> Break:
    def broken(inner: Function, _parameter: str, _value: Any) -> Function:
        def wrong(*args: Any, **kwargs: Any) -> Any:
            modes = [(module, module.training) for module in args[0].modules()]
            for module, _mode in modes:
                module.training = training
            try:
                return inner(*args, **kwargs)
            finally:
                for module, mode in modes:
                    module.training = mode

        return wrong

    return broken


def _leaves_mode(training: bool) -> Break:
    """A module that is an argument is in this mode afterwards."""

    def broken(inner: Function, parameter: str, _value: Any) -> Function:
        signature = inspect.signature(inner)

        def wrong(*args: Any, **kwargs: Any) -> Any:
            result = inner(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments.get(parameter)
            if isinstance(given, torch.nn.Module):
                given.train(training)
            return result

        return wrong

    return broken


def _other_exception(inner: Function, _parameter: str, value: Any) -> Function:
    other = {"RuntimeError": RuntimeError, "Exception": Exception}[value]

    def wrong(*args: Any, **kwargs: Any) -> Any:
        try:
            return inner(*args, **kwargs)
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            raise other(str(error)) from None

    return wrong


HALVES = (torch.float16, torch.bfloat16)
KINDS: dict[str, Break] = {
    "ignored": _bound(_ignored),
    "always": _bound(_always),
    "taken as the default": _bound(_as_default),
    "ignored beside": _bound(_ignored_beside),
    "pair swapped": _pair(lambda p, q: (q, p)),
    "first twice": _pair(lambda p, q: (p, p)),
    "second twice": _pair(lambda p, q: (q, q)),
    "input in float32": _operand(_cast((torch.float64,), torch.float32)),
    "input in float64": _operand(_cast((torch.float32,), torch.float64)),
    "half input in float32": _operand(_cast(HALVES, torch.float32)),
    "input detached": _operand(lambda x: x.detach()),
    "absolute input": _operand(_floats(torch.abs)),
    "input copied": _operand(lambda x: x.clone()),
    "input made contiguous": _operand(lambda x: x.contiguous()),
    "input changed": _changes_argument,
    "output in float32": _output(_cast((torch.float64,), torch.float32)),
    "output in float64": _output(_cast((torch.float32,), torch.float64)),
    "output detached": _output(lambda x: x.detach()),
    "output squeezed": _output(lambda x: x.squeeze()),
    "output rounded": _output(_floats(_rounded)),
    "last item 0": _output(_without_last),
    "NaN as 0": _output(_floats(lambda x: torch.where(x.isnan(), torch.zeros_like(x), x))),
    "infinite as 1e30": _output(lambda x: x.clamp(-1e30, 1e30) if x.dtype in (torch.float32, torch.float64) else x),
    "first result kept": _first_result,
    "state shared": _shares_state,
    "memory of the class": _memory_of_the_class,
    "settings frozen": _frozen_settings,
    "always training": _always_in(True),
    "always eval": _always_in(False),
    "made in eval mode": _made(lambda module: module.eval()),
    "made without gradients": _made(lambda module: module.requires_grad_(False)),
    "made in float64": _made(lambda module: module.double()),
    "left in training mode": _leaves_mode(True),
    "left in eval mode": _leaves_mode(False),
    "another exception": _other_exception,
}
