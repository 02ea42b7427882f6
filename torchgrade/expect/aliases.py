"""Which operators a public function may become, from PyTorch's own list of operators."""

from __future__ import annotations

import functools
from collections.abc import Collection

import torch

# Operators that compute a function inside of themselves, by a word of their names.
_INSIDE = {"softmax": {"attention"}, "sigmoid": {"rnn", "lstm", "gru"}, "tanh": {"rnn", "lstm", "gru"}}
_PUBLIC = (torch, torch.nn.functional, torch.special, torch.linalg, torch.sparse, torch.fft, torch.Tensor)


@functools.cache
def aliases(function: str) -> frozenset[str]:
    """Names of the operators, without overload, that are ``function``, a private form of it, or have it inside.

    ``softmax`` has ``_softmax``, ``_safe_softmax`` and ``_sparse_softmax``, but not ``_log_softmax``: an operator
    belongs to the longest documented function whose words it holds. Derivatives are left out. Empty for what is no
    operator, such as ``backward``. Operators of other libraries than aten (``mkldnn``, ``quantized``) count, too.
    """
    words, inside = _words(function), _INSIDE.get("_".join(_words(function)), set())
    known = ((name, _words(name)) for name in _operators())
    return frozenset(name for name, own in known if _stands_for(own, words) or _has_inside(own, inside))


@functools.cache
def _operators() -> tuple[str, ...]:
    names = (name.partition("::") for name in torch._C._dispatch_get_all_op_names())
    return tuple(sorted({name.partition(".")[0] for _, _, name in names}))


def _has_inside(operator: tuple[str, ...], words: Collection[str]) -> bool:
    return "backward" not in operator and not set(operator).isdisjoint(words)


def _stands_for(operator: tuple[str, ...], function: tuple[str, ...]) -> bool:
    if operator == function:
        return True
    if "backward" in operator or not _within(function, operator):
        return False
    stretches = {operator[i:j] for i in range(len(operator)) for j in range(i + 1, len(operator) + 1)}
    longer = (other for other in stretches if len(other) > len(function) and _within(function, other))
    return not any(_is_documented(other) for other in longer)


def _within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    return any(whole[at : at + len(part)] == part for at in range(len(whole) - len(part) + 1))


@functools.cache
def _is_documented(words: tuple[str, ...]) -> bool:
    names = {"_".join(words), "".join(words), "_".join(words) + "_"}
    return any(getattr(getattr(space, name, None), "__doc__", None) for space in _PUBLIC for name in names)


def _words(name: str) -> tuple[str, ...]:
    return tuple(word for word in name.removeprefix("aten.").removeprefix("aten::").split("_") if word)
