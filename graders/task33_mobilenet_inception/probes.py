"""Helpers of task 33 that run beside the submission."""

import torch


def lists_kept(make, channels, outer, narrow):
    """The two lists after ``make`` was called with them."""
    with torch.device("meta"):
        make(channels, outer, narrow)
    return outer, narrow
