"""Gradients against central differences, and gradients that must arrive at all.

How :func:`gradients` works. In each round it draws a cotangent c, asks autograd for the gradients of <c, fn(inputs)>
and holds them against central differences (``slopes``): all inputs moved at once, and when that disagrees, one at a
time, which tells whose gradient it is. A sum in place of c would hide errors: through softmax, layer norm and batch
norm its gradient is zero whatever the code does. Everything is float64, so that the differences keep about nine digits.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch

from torchgrade.errors import AuthoringError, Mismatch, SubmissionRaised
from torchgrade.expect.likely import fail
from torchgrade.expect.slopes import Look, Point, agree, floating, place_name, weighted
from torchgrade.expect.tensors import Difference
from torchgrade.i18n import translate as _
from torchgrade.isolation.worker.probes import clear_gradients, gradient_flow_problems
from torchgrade.isolation.worker.probes.gradients import flow_problem

ROUNDS = 3  # each with a call, a cotangent and directions of its own


def gradients(
    fn: Callable[..., Any],
    inputs: Any,
    rtol: float = 1e-4,
    *,
    module: Any = None,
    given: str | None = None,
) -> None:
    """The gradients of ``fn`` agree with central differences, for every input that requires one.

    ``inputs`` is a tuple; float64 tensors with ``requires_grad`` are examined, everything else is passed on.
    ``module`` is a handle to a float64 module inside of ``fn`` whose parameters are examined as well; it comes
    back unchanged but for buffers that it updates itself, with cleared gradients.
    An error passes when it is below ``rtol`` of the gradient's norm. A larger one, of e times that norm, is missed by
    one random direction with a probability near 0.8 ``rtol`` / e, by all of them with that to the power ``ROUNDS``:
    5e-7 for an error of one percent. A kink near an input, as a ReLU has many, is stepped around; choose inputs
    that are not exactly at one, and no ties.

    Raises Mismatch, naming the input; AuthoringError when there is nothing to examine or it is not float64.
    """
    given_inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    point = Point(fn, [_fresh(value) for value in given_inputs], module)
    point.need_something()
    seen = ROUNDS - 1 if fn is module and _agrees_by_value(point, ROUNDS - 1, rtol) else 0
    for _round in range(seen, ROUNDS):
        look = _look(point, given)
        if agree(point, look, rtol):
            continue
        for place in look.places:
            found = point.difference(place, look, rtol)
            if found is not None:
                fail(point.explained(found, look.outputs), given=given)


def _look(point: Point, given: str | None = None) -> Look:
    """Outputs, a random cotangent for each, and the places with the gradients that arrive there."""
    places = point.places()
    outputs, sides = point.called(places)
    _need_graph(outputs, given)
    cotangents = [torch.randn_like(output) for output in outputs]
    return Look(outputs, sides, cotangents, point.with_gradients(places, outputs, cotangents))


def _agrees_by_value(point: Point, rounds: int, rtol: float) -> bool:
    """Whether the module shows no error as a function of its inputs and of its parameters, which takes a third of the
    calls. One that reads its parameters in a way of its own may fail here and be right; what arrives in the
    parameters themselves is for another round."""
    parameters = [value.clone().requires_grad_() for value in point.parameters.values()]
    by_value = Point(point.module, [*point.inputs, *parameters], None, tuple(point.parameters))
    with suppress(Mismatch, SubmissionRaised):
        return all(agree(by_value, _look(by_value), rtol) for _round in range(rounds))
    return False


def gradient_flow(output: Any, *inputs: torch.Tensor, module: Any = None, given: str | None = None) -> None:
    """A finite gradient that is not all zero arrives at every input and every parameter of ``module``.

    The cotangent is random. ``module`` is a handle; its gradients are cleared first and stay afterwards.
    Parameters that want no gradient are left out. Raises Mismatch, naming the first that is cut off.
    """
    outputs = floating(output)
    _need_graph(outputs, given)
    head = weighted(outputs, [torch.randn_like(output) for output in outputs])
    problems: list[tuple[str, str]] = []
    if inputs:
        grads = torch.autograd.grad(head, inputs, retain_graph=True, allow_unused=True)
        problems += [(place_name(n), flow_problem(grad)) for n, grad in enumerate(grads)]
    if module is not None:
        clear_gradients(module)
        head.backward(retain_graph=True)
        problems += [(place_name(name), found) for name, found in gradient_flow_problems(module).items()]
    if not problems:
        raise AuthoringError("expect.gradient_flow has nothing to examine: give inputs or a module.")
    said = {
        "none": _("no gradient arrives there"),
        "not finite": _("a gradient with NaN or infinite values"),
        "zeros": _("a gradient of zeros"),
    }
    for name, problem in problems:
        if problem:
            wanted = _("a gradient that reaches {name}").format(name=name)
            fail(Difference(wanted, said[problem], said[problem]), given=given)


def _need_graph(outputs: list[torch.Tensor], given: str | None) -> None:
    if not any(output.requires_grad for output in outputs):
        got = _("a result without grad_fn: the graph is cut")
        fail(Difference(_("a result that carries gradients"), got, got), given=given)


def _fresh(value: Any) -> Any:
    """A leaf of our own, so that nothing accumulates in the author's tensors."""
    if isinstance(value, torch.Tensor) and value.requires_grad:
        return value.detach().clone().requires_grad_()
    return value
