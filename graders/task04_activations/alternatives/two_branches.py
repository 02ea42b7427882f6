"""Masks and assignment instead of torch.where: each branch sees only the elements that belong to it."""

import torch


def by_sign(x, positive, negative):
    """positive(x) where x > 0, negative(x) elsewhere; NaN goes to the second."""
    x = x if x.is_floating_point() else x.float()
    out = torch.empty_like(x)
    mask = x > 0
    out = out.masked_scatter(mask, positive(x.masked_select(mask)))
    return out.masked_scatter(~mask, negative(x.masked_select(~mask)))


def sigmoid(x):
    return by_sign(x, lambda v: 1 / (1 + torch.exp(-v)), lambda v: torch.exp(v) / (torch.exp(v) + 1))


def tanh(x):
    def falling(v):
        e = torch.expm1(-2 * v)
        return -e / (2 + e)

    return by_sign(x, falling, lambda v: -falling(-v))


def relu(x):
    return by_sign(x, lambda v: v, lambda v: torch.where(v.isnan(), v, 0))


def leaky_relu(x, negative_slope=0.01):
    return by_sign(x, lambda v: v, lambda v: v * negative_slope)


def prelu(x, weight):
    slopes = weight if weight.numel() == 1 or x.ndim < 2 else weight.view(1, -1, *(1 for _ in x.shape[2:]))
    return (x.clamp(min=0) + slopes * x.clamp(max=0)).reshape(x.shape)


def elu(x, alpha=1.0):
    return by_sign(x, lambda v: v, lambda v: alpha * torch.expm1(v))


def celu(x, alpha=1.0):
    return by_sign(x, lambda v: v, lambda v: alpha * torch.expm1(v / alpha))


def softplus(x, beta=1.0):
    return by_sign(
        x, lambda v: v + torch.log1p(torch.exp(-beta * v)) / beta, lambda v: torch.log1p(torch.exp(beta * v)) / beta
    )


def softshrink(x, lambd=0.5):
    out = torch.zeros_like(x)
    out = torch.where(x > lambd, x - lambd, out)
    out = torch.where(x < -lambd, x + lambd, out)
    return torch.where(x.isnan(), x, out)


def relu6(x):
    return torch.minimum(torch.maximum(x, x.new_zeros(())), x.new_full((), 6))


def log_softmax(x, dim):
    top = x.detach().max(dim, keepdim=True).values
    return x - (top + (x - top).exp().sum(dim, keepdim=True).log())


def softmax(x, dim):
    top = x.detach().max(dim, keepdim=True).values
    powers = (x - top).exp()
    return powers.div(powers.sum(dim).unsqueeze(dim))
