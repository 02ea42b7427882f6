"""How fast a function grows along a direction: by the gradient of its code, and by central differences.

For a random cotangent c and a random direction d, <g, d> with the gradient g of <c, fn(x)> is held against
(<c, fn(x + hd)> - <c, fn(x - hd)>) / 2h. Several places can be moved at once, each by its own step. Parameters of a
module are moved where they live, by probes, and put back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from torchgrade.errors import AuthoringError
from torchgrade.expect.describe import describe, number_pair
from torchgrade.expect.likely import fail
from torchgrade.expect.tensors import Difference, wrong_kind
from torchgrade.i18n import translate as _
from torchgrade.isolation.probes import clear_gradients, parameter_gradients, parameter_values, set_parameters

STEP = 1e-6  # of the input's own size, or of 1 when that is larger
ROUNDING = 1e-9  # what remains of float64 in a difference quotient with this step, relative to the sum's terms


def place_name(key: int | str) -> str:
    """An input by its position, a parameter by its name, as a message says it."""
    return (_("input {name}") if isinstance(key, int) else _("parameter {name}")).format(name=key)


@dataclass(frozen=True)
class Place:
    """What can be moved: an input by its position, or a parameter by its name."""

    key: int | str
    value: torch.Tensor
    direction: torch.Tensor
    step: float  # how far along the direction
    gradient: torch.Tensor | None  # what arrived there

    @property
    def slope(self) -> float:
        """<g, d>: how fast <c, fn> grows along the direction, by the gradient that arrived."""
        return 0.0 if self.gradient is None else float((self.gradient * self.direction.conj()).real.sum())

    @property
    def norm(self) -> float:
        """Of the gradient; NaN or infinite where that is not finite."""
        return 0.0 if self.gradient is None else float(self.gradient.norm())


class Point:
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
        return floating(self.fn(*self.inputs))

    def places(self, outputs: list[torch.Tensor], cotangents: list[torch.Tensor]) -> list[Place]:
        """What is examined, with a direction and with the gradient that arrives there."""
        head = weighted(outputs, cotangents)
        wanted = [self.inputs[n] for n in self.examined]
        if self.module is None:
            arrived = torch.autograd.grad(head, wanted, allow_unused=True)
            return [_place_at(n, x, grad) for n, x, grad in zip(self.examined, wanted, arrived, strict=True)]
        head.backward()
        rows = [_place_at(n, x, x.grad) for n, x in zip(self.examined, wanted, strict=True)]
        rows += [_place_at(name, self.parameters[name], g) for name, g in parameter_gradients(self.module).items()]
        clear_gradients(self.module)
        for leaf in wanted:
            leaf.grad = None
        return rows

    def growth(self, places: list[Place], cotangents: list[torch.Tensor]) -> tuple[float, float]:
        """By how much <c, fn> grows when each place takes its step, and how much of it may be rounding."""
        moved = [place.key for place in places if isinstance(place.key, str)]
        try:
            ahead, behind = (self._at(places, sign) for sign in (1.0, -1.0))
        finally:
            if moved:
                set_parameters(self.module, {name: self.parameters[name] for name in moved})
        total, terms = 0.0, 0.0
        for one, other, cotangent in zip(ahead, behind, cotangents, strict=True):
            total += float(((one - other) * cotangent.conj()).real.sum()) / 2
            terms += float((one.abs() * cotangent.abs()).sum())
        return total, ROUNDING * terms * min(place.step for place in places)

    def _at(self, places: list[Place], sign: float) -> list[torch.Tensor]:
        """The outputs after the places took their step; parameters stay where they were moved."""
        moved = {place.key: place.value + sign * place.step * place.direction for place in places}
        inputs = [moved[n].requires_grad_() if n in moved else value for n, value in enumerate(self.inputs)]
        changed = {key: value for key, value in moved.items() if isinstance(key, str)}
        if changed:
            set_parameters(self.module, changed)
        return [output.detach() for output in floating(self.fn(*inputs))]

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


def _place_at(key: int | str, value: torch.Tensor, gradient: torch.Tensor | None) -> Place:
    value = value.detach()
    size = float(value.abs().square().mean().sqrt()) if value.numel() else 1.0
    return Place(key, value, torch.randn_like(value), STEP * max(1.0, size), gradient)


def agree(point: Point, places: list[Place], cotangents: list[torch.Tensor], rtol: float) -> bool:
    """Whether moving everything at once shows no error that any place would be blamed for, moved alone."""
    if any(place.gradient is None or not math.isfinite(place.norm) for place in places):
        return False
    growth, noise = point.growth(places, cotangents)
    error = abs(growth - sum(place.step * place.slope for place in places))
    return error <= rtol * min(place.step * place.norm for place in places) + noise


def slope_difference(place: Place, growth: float, noise: float, rtol: float) -> Difference | None:
    name, numeric, noise = place_name(place.key), growth / place.step, noise / place.step
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


def weighted(outputs: list[torch.Tensor], cotangents: list[torch.Tensor]) -> torch.Tensor:
    """<c, y>, whose gradient is the vector-Jacobian product; ``grad_outputs`` would import sympy, a second."""
    terms = [(o * c.conj()).sum().real for o, c in zip(outputs, cotangents, strict=True) if o.requires_grad]
    return torch.stack(terms).sum()


def floating(value: Any) -> list[torch.Tensor]:
    """The floating-point tensors of a result; Mismatch when there is none."""
    items: Sequence[Any] = list(value) if isinstance(value, (list, tuple)) else [value]
    found = [t for t in items if isinstance(t, torch.Tensor) and (t.is_floating_point() or t.is_complex())]
    if not found:
        if isinstance(value, torch.Tensor):
            fail(Difference(_("a floating-point tensor"), describe(value), _("the dtype is another")))
        fail(wrong_kind(value, _("a floating-point tensor"), _("not a tensor")))
    return found
