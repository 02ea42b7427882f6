"""Helpers of task 8 that run beside the submission."""

import torch
from torch import nn

from torchgrade.isolation.worker.probes import lean, on_meta


def list_kept(fn, config):
    """``config`` after ``fn(config)``."""
    lean(fn, config)
    return config


def layer(*sizes):
    """A linear layer, which is a model without children."""
    return nn.Linear(*sizes)


def perceptron():
    """A plain stack of linear layers in float64, whose numbers no float32 can hold."""
    first, last = nn.Linear(13, 100, dtype=torch.float64), nn.Linear(100, 1, dtype=torch.float64)
    return nn.Sequential(first, nn.ReLU(), last)


def with_dropout():
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 2))


def without_parameters():
    return nn.Sequential(nn.AvgPool2d(2), nn.Flatten())


def in_common(build, *args):
    """How many parameters two networks that are built alike share."""
    one, other = (list(on_meta(build, *args).parameters()) for _ in range(2))
    return sum(any(p is q for q in other) for p in one)


def halves():
    """In half precision, and nothing of it is trained."""
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh()).bfloat16().requires_grad_(False)
