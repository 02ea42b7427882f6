"""The objects that stay in the worker, and what the grader is told of them."""

from __future__ import annotations

import functools
import importlib
import inspect
import types
from dataclasses import dataclass
from typing import Any

import torch

from torchgrade.handin.source import shown_place
from torchgrade.isolation.wire.protocol import Violation
from torchgrade.isolation.worker.watch import Watch


@dataclass(frozen=True)
class Held:
    """A value that would travel as data, but is to stay here."""

    value: Any


class Objects:
    """Numbers objects; the same object keeps its number while it is held."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch  # knows which of the submission's definitions an object comes from
        self._by_id: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}
        self._next = 1
        self.probes: types.ModuleType | None = None  # the task's own, for a check that passes one of them on
        self.files: set[str] = set()  # the submission's own; only places in them are told

    def refer(self, value: Any) -> list[Any]:
        """The description that travels: see ``protocol.ObjectSpec``."""
        value = value.value if type(value) is Held else value
        number = self._numbers.get(id(value))
        if number is None:
            number, self._next = self._next, self._next + 1
            self._by_id[number] = value
            self._numbers[id(value)] = number
            self._watch.keep(value)
        return [number, *_describe(value, self.files), self._watch.name_of(value)]

    def find(self, rest: list[Any]) -> Any:
        if len(rest) == 2 and rest[0] == -1:
            return getattr(self.probes, str(rest[1]))
        if len(rest) == 2 and rest[0] == 0:
            return _from_torch(str(rest[1]))
        if not rest or type(rest[0]) is not int or rest[0] not in self._by_id:
            raise Violation("unknown object")
        return self._by_id[rest[0]]

    def release(self, numbers: list[int]) -> None:
        for number in numbers:
            if number in self._by_id:
                value = self._by_id.pop(number)
                self._numbers.pop(id(value), None)
                self._watch.forget(value)


def _from_torch(name: str) -> Any:
    """A function or class of torch that the grader passed by name, such as ``torch.nn.functional.relu``."""
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):  # torch.optim hides its own modules: their names lead to no attribute
        try:
            module = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        return functools.reduce(getattr, parts[cut:], module)
    raise Violation(f"nothing of torch is named {name!r}")


def _describe(value: Any, files: set[str]) -> list[Any]:
    kind = type(value)
    try:
        bases = [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__[:16]]
        name = str(kind.__qualname__)
    except Exception:
        bases, name = [], "object"
    return [name[:120], [base[:200] for base in bases], callable(value), location(value, files), _tensor_facts(value)]


def _tensor_facts(value: Any) -> list[Any] | None:
    if not isinstance(value, torch.Tensor):
        return None
    with torch._C.DisableTorchFunctionSubclass():
        return [
            str(value.dtype).removeprefix("torch."),
            list(value.shape),
            str(value.device),
            bool(value.requires_grad),
            bool(value.is_leaf),
        ]


def location(value: Any, files: set[str]) -> list[Any] | None:
    """File, line and name of what defines a function, a method, a class or an instance's class, if in ``files``."""
    try:
        target = inspect.unwrap(value) if callable(value) else value
        owner = getattr(target, "__self__", None)
        target = getattr(target, "__func__", target)
        code = getattr(target, "__code__", None)
        if code is not None and code.co_filename not in files:
            if not isinstance(owner, type):
                return None
            target, code = owner, None  # a class method that is inherited, such as Function.apply
        if code is not None:
            name = target.__qualname__.rpartition("<locals>.")[2]  # a method with its class
            return [*shown_place(code.co_filename, code.co_firstlineno), f"{name}()"]
        cls = target if isinstance(target, type) else type(target)
        called = ["__init__"] if isinstance(target, type) else []
        for kind in cls.__mro__:  # what a class does not write itself, it has from another one of the files
            for name in [*called, "forward", "__init__", "step", "__call__", "__getitem__"]:
                code = getattr(inspect.unwrap(vars(kind).get(name)), "__code__", None)  # type: ignore[arg-type]
                if code is not None and code.co_filename in files:
                    place = shown_place(code.co_filename, code.co_firstlineno)
                    return [*place, f"{kind.__name__}.{name}()"]
    except Exception:
        return None
    return None
