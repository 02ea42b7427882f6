"""Everything from log(e^a + e^b): softplus by logaddexp, sigmoid as exp(logsigmoid), softmax as exp(log_softmax)."""

import math

import torch


def floating(x):
    return x if x.is_floating_point() else x.to(torch.get_default_dtype())


def softplus(x, beta=1.0):
    x = floating(x)
    return torch.logaddexp(x * beta, torch.zeros_like(x)) / beta


def logsigmoid(x):
    return torch.negative(softplus(torch.negative(x)))


def sigmoid(x):
    return logsigmoid(x).exp()


def tanh(x):
    return 2 * sigmoid(2 * floating(x)) - 1


def silu(x):
    return floating(x) * torch.exp(-softplus(-x))


def gelu(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(approximate)
    x = floating(x)
    if approximate == "none":
        return x * torch.erfc(-x * math.sqrt(0.5)) / 2
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x))


def log_softmax(x, dim):
    return x - torch.logsumexp(x, dim, keepdim=True)


def softmax(x, dim):
    return log_softmax(x, dim).exp()


def elu(x, alpha=1.0):
    return x.clamp(min=0) + alpha * torch.special.expm1(torch.minimum(floating(x), floating(x).new_zeros(())))


def celu(x, alpha=1.0):
    return torch.maximum(x, x.new_zeros(())) + torch.minimum(
        alpha * torch.expm1(x.clamp(max=0) / alpha), x.new_zeros(())
    )


class SigmoidFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return sigmoid(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * sigmoid(*ctx.saved_tensors) * sigmoid(-ctx.saved_tensors[0])


def activation_grad(name, x):
    if name == "sigmoid":
        return sigmoid(x) * sigmoid(-x)
    if name == "tanh":
        return 4 * sigmoid(2 * x) * sigmoid(-2 * x)
    if name == "relu":
        return torch.heaviside(x, torch.zeros_like(x))
    if name == "leaky_relu":
        return 0.01 + 0.99 * (x > 0).to(x)
    if name == "elu":
        return torch.exp(torch.minimum(x, torch.zeros_like(x)))
    if name == "softplus":
        return sigmoid(x)
    if name == "silu":
        s = sigmoid(x)
        return s + x * s * sigmoid(-x)
    raise ValueError(f"unknown activation {name}")
