"""How many calls into torch one call of a definition makes.

``count`` stands at the end of a file that ``compare`` grades; nothing else imports this module.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode

REPORT = "counted_calls"  # the name under which the counts are asked for
QUIET = ("__get__", "__set__")  # reading an attribute of a tensor computes nothing


def count(namespace: MutableMapping[str, Any], names: Sequence[str]) -> None:
    """Wrap the functions and the methods of the classes in ``names``; ``counted_calls()`` tells, and forgets, of each
    the fewest and the most calls of functions and tensor methods of torch that one call of it made, as JSON."""
    counter = Counter()
    for name in names:
        value = namespace.get(name)
        if inspect.isclass(value):
            for method, inner in list(vars(value).items()):
                if inspect.isfunction(inner) and method != "__init__":
                    setattr(value, method, counter.wrapped(name, inner))
        elif inspect.isfunction(value):
            namespace[name] = counter.wrapped(name, value)
    namespace[REPORT] = counter.report


class Counter:
    """Of each name the fewest and the most; what runs now has its count in ``running``."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[int, int]] = {}
        self.running: dict[str, int] = {}

    def report(self) -> str:
        text, self.found = json.dumps(self.found), {}
        return text

    def wrapped(self, name: str, inner: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(inner)
        def counted(*args: Any, **kwargs: Any) -> Any:
            if name in self.running:  # a method of the same object, or a recursion: part of the call that is counted
                return inner(*args, **kwargs)
            outermost = not self.running
            self.running[name] = 0
            try:
                if outermost:
                    with _Watching(self.running):
                        result = inner(*args, **kwargs)
                else:
                    result = inner(*args, **kwargs)
            except BaseException:
                del self.running[name]
                raise
            made = self.running.pop(name)
            low, high = self.found.get(name, (made, made))
            self.found[name] = min(low, made), max(high, made)
            return result

        return counted


class _Watching(TorchFunctionMode):
    def __init__(self, running: dict[str, int]) -> None:
        super().__init__()
        self.running = running

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") not in QUIET:
            for name in self.running:
                self.running[name] += 1
        return func(*args, **(kwargs or {}))
