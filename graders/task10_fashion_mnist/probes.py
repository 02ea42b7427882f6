"""Helpers for task 10 that run beside the submission: files, loaders, toy models, recorders."""

import contextlib
import io
import itertools
import os
import tempfile

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from torchgrade.isolation.worker.probes.dispatch import QuietDispatchMode


def write_file(content, name):
    """Write the bytes of a uint8 array to a new file; returns its path."""
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "wb") as file:
        file.write(content.tobytes())
    return path


def full_batches(images, labels, size):
    """A loader that keeps the order and leaves a last, smaller batch out."""
    return DataLoader(TensorDataset(images, labels), size, drop_last=True)


def spoil_gradients(model, value):
    """Fill the gradients of a model, as an earlier computation may have left them."""
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, value)


class Book(nn.Module):
    """Its scores are ten numbers of an image, times a parameter that is 1: another ten after each ``period`` passes
    in training mode."""

    def __init__(self, period):
        super().__init__()
        self.period = period
        self.gain = nn.Parameter(torch.ones(1))
        self.register_buffer("passes", torch.zeros(1, dtype=torch.int64))

    def forward(self, x):
        page = int(self.passes) // self.period
        if self.training:
            self.passes += 1
        return self.gain * x.flatten(1)[:, 10 * page : 10 * page + 10]


def book(period):
    return Book(period)


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


class Bending(QuietDispatchMode):
    """In place of what layer ``place`` puts out: -1, 0, 1 and 2 times one random value for each channel, the four
    samples. Keeps what arrives at the layers behind it."""

    def __init__(self, place):
        super().__init__()
        self.place, self.count, self.arrived = place, 0, []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out, name = func(*args, **(kwargs or {})), func.overloadpacket.__name__
        if name not in PRODUCTS:
            return out
        self.count += 1
        if self.count == self.place + 1:
            values = torch.randn(out.shape[1], dtype=out.dtype).reshape(1, -1, *[1] * (out.dim() - 2))
            scales = torch.tensor([-1.0, 0.0, 1.0, 2.0], dtype=out.dtype).reshape(-1, *[1] * (out.dim() - 1))
            return (3 * scales * values).expand(out.shape).clone()
        if self.count > self.place + 1:
            self.arrived.append(args[name == "addmm"].detach().clone())
        return out


PRODUCTS = ("convolution", "addmm", "mm")
NORMS = ("native_group_norm", "native_layer_norm")
BENDING = {
    *("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "hardtanh", "hardswish", "hardsigmoid", "sigmoid", "tanh"),
    *("softplus", "threshold", "clamp", "clamp_min", "maximum", "log_sigmoid_forward", "_prelu_kernel", "celu", "abs"),
    *("rrelu_with_noise", "softshrink", "hardshrink", "sin", "square", "where", "gt", "ge", "lt", "le", "exp", "glu"),
    *("pow", "sign", "relu6"),
}


def bent_layers(net, images):
    """For each layer with a matrix product but the last, whether a non-linearity lies between it and what follows.

    A map that is constant in each channel goes through pooling and normalisation as through an affine function, so
    what arrives is no affine function of its scale only where something bends. Norms of each sample by itself are
    not affine either: where they are used, the operators behind the layer decide.
    """
    calls = names_of(net, images)
    places = [n for n, name in enumerate(calls) if name in PRODUCTS]
    found = []
    for place, (start, end) in enumerate(itertools.pairwise(places)):
        between = {name.removesuffix("_") for name in calls[start + 1 : end]}
        if between & set(NORMS):
            found.append(bool(between & BENDING))
            continue
        with torch.no_grad(), Bending(place) as mode:
            net(images)
        found.append(any_bend(mode.arrived))
    return found


def any_bend(arrived):
    """Whether the first layer that is reached gets something that is not affine in the scale."""
    for values in arrived:
        below, zero, one, two = values.double()
        reach = float((one - zero).abs().max())
        if reach > 0:
            turned = float((one + below - 2 * zero).abs().max())
            grown = float((two - 2 * one + zero).abs().max())
            return max(turned, grown) > 1e-3 * reach
    return False


def names_of(net, images):
    """The operators of a pass in evaluation mode, in order."""
    names = []

    class Listing(QuietDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    net.eval()
    with torch.no_grad(), Listing():
        net(images)
    return names
