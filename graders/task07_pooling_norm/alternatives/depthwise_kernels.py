"""Sums by depthwise convolutions with ones; group norm is instance norm of the groups."""

import torch
from torch import nn
from torch.nn import functional as F


def summed(x, kernel_size, stride, padding=(0, 0)):
    channels = x.shape[1]
    ones = x.new_ones(channels, 1, *pair(kernel_size))
    return F.conv2d(x, ones, stride=pair(stride), padding=padding, groups=channels)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    stride = kernel_size if stride is None else stride
    x, kind = x.to(torch.promote_types(x.dtype, torch.float32)), x.dtype
    extra = []
    for size, k, s, p in zip(x.shape[2:], pair(kernel_size), pair(stride), pair(padding), strict=True):
        rest = (size + 2 * p - k) % s
        reach = size + 2 * p - k - rest + s  # where one more window would start
        extra.append(s - rest if ceil_mode and rest and reach < size + p else 0)
    (ph, pw), behind = pair(padding), (0, extra[1], 0, extra[0])
    exists = x.new_ones(1, 1, *x.shape[2:])
    exists = F.pad(exists, (pw, pw, ph, ph), value=float(count_include_pad))
    padded = F.pad(x, (pw, pw, ph, ph))
    total = summed(F.pad(padded, behind), kernel_size, stride)
    return (total / summed(F.pad(exists, behind), kernel_size, stride)).to(kind)


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    powers = torch.pow(torch.abs(wide), norm_type)
    sums = summed(powers, kernel_size, kernel_size if stride is None else stride)
    return torch.pow(sums, 1.0 / norm_type).to(x.dtype)


class InstanceNorm2d(nn.Module):
    def __init__(self, num_features, eps=1e-5, affine=False):
        super().__init__()
        self.num_features, self.eps, self.affine = num_features, eps, affine
        if affine:
            self.weight = nn.Parameter(torch.ones(num_features))
            self.bias = nn.Parameter(torch.zeros(num_features))
        else:
            self.weight, self.bias = None, None

    def forward(self, x):
        maps = x.flatten(2)
        maps = maps.float() if maps.dtype in (torch.half, torch.bfloat16) else maps
        mean = maps.mean(-1, keepdim=True)
        centred = maps - mean
        var = torch.einsum("nci,nci->nc", centred, centred)[..., None] / maps.shape[-1]
        maps = centred / (var + self.eps).sqrt()
        if self.affine:
            maps = maps * self.weight[:, None] + self.bias[:, None]
        return maps.reshape(x.shape).to(x.dtype)


class GroupNorm(nn.Module):
    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        self.G = num_groups
        self.inner = InstanceNorm2d(num_groups, eps)
        self.weight = nn.Parameter(torch.ones(num_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_channels)) if affine else None

    def forward(self, x):
        N, C, H, W = x.shape
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        y = self.inner(wide.reshape(N, self.G, C // self.G * H, W)).reshape(N, C, H, W)
        if self.weight is not None:
            y = y * self.weight.reshape(1, C, 1, 1) + self.bias.reshape(1, C, 1, 1)
        return y.to(x.dtype)
