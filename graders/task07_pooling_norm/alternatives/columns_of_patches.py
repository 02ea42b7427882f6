"""Every window is a column of nn.functional.unfold; batch norm works on a table with a row for each channel."""

import torch
from torch import nn


def patches(x, kernel_size, stride, padding, dilation=1, ceil_mode=False, fill=0.0):
    """(N, C, H, W) -> (N, C, cells of the window, OH, OW)."""
    kernel_size, stride, padding, dilation = pair(kernel_size), pair(stride), pair(padding), pair(dilation)
    sizes, behind = [], []
    for size, k, s, p, d in zip(x.shape[2:], kernel_size, stride, padding, dilation, strict=True):
        count = 1
        while count * s + d * (k - 1) + 1 <= size + 2 * p:
            count += 1
        if ceil_mode and (count - 1) * s + d * (k - 1) + 1 < size + 2 * p and count * s < size + p:
            count += 1
        sizes.append(count)
        behind.append(p + max(0, (count - 1) * s + d * (k - 1) + 1 - size - 2 * p))
    x = torch.nn.functional.pad(x, (padding[1], behind[1], padding[0], behind[0]), value=fill)
    columns = torch.nn.functional.unfold(x, kernel_size, dilation=dilation, stride=stride)
    return columns.reshape(*x.shape[:2], kernel_size[0] * kernel_size[1], *sizes)


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    stride = kernel_size if stride is None else stride
    window = (kernel_size, stride, padding, dilation, ceil_mode)
    table = patches(x, *window, fill=float("-inf"))
    if not return_indices:
        return table.amax(2)
    cells = torch.arange(x.shape[2] * x.shape[3], dtype=torch.float64, device=x.device).reshape(1, 1, *x.shape[2:])
    place = table.argmax(2, keepdim=True)
    names = patches(cells, *window).long().expand(len(x), x.shape[1], -1, -1, -1)
    return table.gather(2, place).squeeze(2), names.gather(2, place).squeeze(2)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    stride = kernel_size if stride is None else stride
    window = (kernel_size, stride, padding, 1, ceil_mode)
    total = patches(x.to(torch.promote_types(x.dtype, torch.float32)), *window).sum(2)
    inside = patches(torch.ones_like(x[:1, :1], dtype=total.dtype), *window).sum(2)
    if not count_include_pad:
        return (total / inside).to(x.dtype)
    (ph, pw), ones = pair(padding), torch.ones_like(x[:1, :1], dtype=total.dtype)
    padded = torch.nn.functional.pad(ones, (pw, pw, ph, ph), value=1.0)
    count = patches(padded, kernel_size, stride, 0, 1, True).sum(2)
    return (total / count[..., : total.shape[2], : total.shape[3]]).to(x.dtype)


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    table = patches(x, kernel_size, kernel_size if stride is None else stride, 0)
    if table.dtype in (torch.float16, torch.bfloat16):
        table = table.float()
    return torch.linalg.vector_norm(table, norm_type, dim=2).to(x.dtype)


class BatchNorm2d(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.track = track_running_stats
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            self.register_parameter(name, nn.Parameter(torch.full((num_features,), value)) if affine else None)
        if self.track:
            self.register_buffer("running_mean", torch.zeros(num_features))
            self.register_buffer("running_var", torch.ones(num_features))
            self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64))
        else:
            self.running_mean = self.running_var = self.num_batches_tracked = None

    def forward(self, x):
        table = x.transpose(0, 1).flatten(1)  # (C, N * H * W)
        if table.dtype in (torch.float16, torch.bfloat16):
            table = table.float()
        if self.training or not self.track:
            count = table.shape[1]
            if count < 2:
                raise ValueError(f"expected more than one value per channel, got input of shape {tuple(x.shape)}")
            mean = table.sum(1) / count
            var = (table - mean[:, None]).pow(2).sum(1) / count
            if self.training and self.track:
                keep, take = 1 - self.momentum, self.momentum
                self.running_mean = keep * self.running_mean + take * mean.detach()
                self.running_var = keep * self.running_var + take * var.detach() * count / (count - 1)
                self.num_batches_tracked = self.num_batches_tracked + 1
        else:
            mean, var = self.running_mean, self.running_var
        scale = torch.rsqrt(var + self.eps)
        shift = torch.zeros_like(mean)
        if self.weight is not None:
            scale, shift = scale * self.weight, self.bias
        table = (table - mean[:, None]) * scale[:, None] + shift[:, None]
        return table.unflatten(1, (len(x), *x.shape[2:])).transpose(0, 1).to(x.dtype)
