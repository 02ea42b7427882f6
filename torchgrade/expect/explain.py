"""What a contract that fails says: the case as a call, how failing cases differ from the others, mistakes to try."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from torchgrade.expect.axes import LAYOUT_WORDS
from torchgrade.expect.contract import Contract
from torchgrade.expect.describe import dtype_text, number_text, shape_text
from torchgrade.expect.grid import KIT_AXES, LEFT_OUT, Grid
from torchgrade.i18n import also, fitted
from torchgrade.i18n import translate as _

FEW = 8  # values of a tensor that are written out

Key = tuple[str, int]  # an axis, and the number of one of its values


# --- the case as a call --------------------------------------------------------------------------------------------


def call_text(known: Contract, name: str, n: int) -> str:
    """``conv2d(x, weight, stride=(2, 1)); x float32 [2, 4, 7, 6], weight ...``."""
    call, point, how = known.calls[n], known.cases[n].point, known.calls[n].how
    operands = [_operand(key, value) for key, value in call.operands.items()]
    options = [f"{key}={value!r}" for key, value in call.kwargs.items() if key not in call.operands]
    if "build" in how:
        built = ", ".join(f"{key}={value!r}" for key, value in how["build"].items())
        text = f"{name}({built})({', '.join(operands + options)})"
    else:
        text = f"{name}({', '.join(operands + options)})"
    text += "".join(_circumstances(how))
    facts = [f"{key} {_facts(value)}" for key, value in call.operands.items() if _is_array(value) or _are_arrays(value)]
    parts = [text, ", ".join(facts)] if facts else [text]
    values, layout = point.get("values"), point.get("layout", "contiguous")
    if values is not None and values.__doc__:
        parts.append(_(values.__doc__.strip().rstrip(".")))
    if layout in LAYOUT_WORDS:
        parts.append(_(LAYOUT_WORDS[layout]))
    return also(*parts)


def _circumstances(how: dict[str, Any]) -> Iterator[str]:
    if not how.get("training", True):
        yield _(" in eval mode")
    if how.get("layer_dtype") is not None:
        yield _(" with numbers of its own in {dtype}").format(dtype=dtype_text(how["layer_dtype"]))
    if "state" in how:
        yield _(" with a loaded state_dict")
    if how.get("objects", 1) > 1:
        yield _(" beside another object of its class")
    if how["steps"] > 1:
        yield _(", call {number} of {number}").format(number=how["steps"])
    if how["grad"] == "no_grad":
        yield _(" under torch.no_grad()")
    if how["grad"] == "requires_grad":
        yield _(" with inputs that require grad")


def _operand(name: str, value: Any) -> str:
    return name if _is_array(value) or isinstance(value, (list, dict)) or _are_arrays(value) else repr(value)


def _is_array(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, np.ndarray))


def _are_arrays(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_array, value))


def _facts(value: Any) -> str:
    if not _is_array(value):
        return f"[{'; '.join(map(_facts, value))}]"
    text = f"{dtype_text(value.dtype)} {shape_text(value.shape)}"
    count = value.numel() if isinstance(value, torch.Tensor) else value.size
    if 0 < count <= FEW:
        flat = (value.detach() if isinstance(value, torch.Tensor) else value).reshape(-1).tolist()
        text += f" = ({', '.join(str(v) if isinstance(v, bool) else number_text(v, 4) for v in flat)})"
    return text


# --- how failing cases differ from those that hold -----------------------------------------------------------------


def pattern(known: Contract, failing: Sequence[int]) -> str:
    """One line: how many cases fail, and what they have in common."""
    bad, total = set(failing), len(known.cases)
    if len(bad) == total:
        return _("all {total} cases fail").format(total=total)
    head = _("{count} of {total} cases fail").format(count=len(bad), total=total)
    telling = [n for n in range(total) if n in bad or not _is_empty(known, n)]
    what = _common(known, telling, bad) if len(bad) > 1 else ""
    return _("{head}: {what}").format(head=head, what=what) if what else head


def _common(known: Contract, telling: Sequence[int], bad: set[int]) -> str:
    grid, cases = known.grid, known.cases
    options = grid.settings(dict.fromkeys(grid.axes))  # two reasons may fit: the options are told first
    having = {
        (name, number): {n for n in telling if cases[n].has(name, value)}
        for name in sorted(grid.axes, key=lambda name: name not in options)
        if len(grid.axes[name]) > 1
        for number, value in enumerate(grid.axes[name])
    }
    good = set(telling) - bad
    if not good:
        return ""
    for key, those in having.items():
        if those == bad:
            return fitted(_("all with {what}, and no others"), what=_words(grid, key))
    for name in {key[0]: None for key in having}:
        found = _values_of_one_axis(grid, name, having, bad)
        if found:
            return found
    for one, other in itertools.combinations(having, 2):
        if one[0] != other[0] and having[one] & having[other] == bad:
            both = _("all with {one} and {other}, and no others")
            return fitted(both, one=_words(grid, one), other=_words(grid, other))
    for one, other in itertools.combinations([key for key in having if key[1] == 0], 2):
        if good == having[one] | having[other]:
            either = _("all but those with {one} or {other}")
            return fitted(either, one=_words(grid, one), other=_words(grid, other))
    shared = [(len(those - bad), key) for key, those in having.items() if bad <= those and good - those]
    if shared:
        count, key = min(shared)
        return fitted(_("all with {what}, where {count} others hold"), what=_words(grid, key), count=str(count))
    return ""


def _values_of_one_axis(grid: Grid, name: str, having: dict[Key, set[int]], bad: set[int]) -> str:
    keys = [key for key in having if key[0] == name]
    hit = [key for key in keys if having[key] & bad]
    if len(hit) == len(keys) or set().union(*(having[key] for key in hit)) != bad:
        return ""
    spared = [key for key in keys if key not in hit]
    if len(spared) == 1 and len(hit) > 1:
        return fitted(_("all but those with {what}"), what=_words(grid, spared[0]))
    return fitted(_("those with {what}"), what=_(" or ").join(_words(grid, key) for key in hit))


def _is_empty(known: Contract, n: int) -> bool:
    """Whether the answer has no numbers: such a case can hardly fail, and tells nothing of what does."""
    outcome = known.truths[n].outcome
    value = outcome.value if outcome is not None else None
    return isinstance(value, torch.Tensor) and not value.numel()


def _words(grid: Grid, key: Key) -> str:
    name, value = key[0], grid.axes[key[0]][key[1]]
    if value is LEFT_OUT:
        return _("{name} left out").format(name=name)
    if name == "training":
        return _("train mode") if value else _("eval mode")
    if name == "layout":
        return _(LAYOUT_WORDS.get(value, value))
    if name == "grad":
        words = {"plain": _("plain tensors"), "requires_grad": _("inputs that require grad"), "no_grad": "no_grad"}
        return words[value]
    if isinstance(value, torch.dtype):
        return dtype_text(value)
    if callable(value):
        return _(str(value.__doc__ or value.__name__).strip().rstrip("."))
    if name in KIT_AXES and name != "shape":
        return f"{name} {value}"
    return f"{name}={value!r}"


# --- mistakes that need no author ----------------------------------------------------------------------------------


def free_mistakes(known: Contract) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Mistakes that can be made with any argument: it is not used, or the two of a pair are mixed up."""
    grid, oracle = known.grid, known.oracle

    def changed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[..., Any]:
        return lambda *args, **settings: oracle(*args, **change(settings))

    def mixed(names: Sequence[str], mix: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        def change(settings: dict[str, Any]) -> dict[str, Any]:
            return settings | {name: mix(*settings[name]) for name in names if _is_pair(settings.get(name))}

        return changed(change)

    options = [name for name in grid.settings(dict.fromkeys(grid.axes, None)) if len(grid.axes[name]) > 1]
    for name in options:
        without = _without(oracle, name)
        if without is not None:
            yield _("{name} is not used").format(name=name), without
    paired = [name for name in options if any(map(_is_pair, grid.axes[name]))]
    for name in paired:
        yield _("the two of {name} are swapped").format(name=name), mixed([name], lambda a, b: (b, a))
        yield _("the first of {name} is used for both").format(name=name), mixed([name], lambda a, b: (a, a))
        yield _("the second of {name} is used for both").format(name=name), mixed([name], lambda a, b: (b, b))
    if len(paired) > 1:
        yield _("all pairs are swapped: rows and columns"), mixed(paired, lambda a, b: (b, a))
    if known.asked.builds:
        return
    if known.asked.gradients:
        operands = {name: n for call in known.calls for n, name in enumerate(call.operands)}
        for name, place in operands.items():
            yield _("{name} is cut off from the graph").format(name=name), _detached(oracle, name, place)
    yield _("the result is always float32"), _cast(oracle, torch.float32)
    yield _("the result is always float64"), _cast(oracle, torch.float64)


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and value[0] != value[1]


def _without(oracle: Callable[..., Any], name: str) -> Callable[..., Any] | None:
    """The oracle with the default in place of an argument; None where it has no default."""
    try:
        parameter = inspect.signature(oracle).parameters.get(name)
    except (TypeError, ValueError):  # of compiled functions nothing is known
        parameter = None
    if parameter is not None and parameter.default is parameter.empty:
        return None

    def without(*args: Any, **settings: Any) -> Any:
        return oracle(*args, **{key: value for key, value in settings.items() if key != name})

    return without


def _detached(oracle: Callable[..., Any], name: str, place: int) -> Callable[..., Any]:
    def detached(*args: Any, **settings: Any) -> Any:
        if name in settings:
            settings[name] = settings[name].detach()
        else:
            args = tuple(value.detach() if n == place and value is not None else value for n, value in enumerate(args))
        return oracle(*args, **settings)

    return detached


def _cast(oracle: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    def cast(*args: Any, **settings: Any) -> Any:
        value = oracle(*args, **settings)
        return value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    return cast
