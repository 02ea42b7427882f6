"""What a module registers: how many values, in which shapes, under which keys, and how they start."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from torchgrade.expect.describe import a_or_an, is_handle, number_text, shape_text
from torchgrade.expect.differences import keys_difference
from torchgrade.expect.likely import Likely, fail, prove
from torchgrade.expect.tensors import Difference, wrong_kind
from torchgrade.i18n import also
from torchgrade.i18n import translate as _
from torchgrade.isolation.worker.probes import registered_parameters


def parameters(
    module: Any,
    total: int | None = None,
    shapes: Iterable[Sequence[int]] | None = None,
    *,
    likely: Likely | None = None,
    given: str | None = None,
) -> None:
    """``module`` registers parameters of these ``shapes``, in any order and under any names, ``total`` in all.

    ``likely`` maps a sentence to the total which that misconception registers. Raises Mismatch.
    """
    if total is not None:
        prove(total, likely, lambda one, other: bool(one == other))
    found = [tuple(row["shape"]) for row in registered_parameters(module)]
    count = sum(math.prod(shape) for shape in found)

    def matches(other: Any) -> bool:
        return bool(other == count)

    apart = _shapes_apart(found, shapes) if shapes is not None else None
    if total is not None and count != total:
        wanted, got = (_("{count} parameters").format(count=n) for n in (total, count))
        if apart is not None:  # a count alone says nothing of where to look
            wanted, got = also(wanted, apart.expected), also(got, apart.got)
        apart = Difference(wanted, got, _("the count is another"))
    if apart is not None:
        fail(apart, likely=likely, matches=matches, given=given)


def _shapes_apart(found: list[tuple[int, ...]], shapes: Iterable[Sequence[int]]) -> Difference | None:
    """Which shapes are missing, and which stand in their place or besides."""
    expected, present = Counter(tuple(int(n) for n in shape) for shape in shapes), Counter(found)
    missing, besides = expected - present, present - expected
    if not missing and not besides:
        return None
    wanted = _("parameters of shape {shapes}").format(shapes=_listed(missing)) if missing else _("no other parameters")
    got = _("{shapes} in their place") if missing else _("{shapes} besides")
    text = got.format(shapes=_listed(besides)) if besides else _("none of that shape")
    return Difference(wanted, text, _("the shapes of the parameters are others"))


def instance(value: Any, name: str, *, given: str | None = None) -> None:
    """``value`` is an object of the class ``name``, such as "Sequential", or of one that derives from it."""
    if not (is_handle(value) and value.is_a(name)):
        fail(wrong_kind(value, a_or_an(name), _("which is no {name}").format(name=name)), given=given)


def state_dict_keys(module: Any, keys: Iterable[str], *, given: str | None = None) -> None:
    """``module.state_dict()`` has exactly these keys, in any order."""
    state = module.state_dict()
    if not isinstance(state, dict):
        fail(wrong_kind(state, _("a dict"), _("not a dict")), given=given)
    wanted = list(keys)
    missing = [key for key in wanted if key not in state]
    unknown = [key for key in state if key not in wanted]
    if missing or unknown:
        fail(keys_difference(missing, unknown), given=given)


def starts_like(
    build: Callable[[], Any], oracle: Callable[[], torch.nn.Module], *, times: int = 8, given: str | None = None
) -> None:
    """What ``build`` makes starts with parameters that are drawn as those of ``oracle`` are, anew each time.

    Both are called ``times`` times. Parameters are found by their shapes, and all of one shape are one sample; two
    samples that differ by chance fail once in 10^9 times (Kolmogorov and Smirnov). A sample has to be large to show
    anything: of 1000 numbers and more a bound that is a third too wide is seen.
    """
    found, wanted = (_samples([make() for _ in range(times)]) for make in (build, oracle))
    for shape, (truth, constant) in wanted.items():
        name = _("parameters of shape {shapes}").format(shapes=shape_text(shape))
        if shape not in found:
            fail(Difference(name, _("none of that shape"), _("the shapes of the parameters are others")), given=given)
        sample, again = found[shape]
        if _apart(sample, truth) > math.sqrt(math.log(2e9) / 2 * (1 / len(sample) + 1 / len(truth))):
            expected, got = _spread(name, truth), _spread(name, sample)
            fail(Difference(expected, got, _("the parameters are drawn otherwise at the start")), given=given)
        if again and not constant:
            other, wrong = _("{name} that are drawn anew for each object"), _("two objects start alike")
            fail(Difference(other.format(name=name), _("the same numbers in two of them"), wrong), given=given)


def _samples(modules: list[Any]) -> dict[tuple[int, ...], tuple[torch.Tensor, bool]]:
    """For each shape of parameters all their values, and whether two modules have the same ones."""
    values = defaultdict(list)
    for module in modules:
        state, own = module.state_dict(), defaultdict(list)
        for row in registered_parameters(module):
            value = state[row["name"]].detach().double().cpu()
            own[tuple(value.shape)].append(value.flatten())
        for shape, parts in own.items():
            values[shape].append(torch.cat(parts))
    return {shape: (torch.cat(parts), torch.equal(parts[0], parts[-1])) for shape, parts in values.items()}


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference of the shares of two samples that lie at or below any number."""
    places = torch.cat([one, other])
    shares = [torch.searchsorted(sample.sort().values, places, right=True) / len(sample) for sample in (one, other)]
    return float((shares[0] - shares[1]).abs().max())


def _spread(name: str, values: torch.Tensor) -> str:
    low, high, deviation = (number_text(float(number)) for number in (values.min(), values.max(), values.std()))
    text = _("{name} from {low} to {high}, with a standard deviation of {deviation}")
    return text.format(name=name, low=low, high=high, deviation=deviation)


def _listed(shapes: Counter[tuple[int, ...]], most: int = 4) -> str:
    texts = [(f"{count} × " if count > 1 else "") + shape_text(shape) for shape, count in sorted(shapes.items())]
    more = len(texts) - most
    text = ", ".join(texts[:most])
    return text if more <= 0 else _("{text} and {more} more").format(text=text, more=more)
