"""Helpers of task 35 that run beside the submission."""

import contextlib

import torch


def drawn(function, *args, **options):
    """What a function returns, its tensors of float64 as float32, for it may choose."""
    result = function(*args, **options)
    if not isinstance(result, (tuple, list)):
        return result
    wide = [isinstance(one, torch.Tensor) and one.dtype == torch.float64 for one in result]
    return tuple(one.float() if is_wide else one for one, is_wide in zip(result, wide, strict=True))


def kind(function, *args):
    """The type of what a function returns."""
    value = function(*args)
    return "float" if isinstance(value, float) else type(value).__name__


def kept(function, *args):
    """The last argument, after the call."""
    function(*args)
    return args[-1]


def settings(function, *args):
    """Whether gradients are recorded, and the default dtype: after a call, and after one with other settings."""
    before = torch.is_grad_enabled(), torch.get_default_dtype()
    function(*args)
    after = _settings()
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    with contextlib.suppress(Exception):  # what a call gives then is not asked
        function(*args)
    others = _settings()
    torch.set_grad_enabled(before[0])
    torch.set_default_dtype(before[1])
    return after, others


def _settings():
    return [torch.is_grad_enabled(), str(torch.get_default_dtype())]


def table(function, *args, **options):
    """A dict of labels and numbers as two lists, in the order of the labels."""
    found = function(*args, **options)
    if not isinstance(found, dict):
        return found
    odd = {type(one).__name__ for one in found if not isinstance(one, int)}
    odd |= {type(one).__name__ for one in found.values() if not isinstance(one, float)}
    if odd:
        return f"a dict with {', '.join(sorted(odd))}"
    labels = sorted(found)
    return labels, [found[label] for label in labels]
