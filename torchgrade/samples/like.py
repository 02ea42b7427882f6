"""What ``samples.py`` of a task says of one of its functions or classes. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Like:
    """A function or class of the task does what ``name`` does in PyTorch.

    name: as PyTorch's own lists of samples name it: an operator such as "nn.functional.conv2d", or a class such as
        "nn.BatchNorm2d" or "optim.SGD".
    outside: by a reason in words, a predicate of a sample's arguments: such a sample lies outside of what the docstring
        promises. The input of a module stands before the arguments that build it; an optimiser has only these.
    arguments: makes the task's arguments of a sample's, where they differ.
    oracle: what answers in the operator's place, where the task asks for something else; takes the sample's arguments.
    """

    name: str
    outside: Mapping[str, Callable[..., bool]] = field(default_factory=dict)
    arguments: Callable[..., Arguments] | None = None
    oracle: Callable[..., Any] | None = None
