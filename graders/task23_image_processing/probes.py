"""Helpers that run beside the submission."""

import torch


def whole(function, img, method):
    """function(img, method) as int64, whichever integer dtype it has."""
    found = function(img, method)
    if isinstance(found, torch.Tensor) and not found.is_floating_point() and found.dtype is not torch.bool:
        return found.long()
    return found
