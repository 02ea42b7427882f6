"""Right functions that take the place of wrong ones where functions that call them are graded."""

import torch


def sigmoid(x):
    small = torch.exp(-x.abs())
    return torch.where(x < 0, small, torch.ones_like(x)) / (1 + small)


def tanh(x):
    small = torch.expm1(-2 * x.abs())
    return torch.where(x < 0, small, -small) / (small + 2)


def elu(x, alpha=1.0):
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))
