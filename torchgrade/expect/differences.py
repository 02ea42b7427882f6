"""The first difference between an answer and the truth, through lists, tuples and dicts."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from torchgrade.expect.describe import a_or_an, describe, fetched, in_full, is_handle, kind_of, number_pair
from torchgrade.expect.tensors import (
    EXACT,
    Difference,
    Tolerance,
    array_difference,
    tensor_difference,
    wrong_kind,
)
from torchgrade.i18n import translate as _

SHOWN = 4  # items of a sequence of another length


def difference(got: Any, expected: Any, tolerance: Tolerance) -> Difference | None:
    """None when ``got`` is ``expected`` within the tolerance; handles to tensors and arrays are fetched."""
    if is_handle(expected) and is_handle(got) and bool(got == expected):
        return None
    got, expected = fetched(got), fetched(expected)
    if isinstance(expected, torch.Tensor):
        return tensor_difference(got, expected, tolerance)
    if isinstance(expected, np.ndarray):
        return array_difference(got, expected, tolerance)
    if isinstance(expected, Mapping):
        return _mapping_difference(got, expected, tolerance)
    if isinstance(expected, (list, tuple)):
        return _sequence_difference(got, expected, tolerance)
    if isinstance(expected, (numbers.Number, np.bool_)):
        return _number_difference(got, expected, tolerance)
    if type(got) is type(expected) and not is_handle(got) and bool(got == expected):
        return None
    return _other_difference(got, expected)


def _number_difference(got: Any, expected: Any, tolerance: Tolerance) -> Difference | None:
    wanted, found = _family(expected), _family(got)
    near = tolerance is not EXACT and wanted in ("float", "complex") and found in ("int", "float", "complex")
    if found != wanted and not (near and not (found == "complex" and wanted == "float")):
        name = {"bool": _("True or False"), "int": _("an integer")}.get(wanted, _("a Python number"))
        if found in ("", "other"):
            return wrong_kind(got, describe(expected), _("not {kind}").format(kind=name))
        one, other = (_("{value} ({kind})").format(value=describe(v), kind=kind_of(v)) for v in (expected, got))
        return Difference(one, other, _("the type is another"))
    if got == expected or (tolerance.equal_nan and got != got and expected != expected):
        return None
    if wanted == "bool":
        return Difference(str(expected), str(got), _("the value is another"))
    rtol, atol = (0.0, 0.0) if tolerance is EXACT or wanted == "int" else tolerance.of(torch.float64)
    error = _apart(got, expected)
    if error <= atol + rtol * abs(expected) and abs(expected) != float("inf"):
        return None
    expected_text, got_text = number_pair(expected, got)
    if rtol or atol:
        expected_text += f"  (rtol {rtol:.4g}, atol {atol:.4g})"
    size = _("the value differs by {error}").format(error=f"{error:.2g}")
    return Difference(expected_text, got_text, _("the value is not a number (NaN)") if got != got else size)


def _apart(got: Any, expected: Any) -> float:
    try:
        return float(abs(got - expected))
    except OverflowError:  # an integer beyond the largest float
        return float("inf")


def _family(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, numbers.Integral):
        return "int"
    if isinstance(value, numbers.Real):
        return "float"
    return "complex" if isinstance(value, numbers.Complex) else "other"


def _sequence_difference(got: Any, expected: Any, tolerance: Tolerance) -> Difference | None:
    fits = isinstance(got, type_of_sequence(expected) if tolerance is EXACT else (list, tuple))
    if not fits:
        return wrong_kind(got, describe(expected), _("not {kind}").format(kind=kind_of(_base(expected))))
    if len(got) != len(expected):
        return _length_difference(got, expected, tolerance)
    for number, (one, other) in enumerate(zip(got, expected, strict=True)):
        found = difference(one, other, tolerance)
        if found is not None:
            if tolerance is EXACT and in_full(got) and in_full(expected):
                return Difference(describe(expected), describe(got), found.size)
            return found.inside(_("item [{number}]").format(number=number))
    return None


def _length_difference(got: Any, expected: Any, tolerance: Tolerance) -> Difference:
    """What both hold and, where that is too much, the first item at which they part."""
    wanted, found = (_held(value) for value in (expected, got))
    both = list(zip(got, expected, strict=False))
    first = next((n for n, (one, other) in enumerate(both) if difference(one, other, tolerance) is not None), None)
    if first is not None:
        wanted, found = (
            _("{value}; item [{number}] is {item}").format(value=value, number=first, item=describe(items[first]))
            for value, items in ((wanted, expected), (found, got))
        )
    return Difference(wanted, found, _("the length is another"))


def _held(value: Any) -> str:
    """A sequence by its length and its first items."""
    count, kind = len(value), a_or_an(type_of_sequence(value).__name__)
    if not count:
        return _("an empty {kind}").format(kind=type_of_sequence(value).__name__)
    items = ", ".join(describe(item) for item in list(value)[:SHOWN]) + (", …" if count > SHOWN else "")
    return _("{kind} of length {count}: {items}").format(kind=kind, count=count, items=items)


def type_of_sequence(value: Any) -> type:
    """``tuple`` for a tuple, a ``torch.Size`` or a named tuple, ``list`` for a list."""
    return tuple if isinstance(value, tuple) else list


def _base(value: Any) -> Any:
    return type_of_sequence(value)()


def _mapping_difference(got: Any, expected: Mapping[Any, Any], tolerance: Tolerance) -> Difference | None:
    if not isinstance(got, Mapping):
        return wrong_kind(got, describe(expected), _("not a dict"))
    missing = [key for key in expected if key not in got]
    unknown = [key for key in got if key not in expected]
    if missing or unknown:
        return keys_difference(missing, unknown)
    for key, other in expected.items():
        found = difference(got[key], other, tolerance)
        if found is not None:
            return found.inside(_("key {key}").format(key=describe(key)))
    return None


def keys_difference(missing: list[Any], unknown: list[Any]) -> Difference:
    """The sentence about keys that are not there, or that nobody asked for."""
    parts = []
    if missing:
        parts.append(_("without {keys}").format(keys=_listed(missing)))
    if unknown:
        parts.append(_("with {keys} besides").format(keys=_listed(unknown)))
    expected = _("the key {keys}") if len(missing) == 1 else _("the keys {keys}")
    wanted = expected.format(keys=_listed(missing)) if missing else _("no other keys")
    return Difference(wanted, _(" and ").join(parts), _("the keys are others"))


def _listed(keys: list[Any], most: int = 4) -> str:
    text = ", ".join(describe(key) for key in keys[:most])
    more = len(keys) - most
    return text if more <= 0 else _("{text} and {more} more").format(text=text, more=more)


def _other_difference(got: Any, expected: Any) -> Difference:
    """Strings, dtypes, None: exact values that are no numbers."""
    if got is None or type(got) is not type(expected):
        wanted = describe(expected)
        verdict = _("not {kind}").format(kind=kind_of(expected))
        return wrong_kind(got, wanted, verdict)
    return Difference(describe(expected), describe(got), _("the value is another"))
