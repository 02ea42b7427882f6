"""The autograd graphs of past calls, kept so that the grader can ask for vector-Jacobian products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from torchgrade.isolation.wire.protocol import Violation


@dataclass
class Graph:
    inputs: list[torch.Tensor]  # what the grader sent and wants gradients of
    outputs: list[torch.Tensor]  # in the order in which the reply holds them
    leaves: list[torch.Tensor]  # parameters that live here
    pending: list[torch.Tensor | None] = field(default_factory=list)


class Graphs:
    def __init__(self) -> None:
        self._graphs: dict[int, Graph] = {}
        self._next = 1

    def remember(self, value: Any, inputs: list[torch.Tensor]) -> list[Any] | None:
        """``[number, has leaves]`` when ``value`` holds differentiable tensors, else None."""
        outputs = [tensor for tensor in tensors(value) if tensor.requires_grad]
        if not outputs:
            return None
        known = {id(tensor) for tensor in inputs}
        leaves = [leaf for leaf in _leaves(outputs) if id(leaf) not in known]
        number, self._next = self._next, self._next + 1
        self._graphs[number] = Graph(inputs, outputs, leaves)
        return [number, bool(leaves)]

    def vjp(self, number: int, cotangents: Sequence[Any]) -> list[torch.Tensor | None]:
        """Gradients of the inputs; those of the leaves wait for ``accumulate``. None where the graph is cut."""
        graph = self._find(number)
        if len(cotangents) != len(graph.outputs):
            raise Violation("cotangents")
        pairs = [(out, ct) for out, ct in zip(graph.outputs, cotangents, strict=True) if ct is not None]
        wanted = [*graph.inputs, *graph.leaves]
        if not pairs or not wanted:
            return [None] * len(graph.inputs)
        grads = _product(pairs, wanted)
        graph.pending = list(grads[len(graph.inputs) :])
        return list(grads[: len(graph.inputs)])

    def accumulate(self, number: int) -> None:
        """Add the gradients of the last product to the leaves, as ``backward`` does."""
        graph = self._find(number)
        for leaf, grad in zip(graph.leaves, graph.pending, strict=False):
            if grad is not None:
                leaf.grad = grad.clone() if leaf.grad is None else leaf.grad + grad
        graph.pending = []

    def release(self, numbers: list[int]) -> None:
        for number in numbers:
            self._graphs.pop(number, None)

    def _find(self, number: int) -> Graph:
        if number not in self._graphs:
            raise Violation("unknown graph")
        return self._graphs[number]


def _product(pairs: list[tuple[torch.Tensor, torch.Tensor]], wanted: list[torch.Tensor]) -> Sequence[Any]:
    """The vector-Jacobian product as the gradient of a weighted sum.

    ``grad_outputs`` would say the same, but makes torch import sympy (a second) in every fresh worker; it is left
    for complex outputs, whose weighted sum is not real.
    """
    if any(out.is_complex() for out, _ in pairs):
        outs, cotangents = [out for out, _ in pairs], [cotangent for _, cotangent in pairs]
        return torch.autograd.grad(outs, wanted, cotangents, retain_graph=True, allow_unused=True)
    weighted = [(out * cotangent).sum() for out, cotangent in pairs]
    return torch.autograd.grad(weighted, wanted, retain_graph=True, allow_unused=True)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors that travel by value, in the order in which the encoder meets them."""
    if isinstance(value, torch.Tensor):
        if not isinstance(value, torch.nn.Parameter):
            yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors(item)


def _leaves(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """The leaf tensors below ``outputs``."""
    found: dict[int, torch.Tensor] = {id(out): out for out in outputs if out.is_leaf}
    stack = [out.grad_fn for out in outputs if out.grad_fn is not None]
    seen = set()
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, torch.Tensor):
            found[id(leaf)] = leaf
        stack += [parent for parent, _ in node.next_functions if parent is not None]
    return list(found.values())
