"""How code runs, apart from its values: on one device, and without a loop over the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchgrade.expect.describe import number_text
from torchgrade.expect.likely import fail
from torchgrade.expect.tensors import Difference
from torchgrade.i18n import translate as _
from torchgrade.isolation.worker.probes import line_growth, moves_to_device, operator_growth
from torchgrade.isolation.worker.probes import portable as portable_probe


def portable(
    target: Any, *inputs: Any, build: Sequence[Any] = (), expected: str = "", given: str | None = None
) -> None:
    """``target(*inputs)`` runs on another device than the CPU, forward and backward, without a tensor left behind.

    ``target`` is a function, a module, or a class that is built as ``target(*build)``. Asked on torch's meta device,
    so that no accelerator is needed; what it cannot decide passes. Raises Mismatch, naming the operator.
    """
    _one_device(portable_probe(target, *inputs, build=build), expected, given)


def follows_device(fn: Any, *args: Any, expected: str = "", given: str | None = None) -> None:
    """``fn(*args)``, which is told a device, moves there what it is given: batches from the CPU, where so promised.

    The device among ``args`` is "meta". Raises Mismatch, naming the operator that met two devices.
    """
    _one_device(moves_to_device(fn, *args), expected, given)


def _one_device(found: Mapping[str, str], expected: str, given: str | None) -> None:
    if found["verdict"] == "mixed":
        wanted = expected or _("every tensor on the device of the input")
        fail(Difference(wanted, found["detail"], _("tensors of two devices meet")), given=given)


def vectorised(
    fn: Any,
    small: Sequence[Any],
    large: Sequence[Any],
    *,
    most: float = 1.2,
    lines: bool = False,
    given: str | None = None,
) -> None:
    """``fn(*large)`` needs at most ``most`` times as many operators as ``fn(*small)``: no Python loop over the data.

    ``lines``: nor do the lines of Python that run become more, as they do in a loop over plain numbers, which calls no
    operator. Both are counted, so no clock and no machine changes the verdict. Raises Mismatch.
    """
    growths = [(operator_growth, _("as many operators for large inputs as for small ones, or {most} times as many"))]
    if lines:
        growths.append(
            (line_growth, _("as many lines of Python for large inputs as for small ones, or {most} times as many"))
        )
    for measured, wanted in growths:
        growth = measured(fn, small, large)
        if growth > most:
            got = _("{growth} times as many: a loop runs over the data").format(growth=number_text(growth, 3))
            found = Difference(wanted.format(most=number_text(most, 3)), got, _("the work grows with the data"))
            fail(found, given=given)
