"""Right functions that take the place of wrong ones where functions that call them are graded."""

import torch


def sigmoid(x):
    return (1 + torch.tanh(x / 2)) / 2


def tanh(x):
    below, above = torch.expm1(2 * x.clamp(max=0)), torch.expm1(-2 * x.clamp(min=0))
    return torch.where(x < 0, below / (below + 2), above / (-2 - above))


def elu(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))
