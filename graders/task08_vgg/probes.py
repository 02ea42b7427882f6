"""Helpers of task 8 that run beside the submission: small models to summarise, and an observer of side effects."""

import math

import torch
from torch import nn


class Chain(nn.Module):
    """Nested containers, batch norm (which has buffers) and dropout."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(80, 7))

    def forward(self, x):
        return self.head(self.body(x))


class Detour(nn.Module):
    """Registered in another order than called; two layers serve twice, one never."""

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 2)
        self.spare = nn.Linear(9, 9)
        self.bend = nn.Tanh()
        self.again = nn.Linear(4, 4)
        self.first = nn.Linear(5, 4)

    def forward(self, x):
        x = self.bend(self.first(x))
        x = self.again(self.again(x))
        return self.last(self.bend(x))


def chain():
    return Chain()


def detour():
    return Detour()


def perceptron():
    """A plain stack of linear layers in float64."""
    return nn.Sequential(nn.Linear(13, 100), nn.ReLU(), nn.Linear(100, 1)).double()


def without_parameters():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten())


def allocate_thin(net):
    """Give a network on ``meta`` memory and values that depend on the shapes only, in little time and memory.

    Of a matrix with more than 20 million numbers only the first 64 rows are filled, the others are zero.
    """
    net.to_empty(device="cpu")
    for parameter in net.parameters():
        parameter.data = thin_values(tuple(parameter.shape))


def thin_values(shape):
    reach = math.sqrt(6 / math.prod(shape[1:])) if len(shape) > 1 else 0.8
    values = torch.zeros(shape)
    filled = values[:64] if values.numel() > 20_000_000 else values
    filled.uniform_(-reach, reach, generator=torch.Generator().manual_seed(math.prod(shape)))
    return values


def traces_left(fn, input_size):
    """Names of what ``fn(model, input_size)`` changed in a model that has gradients, a hook and mixed modes."""
    model = Chain()
    model.head.eval()  # mixed modes: a frozen part in a model that trains
    model(torch.randn(2, *input_size)).square().sum().backward()
    calls = []
    hook = model.body.register_forward_hook(lambda *_: calls.append(1))
    before = _state(model)
    fn(model, input_size)
    after = _state(model)
    hook.remove()
    return [name for name in before if not _same(before[name], after[name])]


def _state(model):
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [_hooks(module) for module in model.modules()],
        "buffers": [buffer.clone() for buffer in model.buffers()],
        "parameters": [p.detach().clone() for p in model.parameters()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "gradients": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "random generator": torch.get_rng_state(),
        "gradient mode": torch.is_grad_enabled(),
    }


def _hooks(module):
    return len(module._forward_hooks) + len(module._forward_pre_hooks)


def _same(one, other):
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return one == other
