"""Sigmoid from torch.tanh, which is allowed there; corners from absolute values and signs."""

import math

import torch


def sigmoid(x):
    return 0.5 * (1 + torch.tanh(x / 2))


def relu(x):
    return torch.where(x < 0, torch.zeros_like(x), x)


def leaky_relu(x, negative_slope=0.01):
    return torch.maximum(x, torch.zeros_like(x)) + negative_slope * torch.minimum(x, torch.zeros_like(x))


def prelu(x, weight):
    channels = weight.squeeze() if weight.numel() == 1 else weight.view(weight.numel(), *(1,) * (x.ndim - 2))
    return torch.where(x.ge(0), x, torch.mul(channels, x))


def relu6(x):
    return 6 - relu(6 - relu(x))


def elu(x, alpha=1.0):
    low = torch.where(x > 0, torch.zeros_like(x), x)
    return torch.where(x > 0, x, alpha * (torch.exp(low) - 1))


def celu(x, alpha=1.0):
    return alpha * elu(x / alpha)


def softshrink(x, lambd=0.5):
    return torch.sign(x) * relu(torch.abs(x) - lambd)


def gelu(x, approximate="none"):
    if approximate == "tanh":
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3))))
    if approximate == "none":
        return 0.5 * x * (1 + torch.erf(x * math.sqrt(0.5)))
    raise ValueError(f"unknown form {approximate}")


def hardswish(x):
    return x * (x + 3).clamp(0, 6).div(6)


def activation_grad(name, x):
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    if name in ("sigmoid", "softplus", "silu"):
        s = sigmoid(x)
        return {"sigmoid": s - s * s, "softplus": s, "silu": s + x * (s - s * s)}[name]
    if name == "tanh":
        t = tanh(x)
        return (1 - t) * (1 + t)
    if name == "relu":
        return torch.where(x >= 0, one, zero)
    if name == "leaky_relu":
        return torch.where(x >= 0, one, 0.01 * one)
    if name == "elu":
        return torch.where(x >= 0, one, elu(x) + 1)
    raise ValueError(name)
