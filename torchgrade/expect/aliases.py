"""Which operators a public function may become, from PyTorch's own list of operators."""

from __future__ import annotations

import functools

import torch

_PUBLIC = (torch, torch.nn.functional, torch.special, torch.linalg, torch.sparse, torch.fft, torch.Tensor)


@functools.cache
def aliases(function: str) -> frozenset[str]:
    """Names of the aten operators, without overload, that are ``function`` or a private form of it.

    ``softmax`` has ``_softmax``, ``_safe_softmax`` and ``_sparse_softmax``, but not ``_log_softmax``: an operator
    belongs to the longest documented function whose words it holds. Derivatives are left out. Empty for what is no
    operator, such as ``backward``.
    """
    words = _words(function)
    return frozenset(name for name in _operators() if _stands_for(_words(name), words))


@functools.cache
def _operators() -> tuple[str, ...]:
    names = (name.partition("::") for name in torch._C._dispatch_get_all_op_names())
    return tuple(sorted({name.partition(".")[0] for space, _, name in names if space == "aten"}))


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
