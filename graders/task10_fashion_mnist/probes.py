"""Helpers for task 10 that run beside the submission: files, loaders, toy models, recorders."""

import contextlib
import io
import os
import tempfile

import torch
from torch import nn
from torch.nn import functional as F

from torchgrade.isolation.worker.probes.dispatch import QuietDispatchMode


def write_file(content, name):
    """Write the bytes of a uint8 array to a new file; returns its path."""
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "wb") as file:
        file.write(content.tobytes())
    return path


def cross_entropy():
    return nn.CrossEntropyLoss()


def sgd(model, lr):
    return torch.optim.SGD(model.parameters(), lr=lr)


class Reader(nn.Module):
    """Its scores are the first pixels of an image, times a parameter that is 1.

    In training mode the scores change sign. Every forward pass notes the mode and whether gradients are on.
    """

    def __init__(self, classes=10, moody=False):
        super().__init__()
        self.classes, self.moody = classes, moody
        self.gain = nn.Parameter(torch.ones(()))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))
        self.modes, self.recorded = [], []

    def forward(self, x):
        self.modes.append(self.training)
        self.recorded.append(torch.is_grad_enabled())
        if self.training:
            self.passes += 1
        sign = -1 if self.moody and self.training else 1
        return sign * self.gain * x.flatten(1)[:, : self.classes]


def reader(classes=10, moody=False):
    return Reader(classes, moody)


def linear_model(weight, bias):
    """A linear classifier on the first pixels of an image; weight (classes, pixels), bias (classes,)."""
    classes, pixels = weight.shape
    model = nn.Sequential(nn.Flatten(), _First(pixels), nn.Linear(pixels, classes))
    with torch.no_grad():
        model[2].weight.copy_(weight)
        model[2].bias.copy_(bias)
    return model


class _First(nn.Module):
    def __init__(self, pixels):
        super().__init__()
        self.pixels = pixels

    def forward(self, x):
        return x[:, : self.pixels]


def modes(model):
    """The mode of every forward pass so far of a Reader."""
    return list(model.modes)


def gradients_on(model):
    """Whether gradients were recorded in each forward pass so far of a Reader."""
    return list(model.recorded)


def scores(model, loader, device):
    """Scores of every image of the loader, in its order, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(images.to(device)).cpu() for images, _ in loader])


def printed(fn, *args):
    """What a call prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        fn(*args)
    return out.getvalue()


def learn_batch(model, images, labels, steps):
    """Adam on one batch for some steps; returns the scores of that batch in evaluation mode."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        return model(images)


# Operators by their ATen names.
_MULTIPLY = {"convolution": "convolution", "addmm": "linear", "mm": "linear", "bmm": "linear"}
_REPLACEABLE = {
    "relu", "relu_", "leaky_relu", "leaky_relu_", "elu", "elu_", "gelu", "silu", "silu_", "mish", "mish_",
    "hardtanh", "hardtanh_", "hardswish", "hardswish_", "hardsigmoid", "hardsigmoid_", "sigmoid", "sigmoid_",
    "tanh", "tanh_", "softplus", "threshold", "threshold_", "clamp", "clamp_", "clamp_min", "clamp_min_",
    "maximum", "log_sigmoid_forward", "_prelu_kernel", "rrelu_with_noise", "softshrink", "hardshrink", "celu",
    "celu_", "abs", "sin", "square",
}  # fmt: skip
_COUNTED = _REPLACEABLE | {"where", "gt", "ge", "exp", "glu", "pow"}


class _Recorder(QuietDispatchMode):
    def __init__(self, replace):
        super().__init__()
        self.replace, self.layers, self.activations = replace, [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in _MULTIPLY:
            self.layers.append(_MULTIPLY[name])
        if name in _COUNTED:
            self.activations += 1
        if self.replace and name in _REPLACEABLE:
            return (args[0], args[0]) if name == "log_sigmoid_forward" else args[0]
        return func(*args, **(kwargs or {}))


def _record(model, images, replace):
    recorder = _Recorder(replace)
    model.eval()
    with torch.no_grad(), recorder:
        out = model(images)
    return recorder, out


def weight_layers(model, images):
    """The layers with a matrix product, in the order in which they are called."""
    return _record(model, images, replace=False)[0].layers


def activations(model, images):
    """How many element-wise non-linear operators a forward pass calls."""
    return _record(model, images, replace=False)[0].activations


def without_activations(model, images):
    """The output when every element-wise non-linear operator hands on its input unchanged."""
    return _record(model, images, replace=True)[1]
