"""A call in the worker as a node of the grader's graph: ``backward`` asks there for the vector-Jacobian product."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch.autograd.function import once_differentiable

from torchgrade.errors import BadAnswer


class Asking(Protocol):
    """What a node of the graph needs of a client."""

    dropped_graphs: list[int]

    def request(self, op: str, **request: Any) -> Any: ...


class _Lease:
    """Keeps a graph alive in the worker as long as something here may ask for its gradients."""

    def __init__(self, client: Asking, number: int) -> None:
        self.client = client
        self.number = number
        self.outputs: list[torch.Tensor] = []

    def __del__(self) -> None:
        self.client.dropped_graphs.append(self.number)


class RemoteCall(torch.autograd.Function):
    """One past call as a node of the grader's graph; ``backward`` asks the worker for the product."""

    @staticmethod
    def forward(ctx: Any, lease: _Lease, anchor: torch.Tensor | None, *inputs: torch.Tensor) -> Any:
        ctx.lease, ctx.anchored, ctx.inputs = lease, anchor is not None, len(inputs)
        ctx.shapes = [(tensor.shape, tensor.dtype, tensor.device) for tensor in inputs]
        ctx.set_materialize_grads(False)
        outputs, lease.outputs = tuple(lease.outputs), []
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: torch.Tensor | None) -> Any:
        client: Asking = ctx.lease.client
        grads = client.request("vjp", graph=ctx.lease.number, cotangents=list(cotangents))
        if type(grads) is not list or len(grads) != ctx.inputs:
            raise BadAnswer("gradients that are not one for each input")
        for grad, (shape, dtype, device) in zip(grads, ctx.shapes, strict=True):
            fits = grad is None or (
                isinstance(grad, torch.Tensor) and grad.shape == shape and grad.dtype == dtype and grad.device == device
            )
            if not fits:
                raise BadAnswer("a gradient that does not fit its input")
        return (None, torch.zeros(()) if ctx.anchored else None, *grads)


def attach(
    client: Asking, value: Any, graph: list[Any], outputs: list[torch.Tensor], inputs: list[torch.Tensor]
) -> Any:
    """Put the differentiable tensors of a reply into this process's graph.

    An anchor (a leaf that is nobody's parameter) stands for the parameters in the worker: when ``backward``
    reaches it, and only then, their gradients are accumulated there.
    """
    number, has_leaves = graph
    lease = _Lease(client, number)
    lease.outputs = list(outputs)
    anchor = None
    if has_leaves or not inputs:
        anchor = torch.zeros((), requires_grad=True)
        anchor.register_post_accumulate_grad_hook(lambda _: client.request("accumulate", graph=number))
    attached = RemoteCall.apply(lease, anchor, *inputs)  # type: ignore[no-untyped-call]
    return _replace(value, {id(old): new for old, new in zip(outputs, attached, strict=True)})


def _replace(value: Any, new: dict[int, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return new.get(id(value), value)
    if isinstance(value, (list, tuple)):
        return type(value)(_replace(item, new) for item in value)
    if isinstance(value, dict):
        return {key: _replace(item, new) for key, item in value.items()}
    return value
