"""How fast a function grows along a direction: by the gradient of its code, and by central differences.

For a random cotangent c and a random direction d, <g, d> with the gradient g of <c, fn(x)> is held against
(<c, fn(x + hd)> - <c, fn(x - hd)>) / 2h. Several places can be moved at once, each by its own step. Parameters of a
module are moved where they live, by probes, and put back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from torchgrade.errors import AuthoringError, BadAnswer
from torchgrade.expect.describe import describe, number_pair
from torchgrade.expect.likely import fail
from torchgrade.expect.tensors import Difference, wrong_kind
from torchgrade.i18n import translate as _
from torchgrade.isolation.worker.probes import (
    calls,
    clear_gradients,
    parameter_gradients,
    parameter_values,
    set_parameters,
)

STEP = 1e-6  # of the input's own size, or of 1 when that is larger
ROUNDING = 1e-9  # what remains of float64 in a difference quotient with this step, relative to the sum's terms
CLOSER = 100  # as many times shorter is the step beside a kink: so many fewer kinks lie within it


def place_name(key: int | str) -> str:
    """An input by its position, a parameter by its name, as a message says it; "input 0" would read as x = 0."""
    if isinstance(key, str):
        return _("parameter {name}").format(name=key)
    ordinals = (_("the first input"), _("the second input"), _("the third input"), _("the fourth input"))
    return ordinals[key] if key < len(ordinals) else _("input number {number}").format(number=key + 1)


@dataclass(frozen=True)
class Place:
    """What can be moved: an input by its position, or a parameter by its name."""

    key: int | str
    value: torch.Tensor
    direction: torch.Tensor
    step: float  # how far along the direction
    gradient: torch.Tensor | None = None  # what arrived there

    @property
    def slope(self) -> float:
        """<g, d>: how fast <c, fn> grows along the direction, by the gradient that arrived."""
        return 0.0 if self.gradient is None else float((self.gradient * self.direction.conj()).real.sum())

    @property
    def norm(self) -> float:
        """Of the gradient; NaN or infinite where that is not finite."""
        return 0.0 if self.gradient is None else float(self.gradient.norm())


Outputs = list[torch.Tensor]
Sides = tuple[Outputs, Outputs]  # ahead, and behind: after every place took its step, or the same step back


@dataclass(frozen=True)
class Look:
    """What one round sees: outputs, those at the sides where they are known, cotangents, places with gradients."""

    outputs: Outputs
    sides: Sides | None
    cotangents: list[torch.Tensor]
    places: list[Place]


class Point:
    """The function, and the place in the space of inputs and parameters where its slope is examined.

    ``module`` has parameters that are examined where they live. With ``names`` the function is a module, and the last
    inputs are the values of its parameters that have these names.
    """

    def __init__(self, fn: Any, inputs: list[Any], module: Any, names: Sequence[str] = ()) -> None:
        self.fn = fn
        self.inputs = inputs
        self.module = module
        self.names = names
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

    def places(self) -> list[Place]:
        """What is examined, each with a random direction."""
        inputs = [_place_at(n, self.inputs[n]) for n in self.examined]
        return inputs + [_place_at(name, value) for name, value in self.parameters.items()]

    def called(self, places: list[Place]) -> tuple[Outputs, Sides | None]:
        """The outputs; in the same exchange those at the sides, unless parameters have to be moved where they live."""
        if self.parameters:
            return self._outputs([{}])[0], None
        here, ahead, behind = self._outputs([{}, _moved(places, 1.0), _moved(places, -1.0)])
        return here, (ahead, behind)

    def with_gradients(self, places: list[Place], outputs: Outputs, cotangents: list[torch.Tensor]) -> list[Place]:
        """The places with the gradients of <c, outputs> that arrive there."""
        head = weighted(outputs, cotangents)
        wanted = [self.inputs[n] for n in self.examined]
        if self.module is None:
            arrived: list[torch.Tensor | None] = list(torch.autograd.grad(head, wanted, allow_unused=True))
        else:
            head.backward()
            arrived = [leaf.grad for leaf in wanted]
            reached = parameter_gradients(self.module)
            arrived += [reached.get(name) for name in self.parameters]
            clear_gradients(self.module)
            for leaf in wanted:
                leaf.grad = None
        return [replace(place, gradient=gradient) for place, gradient in zip(places, arrived, strict=True)]

    def growth(
        self, places: list[Place], cotangents: list[torch.Tensor], sides: Sides | None = None
    ) -> tuple[float, float]:
        """By how much <c, fn> grows when each place takes its step, and how much of it may be rounding."""
        ahead, behind = sides or self._sides(places)
        terms = sum(
            float((one.detach().abs() * cotangent.abs()).sum())
            for one, cotangent in zip(ahead, cotangents, strict=True)
        )
        return gain(ahead, behind, cotangents) / 2, ROUNDING * terms * min(place.step for place in places)

    def difference(self, place: Place, look: Look, rtol: float) -> Difference | None:
        """What is wrong with the gradient of one place, moved alone. A kink within the step is stepped around."""
        growth, noise = self.growth([place], look.cotangents)
        found = slope_difference(place, growth, noise, rtol)
        if found is None or not self._bends(place, look, abs(growth - place.step * place.slope)):
            return found
        closer = replace(place, step=place.step / CLOSER)  # what may be rounding stays as large as it was
        return slope_difference(closer, self.growth([closer], look.cotangents)[0], noise, rtol)

    def _bends(self, place: Place, look: Look, error: float) -> bool:
        """Whether a kink within the step explains the error: ahead of it or behind, the growth is off by twice that.

        The two sides of a smooth function differ by its curvature alone, a millionth of what a wrong gradient makes.
        """
        ahead, behind = self._sides([place])
        onward = gain(ahead, look.outputs, look.cotangents)
        return abs(onward - gain(look.outputs, behind, look.cotangents)) > error

    def _sides(self, places: list[Place]) -> Sides:
        moves = [_moved(places, sign) for sign in (1.0, -1.0)]
        changed = [place.key for place in places if isinstance(place.key, str)]
        if not changed:
            ahead, behind = self._outputs(moves)
            return ahead, behind
        sides = []
        try:
            for move in moves:
                set_parameters(self.module, {name: move[name] for name in changed})
                sides += self._outputs([move])
        finally:
            set_parameters(self.module, {name: self.parameters[name] for name in changed})
        return sides[0], sides[1]

    def _outputs(self, moves: Sequence[Mapping[int | str, torch.Tensor]]) -> list[Outputs]:
        """For each of ``moves`` the outputs with these inputs in place of those that stand there."""
        arguments = [[move.get(n, value) for n, value in enumerate(self.inputs)] for move in moves]
        values = calls(self.fn, arguments, self.names)
        if type(values) is not list or len(values) != len(moves):
            raise BadAnswer("results that are not one for each call")
        return [floating(value) for value in values]

    def explained(self, found: Difference, outputs: Outputs) -> Difference:
        """The same difference, unless the function is not even a function of its inputs."""
        again = self._outputs([{}])[0]
        same = len(again) == len(outputs) and all(
            one.shape == other.shape and torch.allclose(one, other, equal_nan=True)
            for one, other in zip(again, outputs, strict=True)
        )
        if same:
            return found
        wanted = _("the same result for two calls with the same arguments")
        return Difference(wanted, _("different results"), _("the result is not reproducible"))


def _place_at(key: int | str, value: torch.Tensor) -> Place:
    value = value.detach()
    size = float(value.abs().square().mean().sqrt()) if value.numel() else 1.0
    return Place(key, value, torch.randn_like(value), STEP * max(1.0, size))


def _moved(places: list[Place], sign: float) -> dict[int | str, torch.Tensor]:
    """The values after each place took its step; they want gradients, as the inputs do."""
    return {place.key: (place.value + sign * place.step * place.direction).requires_grad_() for place in places}


def agree(point: Point, look: Look, rtol: float) -> bool:
    """Whether moving everything at once shows no error that any place would be blamed for, moved alone."""
    places = look.places
    if any(place.gradient is None or not math.isfinite(place.norm) for place in places):
        return False
    growth, noise = point.growth(places, look.cotangents, look.sides)
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


def gain(ahead: Outputs, behind: Outputs, cotangents: list[torch.Tensor]) -> float:
    """<c, ahead - behind>."""
    sides = zip(ahead, behind, cotangents, strict=True)
    return sum(float(((one.detach() - other.detach()) * c.conj()).real.sum()) for one, other, c in sides)


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
