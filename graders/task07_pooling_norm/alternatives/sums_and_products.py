"""Means by running sums and matrix products, power sums by a convolution, the maximum one axis at a time."""

import torch
from torch import nn


def output_length(size, k, s, p, d, ceil_mode):
    steps = (size + 2 * p - d * (k - 1) - 1) / s
    count = int(-(-steps // 1) if ceil_mode else steps // 1) + 1
    return count - 1 if (count - 1) * s >= size + p else count


def cells_of_windows(x, axis, k, s, p, d, ceil_mode):
    """The cell that each window sees at each of its places, and whether there is such a cell: (O, k) each."""
    count = output_length(x.shape[axis], k, s, p, d, ceil_mode)
    steps, places = (torch.arange(n, device=x.device) for n in (count, k))
    cells = steps[:, None] * s - p + places * d
    return cells, (cells >= 0) & (cells < x.shape[axis])


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    stride = kernel_size if stride is None else stride
    flat = torch.arange(x.shape[2] * x.shape[3], device=x.device).reshape(x.shape[2:]).expand(x.shape)
    geometry = zip((2, 3), pair(kernel_size), pair(stride), pair(padding), pair(dilation), strict=True)
    for axis, k, s, p, d in geometry:
        cells, real = cells_of_windows(x, axis, k, s, p, d, ceil_mode)
        inside = cells.clamp(0, x.shape[axis] - 1).flatten()
        values = x.index_select(axis, inside).unflatten(axis, cells.shape)
        names = flat.index_select(axis, inside).unflatten(axis, cells.shape)
        real = real.reshape(*real.shape, *[1] * (3 - axis))
        x, place = torch.where(real, values, -torch.inf).max(axis + 1)
        flat = names.gather(axis + 1, place.unsqueeze(axis + 1)).squeeze(axis + 1)
    return (x, flat) if return_indices else x


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    stride = kernel_size if stride is None else stride
    out = x.double()
    for axis, k, s, p in zip((2, 3), pair(kernel_size), pair(stride), pair(padding), strict=True):
        size = x.shape[axis]
        count = output_length(size, k, s, p, 1, ceil_mode)
        start = torch.arange(count, device=x.device) * s - p
        low, high = start.clamp(min=0), (start + k).clamp(max=size)
        sums = torch.cat([torch.zeros_like(out.narrow(axis, 0, 1)), out.cumsum(axis)], axis)
        total = sums.index_select(axis, high) - sums.index_select(axis, low)
        cells = (start + k).clamp(max=size + p) - start if count_include_pad else high - low
        out = total / cells.reshape(-1, *[1] * (3 - axis))
    return out.to(x.dtype)


def adaptive_avg_pool2d(x, output_size):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))

    def averaging(size, out):
        cell, i = torch.arange(size, device=x.device), torch.arange(out, device=x.device)[:, None]
        inside = (cell >= i * size // out) & (cell * out < (i + 1) * size)
        return (inside / inside.sum(1, keepdim=True)).to(wide.dtype)

    rows, columns = pair(output_size)
    return (averaging(x.shape[2], rows) @ wide @ averaging(x.shape[3], columns).T).to(x.dtype)


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    channels = x.shape[1]
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    ones = torch.ones(channels, 1, *pair(kernel_size), dtype=wide.dtype, device=x.device)
    stride = kernel_size if stride is None else stride
    total = torch.nn.functional.conv2d(wide.abs() ** norm_type, ones, stride=stride, groups=channels)
    return (total ** (1 / norm_type)).to(x.dtype)


class GroupNorm(nn.Module):
    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        self.num_groups, self.eps = num_groups, eps
        self.weight = self.bias = None
        if affine:
            self.weight = nn.Parameter(torch.ones(num_channels))
            self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, x):
        blocks = [self.normalised(block) for block in widen(x).chunk(self.num_groups, 1)]
        out = torch.cat(blocks, 1)
        if self.weight is not None:
            out = torch.einsum("nchw,c->nchw", out, self.weight) + self.bias.view(1, -1, 1, 1)
        return out.to(x.dtype)

    def normalised(self, block, axes=(1, 2, 3)):
        std, mean = torch.std_mean(block, axes, correction=0, keepdim=True)
        return (block - mean) / torch.hypot(std, torch.tensor(self.eps, dtype=std.dtype, device=std.device).sqrt())


class InstanceNorm2d(GroupNorm):
    def __init__(self, num_features, eps=1e-5, affine=False):
        super().__init__(num_features, num_features, eps, affine)

    def forward(self, x):
        out = self.normalised(widen(x), (2, 3))
        if self.weight is not None:
            out = torch.einsum("nchw,c->nchw", out, self.weight) + self.bias.view(1, -1, 1, 1)
        return out.to(x.dtype)


class LayerNorm(nn.Module):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        self.normalized_shape = torch.Size(
            [normalized_shape] if isinstance(normalized_shape, int) else normalized_shape
        )
        self.eps = eps
        self.weight = self.bias = None
        if elementwise_affine:
            self.weight = nn.Parameter(torch.ones(self.normalized_shape))
            self.bias = nn.Parameter(torch.zeros(self.normalized_shape))

    def forward(self, x):
        rows = widen(x).reshape(-1, self.normalized_shape.numel())
        rows = rows - rows.mean(1, keepdim=True)
        rows = rows / (rows.square().mean(1, keepdim=True) + self.eps).sqrt()
        out = rows.reshape(x.shape)
        if self.weight is not None:
            out = torch.addcmul(self.bias.to(out.dtype), out, self.weight.to(out.dtype))
        return out.to(x.dtype)
