"""Gradients against central differences, and gradients that must arrive at all.

How :func:`gradients` works. For a random cotangent c it asks autograd for the gradients g of <c, fn(inputs)>,
then moves the inputs along random directions d and compares <g, d> with (<c, fn(x + hd)> - <c, fn(x - hd)>) / 2h:
first all inputs at once, each by its own step; when that disagrees, one at a time, which tells whose gradient it is.
A sum in place of c would hide errors: through softmax, layer norm and batch norm its gradient is zero whatever the
code does. Everything is float64, so that the differences keep about nine digits. Parameters of a module are moved
where they live, by probes, and put back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from torchgrade.errors import AuthoringError, Mismatch, SubmissionRaised
from torchgrade.expect.describe import describe, number_pair
from torchgrade.expect.likely import fail
from torchgrade.expect.tensors import Difference, wrong_kind
from torchgrade.i18n import translate as _
from torchgrade.isolation.probes import (
    call_with,
    clear_gradients,
    parameter_gradients,
    parameter_values,
    set_parameters,
)

STEP = 1e-6  # of the input's own size, or of 1 when that is larger
ROUNDS = 2  # each with a call, a cotangent and directions of its own
ROUNDING = 1e-9  # what remains of float64 in a difference quotient with this step, relative to the sum's terms


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
    6e-5 for an error of one percent. Choose inputs away from kinks and ties.

    Raises Mismatch, naming the input; AuthoringError when there is nothing to examine or it is not float64.
    """
    given_inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    point = _Point(fn, [_fresh(value) for value in given_inputs], module)
    point.need_something()
    if fn is module and _all_agree(point, rtol):
        return
    for _round in range(ROUNDS):
        outputs = point.outputs()
        _need_graph(outputs, given)
        cotangents = [torch.randn_like(output) for output in outputs]
        places = point.places(outputs, cotangents)
        if _agree(point, places, cotangents, rtol):
            continue
        for place in places:
            found = _slope_difference(place, *point.slope([place], cotangents), rtol)
            if found is not None:
                fail(point.explained(found, outputs), given=given)


@dataclass(frozen=True)
class _Place:
    """What can be moved: an input by its position, or a parameter by its name."""

    key: int | str
    value: torch.Tensor
    direction: torch.Tensor
    step: float  # how far along the direction
    gradient: torch.Tensor | None  # what arrived there

    @property
    def name(self) -> str:
        kind = _("input {number}") if isinstance(self.key, int) else _("parameter {number}")
        return kind.format(number=self.key)

    @property
    def slope(self) -> float:
        """<g, d>: how fast <c, fn> grows along the direction, by the gradient that arrived."""
        return 0.0 if self.gradient is None else float((self.gradient * self.direction.conj()).real.sum())

    @property
    def norm(self) -> float:
        """Of the gradient; NaN or infinite where that is not finite."""
        return 0.0 if self.gradient is None else float(self.gradient.norm())


class _Point:
    """The function, and the place in the space of inputs and parameters where its slope is examined."""

    def __init__(self, fn: Callable[..., Any], inputs: list[Any], module: Any) -> None:
        self.fn = fn
        self.inputs = inputs
        self.module = module
        self.examined = [n for n, x in enumerate(inputs) if isinstance(x, torch.Tensor) and x.requires_grad]
        self.parameters: dict[str, torch.Tensor] = {}
        if module is not None:
            self.parameters = parameter_values(module)
            clear_gradients(module)

    def need_something(self) -> None:
        """Raises AuthoringError when there is nothing in float64 to examine."""
        examined = [self.inputs[n] for n in self.examined] + list(self.parameters.values())
        if not examined:
            raise AuthoringError("expect.gradients has nothing to examine: no input has requires_grad.")
        for value in examined:
            if value.dtype not in (torch.float64, torch.complex128):
                raise AuthoringError(f"expect.gradients needs float64, not {value.dtype}: differences lose the rest.")

    def outputs(self) -> list[torch.Tensor]:
        return _floating(self.fn(*self.inputs))

    def places(self, outputs: list[torch.Tensor], cotangents: list[torch.Tensor]) -> list[_Place]:
        """What is examined, with a direction and with the gradient that arrives there."""
        head = _weighted(outputs, cotangents)
        wanted = [self.inputs[n] for n in self.examined]
        if self.module is None:
            arrived = torch.autograd.grad(head, wanted, allow_unused=True)
            return [_place(n, x, grad) for n, x, grad in zip(self.examined, wanted, arrived, strict=True)]
        head.backward()
        rows = [_place(n, x, x.grad) for n, x in zip(self.examined, wanted, strict=True)]
        rows += [_place(name, self.parameters[name], g) for name, g in parameter_gradients(self.module).items()]
        clear_gradients(self.module)
        for leaf in wanted:
            leaf.grad = None
        return rows

    def slope(self, places: list[_Place], cotangents: list[torch.Tensor]) -> tuple[float, float]:
        """By how much <c, fn> grows when each place takes its step, and how much of it may be rounding."""
        moved = [place.key for place in places if isinstance(place.key, str)]
        try:
            ahead, behind = (self._at(places, sign) for sign in (1.0, -1.0))
        finally:
            if moved:
                set_parameters(self.module, {name: self.parameters[name] for name in moved})
        growth, terms = 0.0, 0.0
        for one, other, cotangent in zip(ahead, behind, cotangents, strict=True):
            growth += float(((one - other) * cotangent.conj()).real.sum()) / 2
            terms += float((one.abs() * cotangent.abs()).sum())
        return growth, ROUNDING * terms * min(place.step for place in places)

    def _at(self, places: list[_Place], sign: float) -> list[torch.Tensor]:
        """The outputs after the places took their step; parameters stay where they were moved."""
        moved = {place.key: place.value + sign * place.step * place.direction for place in places}
        inputs = [moved[n].requires_grad_() if n in moved else value for n, value in enumerate(self.inputs)]
        changed = {key: value for key, value in moved.items() if isinstance(key, str)}
        if changed:
            set_parameters(self.module, changed)
        return [output.detach() for output in _floating(self.fn(*inputs))]

    def explained(self, found: Difference, outputs: list[torch.Tensor]) -> Difference:
        """The same difference, unless the function is not even a function of its inputs."""
        again = self.outputs()
        same = len(again) == len(outputs) and all(
            one.shape == other.shape and torch.allclose(one, other, equal_nan=True)
            for one, other in zip(again, outputs, strict=True)
        )
        if same:
            return found
        wanted = _("the same result for two calls with the same arguments")
        return Difference(wanted, _("different results"), _("the result is not reproducible"))


def _place(key: int | str, value: torch.Tensor, gradient: torch.Tensor | None) -> _Place:
    value = value.detach()
    size = float(value.abs().square().mean().sqrt()) if value.numel() else 1.0
    return _Place(key, value, torch.randn_like(value), STEP * max(1.0, size), gradient)


def _agree(point: _Point, places: list[_Place], cotangents: list[torch.Tensor], rtol: float) -> bool:
    """Whether moving everything at once shows no error that any place would be blamed for, moved alone."""
    if any(place.gradient is None or not math.isfinite(place.norm) for place in places):
        return False
    growth, noise = point.slope(places, cotangents)
    error = abs(growth - sum(place.step * place.slope for place in places))
    return error <= rtol * min(place.step * place.norm for place in places) + noise


def _all_agree(point: _Point, rtol: float) -> bool:
    """Whether the module, as a function of its inputs and of its parameters, shows no error: that takes a third of
    the calls. A module that reads its parameters in a way of its own may fail here and be right."""
    names, count = list(point.parameters), len(point.inputs)

    def fn(*values: Any) -> Any:
        return call_with(point.module, dict(zip(names, values[count:], strict=True)), *values[:count])

    parameters = [value.clone().requires_grad_() for value in point.parameters.values()]
    by_value = _Point(fn, [*point.inputs, *parameters], None)
    with suppress(Mismatch, SubmissionRaised, RuntimeError):
        for _round in range(ROUNDS):
            outputs = by_value.outputs()
            cotangents = [torch.randn_like(output) for output in outputs]
            if not _agree(by_value, by_value.places(outputs, cotangents), cotangents, rtol):
                return False
        return True
    return False


def _slope_difference(place: _Place, growth: float, noise: float, rtol: float) -> Difference | None:
    name, numeric, noise = place.name, growth / place.step, noise / place.step
    if place.gradient is None:
        if abs(numeric) <= noise:
            return None  # the function really does not depend on it
        wanted = _("a gradient for {name}: the result depends on it").format(name=name)
        return Difference(wanted, _("no gradient arrives there"), _("a gradient is missing"))
    if not math.isfinite(place.norm):
        wanted = _("a finite gradient for {name}").format(name=name)
        return Difference(wanted, _("NaN or infinite values in it"), _("a gradient is not finite"))
    error = abs(place.slope - numeric)
    if error <= rtol * max(place.norm, abs(numeric)) + noise:
        return None
    expected, got = number_pair(numeric, place.slope)
    wanted = _("slope {slope} of {name} along a random direction, by central differences")
    found = _("{slope} by the gradient of the code").format(slope=got)
    size = _("the gradient of {name} is off by {error}").format(name=name, error=f"{error:.2g}")
    return Difference(wanted.format(slope=expected, name=name), found, size)


def gradient_flow(output: Any, *inputs: torch.Tensor, module: Any = None, given: str | None = None) -> None:
    """A finite gradient that is not all zero arrives at every input and every parameter of ``module``.

    The cotangent is random. ``module`` is a handle; its gradients are cleared first and stay afterwards.
    Parameters that want no gradient are left out. Raises Mismatch, naming the first that is cut off.
    """
    outputs = _floating(output)
    _need_graph(outputs, given)
    head = _weighted(outputs, [torch.randn_like(output) for output in outputs])
    arrived: list[tuple[str, torch.Tensor | None]] = []
    if inputs:
        grads = torch.autograd.grad(head, inputs, retain_graph=True, allow_unused=True)
        arrived += [(_("input {number}").format(number=n), grad) for n, grad in enumerate(grads)]
    if module is not None:
        clear_gradients(module)
        head.backward(retain_graph=True)
        named = parameter_gradients(module)
        arrived += [(_("parameter {name}").format(name=name), grad) for name, grad in named.items()]
    if not arrived:
        raise AuthoringError("expect.gradient_flow has nothing to examine: give inputs or a module.")
    for name, grad in arrived:
        problem = _flow_problem(grad)
        if problem:
            wanted = _("a gradient that reaches {name}").format(name=name)
            fail(Difference(wanted, problem, problem), given=given)


def _flow_problem(grad: torch.Tensor | None) -> str:
    if grad is None:
        return _("no gradient arrives there")
    if not bool(grad.isfinite().all()):
        return _("a gradient with NaN or infinite values")
    return "" if bool(grad.count_nonzero()) else _("a gradient of zeros")


def _weighted(outputs: list[torch.Tensor], cotangents: list[torch.Tensor]) -> torch.Tensor:
    """<c, y>, whose gradient is the vector-Jacobian product; ``grad_outputs`` would import sympy, a second."""
    terms = [(o * c.conj()).sum().real for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    return torch.stack(terms).sum()


def _need_graph(outputs: list[torch.Tensor], given: str | None) -> None:
    if not any(output.requires_grad for output in outputs):
        got = _("a result without grad_fn: the graph is cut")
        fail(Difference(_("a result that carries gradients"), got, got), given=given)


def _floating(value: Any) -> list[torch.Tensor]:
    """The floating-point tensors of a result; Mismatch when there is none."""
    items: Sequence[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
    found = [t for t in items if isinstance(t, torch.Tensor) and (t.is_floating_point() or t.is_complex())]
    if not found:
        if isinstance(value, torch.Tensor):
            fail(Difference(_("a floating-point tensor"), describe(value), _("the dtype is another")))
        fail(wrong_kind(value, _("a floating-point tensor"), _("not a tensor")))
    return found


def _fresh(value: Any) -> Any:
    """A leaf of our own, so that nothing accumulates in the author's tensors."""
    if isinstance(value, torch.Tensor) and value.requires_grad:
        return value.detach().clone().requires_grad_()
    return value
