"""``close`` and ``equal``: the first place where an answer differs from the truth, as two short lines.

The answer comes from a submission, so it may be anything: None, a list where a tensor is asked for, a handle.
Each kind of junk gets a sentence, and nothing here calls a method of an object that it does not know.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from torchgrade.errors import AuthoringError
from torchgrade.expect.describe import dtype_text, is_handle, kind_of, shape_text
from torchgrade.expect.differences import difference
from torchgrade.expect.likely import Likely, fail, prove
from torchgrade.expect.tensors import EXACT, Difference, Tolerance, largest, wrong_kind
from torchgrade.i18n import translate as _


def close(
    got: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    *,
    scale: float | None = None,
    equal_nan: bool = False,
    trivial: str | None = None,
    likely: Likely | None = None,
    given: str | None = None,
) -> None:
    """``got`` has the kind, shape, dtype and device of ``expected`` and its values within the tolerance.

    Compares tensors, numpy arrays, floats and nested lists, tuples and dicts of them; a list may stand for
    a tuple. Integers, booleans and strings compare exactly. The tolerance follows the dtype as in
    torch.testing; a Python float counts as float64. NaN never passes unless ``equal_nan``.
    ``scale`` replaces rtol and atol: a value may be off by so much of the largest in ``expected``, as after many
    layers, where rounding follows the largest terms and not the value itself.

    Raises Mismatch; AuthoringError when only one of ``rtol`` and ``atol`` is given, or with ``scale``, and, while a
    suite is being proven, when ``expected`` is trivial (see :mod:`torchgrade.expect.likely`) without a reason.
    """
    if scale is not None:
        if rtol is not None or atol is not None:
            raise AuthoringError("Give scale, or rtol and atol.")
        rtol, atol = 0.0, scale * largest(expected)
    tolerance = Tolerance(rtol, atol, equal_nan)
    _compare(got, expected, tolerance, trivial, likely, given)


def equal(
    got: Any,
    expected: Any,
    because: str | None = None,
    *,
    trivial: str | None = None,
    likely: Likely | None = None,
    given: str | None = None,
) -> None:
    """``got`` is exactly ``expected``: 832.0 is not 832, True is not 1, a list is not a tuple.

    ``because`` explains the expected value in the report. numpy's integers and floats count as Python's,
    a ``torch.Size`` as a tuple. Raises Mismatch.
    """
    _compare(got, expected, EXACT, trivial, likely, given, because)


def shape(got: Any, shape: Any, *, likely: Likely | None = None, given: str | None = None) -> None:
    """``got`` is a tensor or an array of this shape; ``None`` in ``shape`` stands for any size."""
    wanted = tuple(shape)

    def matches(other: Any) -> bool:
        sizes = tuple(other)
        return len(sizes) == len(found) and all(a in (None, b) for a, b in zip(sizes, found, strict=True))

    prove(wanted, likely, lambda one, other: tuple(one) == tuple(other))
    if not _has(got, "shape"):
        fail(wrong_kind(got, _tensor_of(wanted), _("not a tensor")), given=given)
    found = tuple(int(size) for size in got.shape)
    if not matches(wanted):
        difference = Difference(shape_text(wanted), shape_text(found), _("the shape is another"))
        fail(difference, likely=likely, matches=matches, given=given)


def dtype(got: Any, dtype: Any, *, likely: Likely | None = None, given: str | None = None) -> None:
    """``got`` is a tensor of this ``torch.dtype``, or an array of this numpy dtype."""
    prove(dtype, likely, lambda one, other: bool(one == other))
    expected = dtype_text(np.dtype(dtype) if isinstance(dtype, type) else dtype)
    if not _has(got, "dtype"):
        fail(wrong_kind(got, expected, _("which has no dtype")), given=given)
    found = got.dtype
    tensors = isinstance(found, torch.dtype)
    if tensors != isinstance(dtype, torch.dtype):
        wanted = _("a tensor of dtype {dtype}") if not tensors else _("an array of dtype {dtype}")
        fail(Difference(wanted.format(dtype=expected), kind_of(got), _("the kind is another")), given=given)
    if found != dtype:
        difference = Difference(expected, dtype_text(found), _("the dtype is another"))
        fail(difference, likely=likely, matches=lambda value: bool(found == value), given=given)


def _compare(
    got: Any,
    expected: Any,
    tolerance: Tolerance,
    trivial: str | None,
    likely: Likely | None,
    given: str | None,
    because: str | None = None,
) -> None:
    def same(one: Any, other: Any) -> bool:
        return difference(one, other, tolerance) is None

    prove(expected, likely, same, trivial=trivial, checks_values=True)
    found = difference(got, expected, tolerance)
    if found is not None:
        if because:
            words = _("{value}: {why}").format(value=_(found.expected or ""), why=_(because))
            found = replace(found, expected=words)
        fail(found, likely=likely, matches=lambda value: same(got, value), given=given)


def _has(got: Any, name: str) -> bool:
    """Whether the answer is a tensor, an array or a handle to one."""
    if isinstance(got, (torch.Tensor, np.ndarray)):
        return True
    return is_handle(got) and hasattr(type(got), name)


def _tensor_of(sizes: tuple[Any, ...]) -> str:
    return _("a tensor of shape {shape}").format(shape=shape_text(sizes))
