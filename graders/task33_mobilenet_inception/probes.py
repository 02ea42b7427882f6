"""Helpers of task 33 that run beside the submission."""

import contextlib

import torch


def lists_kept(make, channels, outer, narrow):
    """The two lists after ``make`` was called with them."""
    with torch.device("meta"):
        make(channels, outer, narrow)
    return outer, narrow


def settings(function, *args):
    """Whether gradients are recorded, and the default dtype: before and after a call, for three settings."""
    before, found = (torch.is_grad_enabled(), torch.get_default_dtype()), []
    for recorded, dtype in ((True, torch.float32), (False, torch.float32), (True, torch.float64)):
        torch.set_grad_enabled(recorded)
        torch.set_default_dtype(dtype)
        with contextlib.suppress(Exception):  # what a call gives here is not asked
            function(*args)
        found.append(([recorded, str(dtype)], [torch.is_grad_enabled(), str(torch.get_default_dtype())]))
    torch.set_grad_enabled(before[0])
    torch.set_default_dtype(before[1])
    return found
