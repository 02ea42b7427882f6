"""Plain data that a function reports: dicts with names, lists of numbers, rows of a table."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from torchgrade.errors import AuthoringError
from torchgrade.expect.describe import describe, fetched, kind_of, number_text
from torchgrade.expect.differences import keys_difference
from torchgrade.expect.likely import fail
from torchgrade.expect.tensors import Difference, wrong_kind
from torchgrade.i18n import translate as _

NUMBERS = {float: numbers.Real, int: numbers.Integral}


def record(value: Any, kinds: Any, *, finite: bool = False, given: str | None = None) -> Any:
    """``value`` is plain data of these ``kinds``; the same data comes back, without what nobody asked for.

    A kind is
        float, int      a Python number (numpy's count, a tensor or True does not); an int may stand for a float
        str, bool, ...  an instance of that class
        [kind]          a list or tuple of any length, given back as a list
        (kind,)         the same, given back as a tuple
        {"name": kind}  a dict that has at least these keys; others are left out of what comes back
        {"a", "b"}      one of these values
        None            anything

    ``finite``: no float in it is NaN or infinite. Raises Mismatch, which names the place.
    """
    return _checked(value, kinds, "", finite, given)


def _checked(value: Any, kind: Any, place: str, finite: bool, given: str | None) -> Any:
    value = fetched(value)
    if kind is None:
        return value
    if isinstance(kind, Mapping):
        return _fields(value, kind, place, finite, given)
    if isinstance(kind, (list, tuple)):
        items = _items(value, kind, place, given)
        found = [_checked(item, kind[0], f"{place}[{n}]", finite, given) for n, item in enumerate(items)]
        return tuple(found) if isinstance(kind, tuple) else found
    if isinstance(kind, (set, frozenset)):
        if not (isinstance(value, (str, int)) and value in kind):
            wanted = _(" or ").join(describe(word) for word in sorted(kind))
            _refuse(wanted, value, place, _("the value is another"), given)
        return value
    if not isinstance(kind, type):
        raise AuthoringError(f"expect.record does not know the kind {kind!r}.")
    return _plain(value, kind, place, finite, given)


def _fields(value: Any, kinds: Mapping[str, Any], place: str, finite: bool, given: str | None) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        names = ", ".join(describe(name) for name in kinds)
        wanted = _("a dict with the key {keys}") if len(kinds) == 1 else _("a dict with the keys {keys}")
        fail(_at(place, wrong_kind(value, wanted.format(keys=names), _("not a dict"))), given=given)
    missing = [name for name in kinds if name not in value]
    if missing:
        fail(_at(place, keys_difference(missing, [])), given=given)
    inside = f"{place}." if place else ""
    return {name: _checked(value[name], kind, f"{inside}{name}", finite, given) for name, kind in kinds.items()}


def _items(value: Any, kind: Sequence[Any], place: str, given: str | None) -> Sequence[Any]:
    if len(kind) != 1:
        raise AuthoringError(f"expect.record takes one kind for all items, not {kind!r}.")
    if not isinstance(value, (list, tuple)):
        wanted = _("a list") if isinstance(kind, list) else _("a tuple")
        fail(_at(place, wrong_kind(value, wanted, _("not {kind}").format(kind=wanted))), given=given)
    return value


def _plain(value: Any, kind: type, place: str, finite: bool, given: str | None) -> Any:
    is_truth = isinstance(value, (bool, np.bool_))
    fits = isinstance(value, NUMBERS.get(kind, kind)) and not (is_truth and kind in NUMBERS)
    if not fits:
        wanted = {float: _("a Python number"), int: _("an integer")}.get(kind) or kind_of(kind())
        _refuse(wanted, value, place, _("the type is another"), given)
    if finite and kind is float and not math.isfinite(value):
        found = Difference(_("a finite number"), number_text(value), _("a value is not finite"))
        fail(_at(place, found), given=given)
    return value


def _refuse(wanted: str, value: Any, place: str, size: str, given: str | None) -> None:
    fail(_at(place, Difference(wanted, describe(value), size)), given=given)


def _at(place: str, found: Difference) -> Difference:
    return found.inside(place) if place else found
