"""Misconceptions, and the proof that a comparison has teeth.

``likely`` maps a sentence to the value which that misconception produces. After a mismatch the answer is
compared with each of them, with the tolerance of the check, and the first that fits is printed.

While a suite is being proven (``verify`` sets :func:`proving`), an expectation refuses to be toothless:

* an expected tensor or array of several values may be no zeros, no ones, no other constant, and none of the
  tensors just sent to the submission;
* an expected float or one-element tensor may be neither 0 nor 1, nor one of those inputs;
* a list, tuple or dict is refused when one and the same junk fits all of its tensors and floats;
* a ``likely`` value may fit neither the truth nor another ``likely`` value; its sentence has no full stop.

Python integers, booleans and strings are exempt from the first three: a count has to be what it is.
``trivial="why"`` lifts the first three for one comparison; the reason stands in the suite for its reader.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import torch

from torchgrade.errors import AuthoringError, Mismatch
from torchgrade.expect.describe import describe, fetched
from torchgrade.expect.side_by_side import side_by_side
from torchgrade.expect.tensors import Difference

Likely = Mapping[str, Any]
Same = Callable[[Any, Any], bool]


@dataclass
class Proving:
    """The inputs of recent calls, which proving needs, and every ``likely`` sentence that it met."""

    inputs: Callable[[], list[Any]]
    sentences: list[str] = field(default_factory=list)


_proof: ContextVar[Proving | None] = ContextVar("torchgrade_proof", default=None)


@contextlib.contextmanager
def proving(inputs: Callable[[], list[Any]]) -> Iterator[Proving]:
    """Within this block expectations refuse what cannot fail. ``inputs``: the tensors of recent calls."""
    proof = Proving(inputs)
    token = _proof.set(proof)
    try:
        yield proof
    finally:
        _proof.reset(token)


def is_proving() -> bool:
    return _proof.get() is not None


def prove(
    expected: Any,
    likely: Likely | None,
    same: Same,
    *,
    trivial: str | None = None,
    checks_values: bool = False,
) -> None:
    """Outside of :func:`proving` nothing; inside, AuthoringError for a comparison without teeth."""
    proof = _proof.get()
    if proof is None:
        return
    if trivial is not None and not trivial.strip():
        raise AuthoringError('trivial="" says nothing: write why this expected value has to be trivial.')
    if checks_values and trivial is None:
        junk = _junk(expected, proof.inputs(), same)
        if junk:
            names = " and ".join(sorted(junk))
            raise AuthoringError(
                f"The expected value, {describe(expected)}, is also given by {names}: choose inputs that tell"
                ' them apart, or say trivial="why" in the expectation.'
            )
    _prove_likely(expected, likely or {}, same)
    proof.sentences.extend(likely or {})


def meet(likely: Likely | None) -> None:
    """Note the sentences of an expectation whose ``likely`` values cannot be compared with a truth."""
    proof = _proof.get()
    if proof is not None:
        _prove_sentences(likely or {})
        proof.sentences.extend(likely or {})


def _prove_sentences(likely: Likely) -> None:
    for sentence in likely:
        if not sentence.strip() or sentence.rstrip().endswith("."):
            raise AuthoringError(f"A likely sentence is not blank and has no full stop: {sentence!r}.")


def _prove_likely(expected: Any, likely: Likely, same: Same) -> None:
    seen: list[tuple[str, Any]] = []
    _prove_sentences(likely)
    for sentence, value in likely.items():
        if same(value, expected):
            raise AuthoringError(f"The likely value of {sentence!r} passes as the truth with these inputs.")
        for earlier, other in seen:
            if same(value, other):
                raise AuthoringError(f"{earlier!r} and {sentence!r} have the same value with these inputs.")
        seen.append((sentence, value))


def _junk(expected: Any, inputs: list[Any], same: Same) -> set[str]:
    """Names of the junk that would pass for ``expected``: what fits every tensor and float in it."""
    fitting = [_junk_of(leaf, inputs, same) for leaf in _leaves(expected)]
    return set.intersection(*fitting) if fitting else set()


def _leaves(value: Any) -> Iterator[Any]:
    value = fetched(value)
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, (torch.Tensor, np.ndarray)):
        if value.size if isinstance(value, np.ndarray) else value.numel():
            yield value
    elif isinstance(value, (float, np.floating)):
        yield value


def _junk_of(leaf: Any, inputs: list[Any], same: Same) -> set[str]:
    junk = {"an input of the call" for given in inputs if same(given, leaf)}
    if isinstance(leaf, (float, np.floating)):
        return junk | {name for name, value in (("zeros", 0.0), ("ones", 1.0)) if same(value, leaf)}
    if isinstance(leaf, np.ndarray) and leaf.dtype.kind not in "biufc":
        return junk
    blank: Any = np if isinstance(leaf, np.ndarray) else torch
    junk |= {name for name in ("zeros", "ones") if same(getattr(blank, f"{name}_like")(leaf), leaf)}
    if not junk and (leaf.size if isinstance(leaf, np.ndarray) else leaf.numel()) > 1:
        first = leaf.reshape(-1)[0].item()
        if same(blank.full_like(leaf, first), leaf):
            junk.add("a constant")
    return junk


def fail(
    difference: Difference,
    *,
    likely: Likely | None = None,
    matches: Callable[[Any], bool] | None = None,
    given: str | None = None,
) -> NoReturn:
    """Raise the Mismatch, with the first ``likely`` sentence whose value ``matches`` the answer."""
    sentence = None
    if matches is not None:
        sentence = next((text for text, value in (likely or {}).items() if matches(value)), None)
    raise Mismatch(
        difference.expected,
        difference.got,
        given=given,
        likely=sentence,
        message=difference.size,
        table=side_by_side(*difference.values) if difference.values is not None else "",
        values=difference.values,
    )
