"""Weights as nn.Parameter with functional calls; the shortcut by one-hot matrices; the block from parts."""

import math

import torch
from torch import nn
from torch.nn import functional as F


def flat_features(input_size):
    side = input_size // 4 - 3
    if side <= 0:
        raise ValueError("no pixel is left")
    return side * side << 4


class LeNet5(nn.Module):
    def __init__(self, in_channels=1, input_size=32, num_classes=10):
        super().__init__()
        shapes = [(6, in_channels, 5, 5), (16, 6, 5, 5), (120, flat_features(input_size)), (84, 120), (num_classes, 84)]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for shape in shapes:
            reach = 1 / math.sqrt(math.prod(shape[1:]))
            self.weights.append(nn.Parameter(torch.empty(shape).uniform_(-reach, reach)))
            self.biases.append(nn.Parameter(torch.empty(shape[0]).uniform_(-reach, reach)))

    def forward(self, x):
        layers = list(zip(self.weights, self.biases))
        for weight, bias in layers[:2]:
            x = F.max_pool2d(F.conv2d(x, weight, bias), 2).tanh()
        x = x.reshape(x.shape[0], -1)
        for weight, bias in layers[2:4]:
            x = (x @ weight.T + bias).tanh()
        weight, bias = layers[4]
        return F.linear(x, weight, bias)


def shortcut_option_a(x, out_channels, stride):
    n, c, h, w = x.shape
    if out_channels - c < 0:
        raise ValueError("negative padding")
    x = x[..., torch.arange(0, h, stride, device=x.device), :][..., torch.arange(0, w, stride, device=x.device)]
    return torch.cat([x, x.new_zeros(n, out_channels - c, *x.shape[2:])], dim=1)


class ConvNorm(nn.Sequential):
    def __init__(self, inner, outer, size, stride=1):
        super().__init__(nn.Conv2d(inner, outer, size, stride, size // 2, bias=False), nn.BatchNorm2d(outer))


class BasicBlock(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.one = ConvNorm(in_channels, out_channels, 3, stride)
        self.two = ConvNorm(out_channels, out_channels, 3)
        fits = (in_channels, 1) == (out_channels, stride)
        self.fit = nn.Sequential() if fits else ConvNorm(in_channels, out_channels, 1, stride)

    def forward(self, x):
        return torch.add(self.two(self.one(x).clamp(min=0)), self.fit(x)).clamp(min=0)


def classify(model, images, batch_size=100):
    class Asking:
        def __enter__(self):
            self.came = model.training
            model.eval()

        def __exit__(self, *_):
            model.train(self.came)

    device = next(model.parameters()).device
    with Asking(), torch.no_grad():
        ready = prepare_images(images)
        parts = [ready[i : i + batch_size] for i in range(0, ready.shape[0], batch_size)]
        found = [model(part.to(device)).argmax(dim=-1).to("cpu") for part in parts]
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)
