"""A right function that takes the place of a wrong one where a training is graded."""

import torch


def masked_mse(pred, target):
    known = target == target  # not NaN
    difference = torch.where(known, pred, 0.0) - torch.where(known, target, 0.0)
    return (difference**2).sum() / max(int(known.sum()), 1)
