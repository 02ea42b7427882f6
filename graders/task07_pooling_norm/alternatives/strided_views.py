"""as_strided lays windows over the padded map; layer norm and group norm by matrices of rows."""

import math

import torch
from torch import nn
from torch.nn import functional as F


def out_size(n, k, s, p, d, ceil_mode):
    rest = n + 2 * p - d * (k - 1) - 1
    size = (math.ceil(rest / s) if ceil_mode else rest // s) + 1
    if ceil_mode and (size - 1) * s >= n + p:
        size -= 1
    return size


def strided(x, kernel_size, stride, padding, dilation, ceil_mode, value):
    k, s, p, d = map(pair, (kernel_size, kernel_size if stride is None else stride, padding, dilation))
    n = [out_size(x.shape[2 + i], k[i], s[i], p[i], d[i], ceil_mode) for i in (0, 1)]
    more = [max(0, (n[i] - 1) * s[i] + d[i] * (k[i] - 1) + 1 - x.shape[2 + i] - 2 * p[i]) for i in (0, 1)]
    x = F.pad(x, (p[1], p[1] + more[1], p[0], p[0] + more[0]), value=value).contiguous()
    b, c, h, w = x.shape
    return x.as_strided(
        (b, c, n[0], n[1], k[0], k[1]),
        (c * h * w, h * w, s[0] * w, s[1], d[0] * w, d[1]),
    )


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    view = strided(x, kernel_size, stride, padding, dilation, ceil_mode, -math.inf)
    flat = view.reshape(*view.shape[:4], -1)
    best = flat.argmax(-1, keepdim=True)
    values = flat.gather(-1, best)[..., 0]
    if not return_indices:
        return values
    h, w = x.shape[2:]
    numbers = torch.arange(h * w, device=x.device, dtype=torch.float64).view(1, 1, h, w)
    places = strided(numbers, kernel_size, stride, padding, dilation, ceil_mode, -1.0)
    places = places.reshape(*places.shape[:4], -1).expand(*flat.shape)
    return values, places.gather(-1, best)[..., 0].long()


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    wide = torch.promote_types(x.dtype, torch.float32)
    sums = strided(x, kernel_size, stride, padding, 1, ceil_mode, 0.0).sum(dim=(4, 5), dtype=wide)
    p = pair(padding)
    ones = torch.ones(1, 1, x.shape[2], x.shape[3], dtype=torch.float64, device=x.device)
    if count_include_pad:
        ones = F.pad(ones, (p[1], p[1], p[0], p[0]), value=1.0)
        counts = strided(ones, kernel_size, kernel_size if stride is None else stride, 0, 1, True, 0.0)
        counts = counts[:, :, : sums.shape[2], : sums.shape[3]]
    else:
        counts = strided(ones, kernel_size, stride, padding, 1, ceil_mode, 0.0)
    return (sums / counts.sum(dim=(4, 5)).to(wide)).to(x.dtype)


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    wide = torch.promote_types(x.dtype, torch.float32)
    view = strided(x, kernel_size, stride, 0, 1, False, 0.0).to(wide)
    return ((view.abs() ** norm_type).sum((-1, -2)) ** (1.0 / norm_type)).to(x.dtype)


class LayerNorm(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        if isinstance(normalized_shape, int):
            normalized_shape = (normalized_shape,)
        self.normalized_shape = tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        if elementwise_affine:
            self.weight = nn.Parameter(torch.empty(self.normalized_shape))
            self.bias = nn.Parameter(torch.empty(self.normalized_shape))
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)
        else:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)

    def forward(self, x):
        dims = [-(i + 1) for i in range(len(self.normalized_shape))]
        y = x.double()
        mean = y.mean(dim=dims, keepdim=True)
        mean_x2 = (y**2).mean(dim=dims, keepdim=True)
        y = (y - mean) / torch.sqrt(mean_x2 - mean**2 + self.eps)
        if self.elementwise_affine:
            y = self.weight * y + self.bias
        return y.to(x.dtype)


class GroupNorm(nn.Module):
    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self.weight = nn.Parameter(torch.ones(num_channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_channels)) if affine else None

    def forward(self, x):
        shape = x.shape
        y = x.double().reshape(shape[0], self.num_groups, -1)
        mean = y.mean(dim=[-1], keepdim=True)
        var = (y**2).mean(dim=[-1], keepdim=True) - mean**2
        y = ((y - mean) / torch.sqrt(var + self.eps)).view(shape[0], self.num_channels, -1)
        if self.affine:
            y = self.weight.view(1, -1, 1) * y + self.bias.view(1, -1, 1)
        return y.view(shape).to(x.dtype)
