"""Where two tensors or arrays differ: kind, shape, dtype, device first, then the values."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from torchgrade.errors import AuthoringError
from torchgrade.expect.describe import describe, is_handle, kind_of, number_pair
from torchgrade.i18n import also
from torchgrade.i18n import translate as _

# dtype: (rtol, atol), the defaults of torch.testing; every other dtype compares exactly.
DEFAULTS = {
    torch.bfloat16: (1.6e-2, 1e-5),
    torch.float16: (1e-3, 1e-5),
    torch.float32: (1.3e-6, 1e-5),
    torch.float64: (1e-7, 1e-7),
    torch.complex32: (1e-3, 1e-5),
    torch.complex64: (1.3e-6, 1e-5),
    torch.complex128: (1e-7, 1e-7),
}


@dataclass(frozen=True)
class Tolerance:
    """How far a value may be from the expected one: ``|got - expected| <= atol + rtol * |expected|``."""

    rtol: float | None = None
    atol: float | None = None
    equal_nan: bool = False

    def __post_init__(self) -> None:
        if (self.rtol is None) != (self.atol is None):
            raise AuthoringError("Give rtol and atol together, or neither; one alone leaves a guess.")
        if self.rtol is not None and self.atol is not None and not (self.rtol >= 0 and self.atol >= 0):
            raise AuthoringError(f"rtol and atol must be 0 or more, not {self.rtol} and {self.atol}.")

    def of(self, dtype: torch.dtype) -> tuple[float, float]:
        """rtol and atol for values of this dtype."""
        if self.rtol is None or self.atol is None:
            return DEFAULTS.get(dtype, (0.0, 0.0))
        return self.rtol, self.atol

    def bounds(self, expected: torch.Tensor) -> tuple[float, float]:
        """rtol and atol for these values."""
        return self.of(expected.dtype)


Values = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]

PIECE = 1 << 15  # values that are compared at once: what fits into a processor's cache
EXACT = Tolerance(0.0, 0.0)


@dataclass(frozen=True)
class Difference:
    """What an expectation says when it fails. ``size`` tells how wrong, and no value.

    ``values``: of tensors what was expected, what came, and where it is wrong; None there when the shapes differ.
    """

    expected: str
    got: str
    size: str = ""
    values: Values | None = field(default=None, compare=False, repr=False)

    def inside(self, path: str) -> Difference:
        """The same difference, named by its place in a list or a dict."""
        at = _("{place}: {what}")
        expected, got = (at.format(place=path, what=what) for what in (self.expected, self.got))
        return replace(self, expected=expected, got=got)


def tensor_difference(got: Any, expected: torch.Tensor, tolerance: Tolerance) -> Difference | None:
    """None when ``got`` is a tensor of the same shape, dtype and device with the same values."""
    if not isinstance(got, torch.Tensor):
        return wrong_kind(got, describe(expected), _("not a tensor"))
    if got.shape != expected.shape:
        return Difference(describe(expected), describe(got), _("the shape is another"), (expected, got, None))
    if got.dtype != expected.dtype:
        return Difference(describe(expected), describe(got), _("the dtype is another"))
    if not _same_device(got.device, expected.device):
        return Difference(
            _("a tensor on {device}").format(device=expected.device),
            _("a tensor on {device}").format(device=got.device),
            _("the device is another"),
        )
    if got.layout != expected.layout:
        layouts = [str(t.layout).removeprefix("torch.") for t in (expected, got)]
        wanted, found = (_("a tensor of layout {layout}").format(layout=layout) for layout in layouts)
        return Difference(wanted, found, _("the layout is another"))
    if expected.device.type == "meta":
        raise AuthoringError("The expected tensor is on meta and holds no values: use expect.shape.")
    return value_difference(_plain(got), _plain(expected), tolerance)


def array_difference(got: Any, expected: np.ndarray[Any, Any], tolerance: Tolerance) -> Difference | None:
    """None when ``got`` is an array of the same shape and dtype with the same values."""
    if not isinstance(got, np.ndarray):
        return wrong_kind(got, describe(expected), _("not a numpy array"))
    if got.shape != expected.shape:
        values: Values | None = None
        with contextlib.suppress(TypeError):  # what torch does not know
            values = _as_tensor(expected), _as_tensor(got), None
        return Difference(describe(expected), describe(got), _("the shape is another"), values)
    if got.dtype != expected.dtype:
        return Difference(describe(expected), describe(got), _("the dtype is another"))
    if expected.dtype.kind in "biufc":
        try:
            return value_difference(_as_tensor(got), _as_tensor(expected), tolerance)
        except TypeError:  # long double, unsigned 128 bit: what torch does not know compares exactly
            pass
    if np.array_equal(got, expected):
        return None
    return Difference(describe(expected), _("an array with other values"), _("the values differ"))


def largest(expected: Any) -> float:
    """The largest finite absolute value of a tensor, an array or a number. Raises AuthoringError when it has none."""
    values = torch.as_tensor(expected).detach().abs().double()
    values = values[values.isfinite()]
    if not values.numel() or not bool(values.any()):
        raise AuthoringError("A tolerance cannot follow the scale of zeros: give rtol and atol.")
    return float(values.max())


def wrong_kind(got: Any, expected: str, verdict: str) -> Difference:
    """The answer is no value of the kind asked for; None gets the sentence that explains it."""
    if got is None:
        text = _("None: the call returned nothing")
    else:
        text = _("{value}, {verdict}").format(value=describe(got), verdict=verdict)
    # The size is told of hidden checks, too, and the name of a class is the submission's own.
    kind = _("an object") if is_handle(got) else kind_of(got)
    return Difference(expected, text, _("the answer is {kind}").format(kind=kind))


def value_difference(got: torch.Tensor, expected: torch.Tensor, tolerance: Tolerance) -> Difference | None:
    """None when every value of two plain tensors of one shape and dtype is within the tolerance."""
    if torch.equal(got, expected):  # false as soon as there is a NaN
        return None
    rtol, atol = tolerance.bounds(expected)
    wide = _wider(expected.dtype, rtol, atol)
    if got.numel() > PIECE and (rtol or atol) and _all_near(got, expected, wide, rtol, atol):
        return None
    got, expected = got.to("cpu", wide), expected.to("cpu", wide)
    wrong = ~_within(got, expected, rtol, atol, tolerance.equal_nan)
    count = int(wrong.sum())
    if count == 0:
        return None
    return replace(_report(got, expected, wrong, count, (rtol, atol)), values=(expected, got, wrong))


def _all_near(got: torch.Tensor, expected: torch.Tensor, wide: torch.dtype, rtol: float, atol: float) -> bool:
    """Whether all are finite and near, as in most answers; piece by piece, which takes little memory."""
    pieces = (tensor.reshape(-1).split(PIECE) for tensor in (got, expected))
    for one, other in zip(*pieces, strict=True):
        one, other = one.to("cpu", wide), other.to("cpu", wide)
        reach = other.abs().mul_(rtol).add_(atol)
        if not ((one - other).abs() <= reach).all() or not reach.sum().isfinite():
            return False
    return True


def _within(got: Any, expected: Any, rtol: float, atol: float, equal_nan: bool) -> torch.Tensor:
    same: torch.Tensor = got == expected  # infinities of one sign, and every integer
    if rtol or atol:
        reach = atol + rtol * expected.abs()
        same = same | ((got - expected).abs() <= reach) & expected.isfinite()
    if equal_nan:
        same = same | (got.isnan() & expected.isnan())
    return same


def _report(
    got: torch.Tensor, expected: torch.Tensor, wrong: torch.Tensor, count: int, bounds: tuple[float, float]
) -> Difference:
    total, nans = got.numel(), int((got.isnan() & wrong).sum())  # those that were to be NaN are right
    error = torch.zeros(got.shape, dtype=torch.float64)
    apart = _distance(got, expected)
    error[wrong] = apart[wrong].nan_to_num(nan=float("inf"), posinf=float("inf"))
    place = [int(i) for i in np.unravel_index(int(error.argmax()), got.shape)]
    index = tuple(place)
    expected_text, got_text = number_pair(expected[index].item(), got[index].item())
    if place:
        words = _("{value} at {place}")
        expected_text, got_text = (words.format(value=text, place=place) for text in (expected_text, got_text))
    if any(bounds):
        expected_text += f"  (rtol {bounds[0]:.4g}, atol {bounds[1]:.4g})"
    largest = float(error.max())
    if nans and total > 1:
        size = _("{nans} of {total} values are not a number (NaN)").format(nans=nans, total=total)
        return Difference(expected_text, also(got_text, size), size)
    if total == 1:
        size = _("the value is not a number (NaN)") if nans else _("the value differs by {error}")
        if not nans and _is_rounding(got, expected):
            size += _("; that is a matter of precision, as of float32 where float64 is asked for")
        return Difference(expected_text, got_text, size.format(error=f"{largest:.2g}"))
    size = _("{count} of {total} values differ, by {largest} at most")
    if _is_rounding(got, expected):
        size += _("; that is a matter of precision, as of float32 where float64 is asked for")
    got_text = _("{value}; {count} of {total} values differ, this one most").format(
        value=got_text, count=count, total=total
    )
    return Difference(expected_text, got_text, size.format(count=count, total=total, largest=f"{largest:.2g}"))


def _is_rounding(got: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether all values agree to float32's seven digits, measured by the largest of them."""
    if not got.dtype.is_floating_point or not bool((got.isfinite() & expected.isfinite()).all()):
        return False
    return float(_distance(got, expected).max()) <= 5e-7 * float(expected.abs().max())


def _distance(got: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    if got.dtype.is_complex:
        return (got - expected).abs()
    apart = (got.to(torch.float64) - expected.to(torch.float64)).abs()
    if got.dtype.is_floating_point or expected.dtype.is_floating_point:
        return apart
    exact = (got.to(torch.int64) - expected.to(torch.int64)).abs().to(torch.float64)
    return torch.where(apart < 2.0**62, exact, apart)  # float64 does not tell integers beyond 2^53 apart


def _wider(dtype: torch.dtype, rtol: float, atol: float) -> torch.dtype:
    """A dtype in which the comparison itself loses nothing."""
    if dtype.is_complex:
        return torch.complex128
    if dtype.is_floating_point or rtol or atol:
        return torch.float64
    return dtype if dtype in (torch.bool, torch.uint64) else torch.int64


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    plain = tensor.detach().as_subclass(torch.Tensor)
    if plain.is_quantized:
        plain = plain.dequantize()
    return plain if plain.layout is torch.strided else plain.to_dense()


def _as_tensor(array: np.ndarray[Any, Any]) -> torch.Tensor:
    native = np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)
    return torch.from_numpy(native)


def _same_device(one: torch.device, other: torch.device) -> bool:
    return one.type == other.type and (one.index or 0) == (other.index or 0)
