"""Helpers of task 33 that run beside the submission."""

import torch


def lists_kept(make, channels, outer, narrow):
    """The two lists after ``make`` was called with them."""
    with torch.device("meta"):
        make(channels, outer, narrow)
    return outer, narrow


def settings(net, x):
    """Whether gradients are recorded, and the default dtype, after a pass."""
    before = torch.is_grad_enabled(), torch.get_default_dtype()
    net(x)
    after = [torch.is_grad_enabled(), str(torch.get_default_dtype())]
    torch.set_grad_enabled(before[0])
    torch.set_default_dtype(before[1])
    return after
