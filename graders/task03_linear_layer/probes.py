"""Helpers of task 3 that run beside the submission: layers of PyTorch, a small training loop, observers."""

import copy
import warnings

import torch
from torch import nn
from torch.nn import functional as F


def linear(in_features, out_features, bias=True):
    """A fresh ``nn.Linear`` in float64."""
    return nn.Linear(in_features, out_features, bias=bias, dtype=torch.float64)


def is_library_layer(module):
    """Whether it is an ``nn.Linear``, or of a class that inherits from it."""
    return isinstance(module, nn.Linear)


def frozen(module):
    """A copy whose parameters do not require gradients."""
    return copy.deepcopy(module).requires_grad_(False)


def widths_after(build, in_features, hidden, out_features):
    """The list ``hidden`` after a network was built with it."""
    build(in_features, hidden, out_features)
    return hidden


def copy_of(module):
    """A deep copy."""
    return copy.deepcopy(module)


def tensors_saved(fn, *args):
    """How many tensors autograd kept for a backward pass while ``fn(*args)`` ran."""
    kept = []

    def pack(tensor):
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        fn(*args)
    return len(kept)


def collapsed_devices(collapse_linear):
    """The kinds of device of the collapsed layer's parameters, for layers that are not on the default device.

    The layers are on the CPU, and "meta" is the default for the time of the call. What is made there has no values, so
    code that makes a layer on the default device and moves it afterwards, which is right, cannot be run here: then the
    answer is empty.
    """
    first, second = linear(5, 3), linear(3, 2)
    try:
        with warnings.catch_warnings(), torch.device("meta"):
            warnings.simplefilter("ignore")
            layer = collapse_linear(first, second)
    except Exception:
        return []
    return sorted({parameter.device.type for parameter in layer.parameters()})


def train(net, x, y, steps, rate):
    """Fit ``net`` to the binary labels ``y`` (N,) by Adam on the whole batch; returns the logits, (N,)."""
    parameters = list(net.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    for step in range(1, steps + 1):
        loss = F.binary_cross_entropy_with_logits(net(x).flatten(), y)
        grads = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for p, grad, m, v in zip(parameters, grads, first, second, strict=True):
                m.lerp_(grad, 0.1)
                v.lerp_(grad * grad, 0.01)
                p -= rate * (m / (1 - 0.9**step)) / ((v / (1 - 0.99**step)).sqrt() + 1e-8)
    with torch.no_grad():
        return net(x).flatten()
