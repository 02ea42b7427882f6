"""Probes: small engine functions that run beside the submission and report plain data.

A probe called with real objects runs here; called with a handle it runs in the worker that holds the object.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

PROBES: dict[str, Callable[..., Any]] = {}


def probe(function: Callable[P, R]) -> Callable[P, R]:
    """Register ``function`` under its name; the result sends itself to the worker when it meets a handle."""
    PROBES[function.__name__] = function

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        client = client_of((*args, *kwargs.values()))
        if client is None:
            return function(*args, **kwargs)
        result: R = client.probe(function.__name__, args, kwargs)
        return result

    return call


def client_of(values: Iterable[Any]) -> Any | None:
    """The client of the first handle among ``values`` (one level into lists, tuples and dicts), or None."""
    for value in values:
        items = value if isinstance(value, (list, tuple)) else value.values() if isinstance(value, dict) else [value]
        for item in items:
            client = getattr(type(item), "torchgrade_client", None)
            if client is not None:
                return client.__get__(item)
    return None
