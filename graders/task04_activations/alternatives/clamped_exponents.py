"""Exponents are cut off where their exponential is as good as 0."""

import torch


def floating(x):
    return x if x.is_floating_point() else x.float()


def silu(x):
    x = floating(x)
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return (wide / (1 + torch.exp(-wide.clamp(min=-60)))).to(x.dtype)


def elu(x, alpha=1.0):
    x = floating(x)
    return torch.where(x > 0, x, alpha * torch.expm1(x.clamp(-80, 0)))
