"""Shortcuts that a task forbids, found in what ran and in what is written."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from typing import Any

from torchgrade.errors import AuthoringError
from torchgrade.expect.describe import is_handle
from torchgrade.expect.likely import fail
from torchgrade.expect.tensors import Difference
from torchgrade.i18n import translate as _
from torchgrade.isolation.worker.probes import operators as recorded
from torchgrade.isolation.worker.probes import source_names
from torchgrade.isolation.worker.probes.sources import canonical, is_use

SHORT_FOR = {"F": "torch.nn.functional", "nn": "torch.nn", "np": "numpy"}

# One public operation, the operators that it becomes on other devices and in other versions of torch.
FAMILIES = {
    "convolution": ("convolution", "mkldnn_convolution", "cudnn_convolution", "miopen_convolution", "thnn_conv2d"),
    "native_batch_norm": (
        "native_batch_norm",
        "native_batch_norm_legit",
        "native_batch_norm_legit_functional",
        "native_batch_norm_legit_no_training",
        "batch_norm_with_update",
        "batch_norm_impl_index",
        "batch_norm_no_update",
        "cudnn_batch_norm",
        "miopen_batch_norm",
    ),
    "native_layer_norm": ("native_layer_norm", "layer_norm"),
}


def avoids(
    fn: Any,
    *args: Any,
    functions: Iterable[str] = (),
    operators: Iterable[str] = (),
    names: Iterable[str] = (),
    instead: str = "",
    given: str | None = None,
) -> None:
    """The submission's ``fn`` does without the shortcuts that the task forbids.

    ``functions`` are torch's functions, methods and properties by their last name ("conv2d", "data") and
    ``operators`` aten names ("convolution"); both are watched while ``fn(*args)`` runs beside the submission.
    ``names`` ("torchvision.models", "nn.Conv2d", "F.relu") may stand nowhere in the text of its file, under
    whatever alias it was imported. In-place twins are included. ``instead`` says what to write: it completes
    "use ... instead". ``fn`` has to be the submission's own: a lambda of the suite runs in the grader.

    Raises Mismatch; AuthoringError when nothing is forbidden, or for a lambda.
    """
    functions, operators, names = (_several(value) for value in (functions, operators, names))
    if not (functions or operators or names):
        raise AuthoringError("expect.avoids forbids nothing: give functions, operators or names.")
    if isinstance(fn, types.FunctionType) and not is_handle(fn) and "<locals>" in fn.__qualname__:
        raise AuthoringError(
            "expect.avoids needs the submission's own function, such as submission.f: what a suite defines"
            " runs in the grader, where nothing of the submission is seen."
        )
    if names:
        _avoids_names(fn, names, instead, given)
    if functions or operators:
        seen = recorded(fn, *args)
        ran = [name for name in functions if _twins(name) & set(seen["functions"])]
        ran += [name for name in operators if any(_is_operator(name, found) for found in seen["operators"])]
        if ran:
            got = _("{names} ran").format(names=", ".join(dict.fromkeys(ran)))
            fail(_broken(list(dict.fromkeys(ran)), got, instead), given=given)


def _avoids_names(fn: Callable[..., Any], names: list[str], instead: str, given: str | None) -> None:
    rows = source_names(fn, [_full(name) for name in names])
    for name in names:
        full = _full(name)
        same = canonical(full)
        for row in rows:
            if is_use(row, full, same):
                got = _("{name} in line {line} of {file}").format(name=name, line=row["line"], file=row["file"])
                fail(_broken([name], got, instead), given=given)


def _broken(names: list[str], got: str, instead: str) -> Difference:
    wanted = _("code without {names}").format(names=", ".join(names))
    if instead:
        wanted += _("; use {instead} instead").format(instead=instead)
    return Difference(wanted, got, _("a rule of the task is broken"))


def _full(name: str) -> str:
    head, dot, tail = name.partition(".")
    return SHORT_FOR.get(head, head) + dot + tail if dot else name


def _twins(name: str) -> set[str]:
    last = name.rpartition(".")[2]
    return {last, f"{last}_", f"_{last}"}


def _is_operator(forbidden: str, found: str) -> bool:
    forbidden = forbidden.removeprefix("aten.").removeprefix("aten::")
    family = FAMILIES.get(forbidden, (forbidden.strip("_"),))
    return found.strip("_") in family


def _several(value: Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
