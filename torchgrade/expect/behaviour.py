"""What code does besides its values: raising, leaving arguments alone, learning, letting go of graphs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from torchgrade.errors import AuthoringError, SubmissionFault, SubmissionRaised
from torchgrade.expect.describe import describe, fetched, is_handle, number_text
from torchgrade.expect.differences import difference
from torchgrade.expect.likely import Likely, fail, meet
from torchgrade.expect.tensors import Difference, Tolerance, wrong_kind
from torchgrade.i18n import translate as _

EXACT_OR_NAN = Tolerance(0.0, 0.0, equal_nan=True)


def true(condition: Any, expected: str, got: str, *, likely: Likely | None = None, given: str | None = None) -> None:
    """The condition holds. The last resort: ``expected`` and ``got`` are sentences of the suite's own.

    ``likely`` maps a sentence to whether that misconception is what happened.
    """
    meet(likely)
    if not condition:
        fail(Difference(expected, got, ""), likely=likely, matches=bool, given=given)


def between(
    value: Any, low: float, high: float, unit: str = "", *, likely: Likely | None = None, given: str | None = None
) -> None:
    """``low <= value <= high`` for a real number, or a tensor that holds one. NaN is never between."""
    if not low <= high:
        raise AuthoringError(f"expect.between({low}, {high}) has no value that passes.")
    meet(likely)
    unit = f" {unit}" if unit else ""
    expected = _("{low} to {high}{unit}").format(low=number_text(low), high=number_text(high), unit=unit)
    number = _real(value)
    if number is None:
        fail(wrong_kind(value, expected, _("not a number")), given=given)
    if not low <= number <= high:
        found = Difference(expected, number_text(number) + unit, _("the value lies outside"))
        fail(found, likely=likely, matches=lambda v: math.isclose(float(v), number, rel_tol=1e-6), given=given)


def raises(errors: Any, fn: Callable[..., Any], *args: Any, given: str | None = None, **kwargs: Any) -> None:
    """``fn(*args, **kwargs)`` raises one of ``errors``: names or classes, a single one or several.

    A subclass counts. A gap that is still a gap (NotImplementedError) passes on, as do death and time limits.
    """
    several = errors if isinstance(errors, (tuple, list)) else (errors,)
    names = [error if isinstance(error, str) else error.__name__ for error in several]
    expected = errors_text(names)
    try:
        result = fn(*args, **kwargs)
    except SubmissionRaised as fault:
        if fault.is_todo and "NotImplementedError" not in names:
            raise
        if not set(names) & set(fault.type_names):
            fail(Difference(expected, _short(str(fault)), _("another error is raised")), given=given)
        return
    except Exception as error:  # of a function of the suite's own
        if set(names) & {base.__name__ for base in type(error).__mro__}:
            return
        raise
    got = _("no error; the call returned {value}").format(value=describe(result))
    fail(Difference(expected, got, _("no error is raised")), given=given)


def errors_text(names: Sequence[str]) -> str:
    """``ValueError or TypeError``; where every exception is right, an error."""
    return _("an error") if "Exception" in names else _(" or ").join(names)


def not_mutated(submission: Any, fn: Callable[..., Any], *args: Any, given: str | None = None, **kwargs: Any) -> Any:
    """Call ``fn``, a function or a module of the submission; its tensors and arrays hold what they held. The result.

    The arguments lie in memory as they do here (strides), are looked at again after the call and compared exactly,
    shape and dtype included, also inside of lists, tuples and dicts.
    """
    try:
        result, there, named = submission.torchgrade_client.probe("call_by_reference", (fn, list(args), kwargs), {})
    except SubmissionFault as fault:
        fault.given = fault.given or given
        raise
    found = [
        array
        for key, before, after in (*_paired(args, there), *_paired(kwargs, named))
        for array in _arrays(_("argument {number}").format(number=key), before, after)
    ]
    if not found:
        raise AuthoringError("expect.not_mutated has nothing to compare: no argument is a tensor or an array.")
    for name, before, after in found:
        change = difference(after, before, EXACT_OR_NAN)
        if change is not None:
            wanted = _("{name} as it was: {value}").format(name=name, value=change.expected)
            got = _("{value} after the call").format(value=change.got)
            fail(Difference(wanted, got, _("an argument is changed in place")), given=given)
    return result


def _arrays(name: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Each tensor and array of an argument: its name, what it was, and what it is."""
    if isinstance(before, (torch.Tensor, np.ndarray)) and not is_handle(before):
        yield name, before.detach() if isinstance(before, torch.Tensor) else before, after
    elif isinstance(before, (list, tuple, dict)):
        if type(after) is not type(before) or len(after) != len(before):
            yield name, before, after
            return
        for key, one, other in _paired(before, after):
            yield from _arrays(f"{name}[{key!r}]", one, other)


def _paired(before: Any, after: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Keys or places of a dict, list or tuple, with what is there in both."""
    keys = before if isinstance(before, dict) else range(len(before))
    return ((key, before[key], after.get(key) if isinstance(after, dict) else after[key]) for key in keys)


def converges(
    history: Any,
    to: float | None = None,
    within: int | None = None,
    *,
    length: int | None = None,
    given: str | None = None,
) -> None:
    """``history`` is a list of finite Python numbers that ends at or below ``to`` (else: below its first value).

    ``within``: a value at or below ``to`` is among the first so many. ``length``: exactly so many values.
    """
    if within is not None and to is None:
        raise AuthoringError("expect.converges(within=) needs to=: within how many steps of what?")
    values = _numbers(history, given)
    if length is not None and len(values) != length:
        counts = [_("{count} values").format(count=count) for count in (length, len(values))]
        fail(Difference(counts[0], counts[1], _("the number of values is another")), given=given)
    odd = next((n for n, value in enumerate(values) if not math.isfinite(value)), None)
    if odd is not None:
        got = _("{value} at step {step}").format(value=number_text(values[odd]), step=odd)
        fail(Difference(_("finite values"), got, _("a value is not finite")), given=given)
    last, goal = values[-1], values[0] if to is None else to
    if (last >= goal) if to is None else (last > goal):
        template = _("a last value of {goal} or less") if to is not None else _("a last value below the first, {goal}")
        wanted = template.format(goal=number_text(goal))
        got = _("{last} after {count} values, {first} at first")
        got = got.format(last=number_text(last), count=len(values), first=number_text(values[0]))
        fail(Difference(wanted, got, _("it does not come down far enough")), given=given)
    if within is not None:
        _arrives(values, goal, within, given)


def accuracy(
    logits: Any, labels: torch.Tensor, floor: float, *, likely: Likely | None = None, given: str | None = None
) -> None:
    """The largest of each row of ``logits`` [n, classes] is at the label [n] in a share of ``floor`` or more.

    A row with NaN counts as wrong. ``likely`` maps a sentence to the labels which that misconception predicts.
    """
    meet(likely)
    logits, count = fetched(logits), len(labels)
    wanted = _("an accuracy of {floor} or more").format(floor=f"{floor:.3f}")
    if not isinstance(logits, torch.Tensor):
        fail(wrong_kind(logits, wanted, _("not a tensor")), given=given)
    if logits.ndim != 2 or len(logits) != count or logits.shape[1] <= int(labels.max()):
        classes = int(labels.max()) + 1
        shape = _("a tensor of shape [{count}, classes], at least {classes} of them")
        sentence = shape.format(count=count, classes=classes)
        fail(Difference(sentence, describe(logits), _("the shape is another")), given=given)
    scores = logits.detach().to("cpu", torch.float64)
    readable = ~scores.isnan().any(1)
    guesses = scores.argmax(1)
    right = int(((guesses == labels.cpu()) & readable).sum())
    if right < floor * count:
        got = _("{share} ({right} of {count})").format(share=f"{right / count:.3f}", right=right, count=count)
        if not bool(readable.all()):
            got += _("; {rows} rows hold NaN").format(rows=count - int(readable.sum()))
        fail(
            Difference(wanted, got, _("too many answers are wrong")),
            likely=likely,
            matches=lambda other: torch.equal(guesses, torch.as_tensor(other).cpu()),
            given=given,
        )


def no_grad_leak(value: Any, *, given: str | None = None) -> None:
    """No tensor in ``value`` (nested lists, tuples and dicts) holds on to a graph."""
    for name, item in _items(value, ""):
        if getattr(item, "requires_grad", False) is True:
            where = _("a tensor that requires grad{place}").format(place=name and _(" in {name}").format(name=name))
            wanted = _("plain numbers, or tensors without a graph")
            fail(Difference(wanted, where, _("a graph is kept alive")), given=given)


def _arrives(values: list[float], goal: float, within: int, given: str | None) -> None:
    first = next(n for n, value in enumerate(values, 1) if value <= goal)
    if first > within:
        wanted = _("{goal} or less within {count} values").format(goal=number_text(goal), count=within)
        got = _("only after {count}").format(count=first)
        fail(Difference(wanted, got, _("it comes down too slowly")), given=given)


def _numbers(history: Any, given: str | None) -> list[float]:
    wanted = _("a list of numbers")
    history = fetched(history)
    if isinstance(history, (torch.Tensor, np.ndarray)) or not isinstance(history, (list, tuple)):
        fail(wrong_kind(history, wanted, _("not a list")), given=given)
    if not history:
        fail(Difference(wanted, _("an empty list"), _("there are no values")), given=given)
    for n, value in enumerate(history):
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
            got = _("{value} at step {step}").format(value=describe(value), step=n)
            fail(Difference(wanted, got, _("a value is no number")), given=given)
    return [float(value) for value in history]


def _real(value: Any) -> float | None:
    value = fetched(value)
    if isinstance(value, torch.Tensor) and value.numel() == 1 and not value.is_complex() and not value.is_meta:
        return float(value.detach())
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        return None
    return float(value)


def _items(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        pairs: Sequence[tuple[Any, Any]] = list(value.items())
    elif isinstance(value, (list, tuple)):
        pairs = list(enumerate(value))
    else:
        yield name, value
        return
    for key, item in pairs:
        yield from _items(item, f"{name}[{key!r}]")


def _short(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 120 else line[:119] + "…"
