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
