"""Weights as nn.Parameter with functional calls; the depthwise convolution as a sum over nine shifted maps."""

import torch
from torch import nn
from torch.nn import functional as F


def h_swish(x):
    return x * F.hardtanh(x + 3, 0.0, 6.0) * (1 / 6)


def deconv_output_size(n, kernel_size, stride=1, padding=0, output_padding=0, dilation=1):
    stretched = n + (n - 1) * (stride - 1)
    reach = kernel_size + (kernel_size - 1) * (dilation - 1)
    size = stretched + (reach - 1) - 2 * padding + output_padding
    if output_padding >= max(stride, dilation) or size <= 0:
        raise ValueError("this cannot be")
    return size


class Conv(nn.Module):
    """A convolution on parameters of its own."""

    def __init__(self, inner, outer, size, stride=1, padding=None, bias=True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outer, inner, size, size))
        self.bias = nn.Parameter(torch.zeros(outer)) if bias else None
        self.stride, self.padding = stride, size // 2 if padding is None else padding
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x):
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class Depthwise(nn.Module):
    """A 3×3 convolution of each channel by itself, shift by shift."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.weight, self.stride = nn.Parameter(torch.randn(channels, 1, 3, 3) / 3), stride

    def forward(self, x):
        height, width = x.shape[2:]
        padded, sums = F.pad(x, (1, 1, 1, 1)), 0
        for i in range(3):
            for j in range(3):
                part = padded[:, :, i : i + height : self.stride, j : j + width : self.stride]
                sums = sums + part * self.weight[:, 0, i, j, None, None]
        return sums


class Norm(nn.Module):
    """A batch norm on parameters and buffers of its own."""

    def __init__(self, width):
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("var", torch.ones(width))

    def forward(self, x):
        return F.batch_norm(x, self.mean, self.var, self.scale, self.shift, self.training)


class Chain(nn.Module):
    """Modules and functions one after the other."""

    def __init__(self, *steps):
        super().__init__()
        self.modules_among = nn.ModuleList(step for step in steps if isinstance(step, nn.Module))
        self.plan = [step if not isinstance(step, nn.Module) else None for step in steps]

    def forward(self, x):
        modules = iter(self.modules_among)
        for step in self.plan:
            x = next(modules)(x) if step is None else step(x)
        return x


def relu(x):
    return x.clamp(min=0)


def relu6(x):
    return x.clamp(0, 6)


def conv_bn_relu(in_channels, out_channels, kernel_size, stride=1):
    return Chain(Conv(in_channels, out_channels, kernel_size, stride), Norm(out_channels), relu)


class MobileNetV1Small(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        widths = [32] + [32 << n // 2 for n in range(1, 9)]
        self.first = conv_bn_relu(3, 32, 3)
        self.blocks = nn.ModuleList()
        for n, (a, b) in enumerate(zip(widths, widths[1:])):
            self.blocks.append(depthwise_separable(a, b, stride=2 if n % 2 else 1))
        self.weight, self.bias = (
            nn.Parameter(torch.randn(num_classes, 512) / 23),
            nn.Parameter(torch.zeros(num_classes)),
        )

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return torch.einsum("nchw,kc->nk", x, self.weight) / (x.shape[2] * x.shape[3]) + self.bias


class InvertedResidual(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1, expand_ratio=6, use_se=False):
        super().__init__()
        m = in_channels * expand_ratio
        wide = [Conv(in_channels, m, 1, bias=False), Norm(m), relu6, Depthwise(m, stride), Norm(m), relu6]
        self.chain = Chain(
            *wide, *[SqueezeExcite(m)] * use_se, Conv(m, out_channels, 1, bias=False), Norm(out_channels)
        )
        self.beside = int(stride == 1 and in_channels == out_channels)

    def forward(self, x):
        out = self.chain(x)
        return out + x if self.beside else out


class InceptionSmall(nn.Module):
    def __init__(self, num_classes=10, stem_padding=1):
        super().__init__()

        def pool(x):
            return F.max_pool2d(x, 3, 2, 1)

        self.chain = Chain(
            Conv(3, 64, 7, 2, stem_padding),
            Norm(64),
            relu,
            Conv(64, 128, 3, 2),
            Norm(128),
            relu,
            Inception(128, [64] * 4, [16] * 2),
            pool,
            Inception(256, [96] * 4, [32] * 2),
            pool,
        )
        self.head = nn.Linear(384, num_classes)

    def forward(self, x):
        return self.head(self.chain(x).flatten(2).mean(2))
