"""Means from two-dimensional running sums in float64; one base class for all normalisation."""

import torch
from torch import nn
from torch.nn import functional as F


def rectangle_sums(x, top, bottom, left, right):
    """Sums over rows top..bottom and columns left..right, ends not included, for every pair of them."""
    table = F.pad(x.double().cumsum(2).cumsum(3), (1, 0, 1, 0))
    rows = table[:, :, bottom] - table[:, :, top]
    return rows[..., right] - rows[..., left]


def starts(size, k, s, p, ceil_mode, device):
    count = (size + 2 * p - k + (s - 1 if ceil_mode else 0)) // s + 1
    if ceil_mode and (count - 1) * s >= size + p:
        count -= 1
    return torch.arange(count, device=device) * s - p


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    k, p = pair(kernel_size), pair(padding)
    s = k if stride is None else pair(stride)
    cuts, cells = [], []
    for axis in (0, 1):
        size = x.shape[2 + axis]
        first = starts(size, k[axis], s[axis], p[axis], ceil_mode, x.device)
        low, high = first.clamp(0, size), (first + k[axis]).clamp(0, size)
        cuts += [low, high]
        cells.append((first + k[axis]).clamp(max=size + p[axis]) - first if count_include_pad else high - low)
    return (rectangle_sums(x, *cuts) / torch.outer(*cells)).to(x.dtype)


def adaptive_avg_pool2d(x, output_size):
    cuts, cells = [], []
    for size, out in zip(x.shape[2:], pair(output_size), strict=True):
        i = torch.arange(out, device=x.device)
        low, high = i * size // out, ((i + 1) * size + out - 1) // out
        cuts += [low, high]
        cells.append(high - low)
    return (rectangle_sums(x, *cuts) / torch.outer(*cells)).to(x.dtype)


class Norm(nn.Module):
    """Subclasses say how values are grouped: the axes of the statistics, and the shape that weights broadcast in."""

    def start(self, shape, eps, affine):
        self.eps = eps
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            self.register_parameter(name, nn.Parameter(torch.full(shape, value)) if affine else None)

    def normalise(self, x, axes):
        return self.apply_to(x, x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True))

    def apply_to(self, x, mean, var):
        return (x - mean) * torch.rsqrt(var + self.eps)

    def affine(self, y, shape):
        return y if self.weight is None else torch.addcmul(self.bias.view(shape), y, self.weight.view(shape))

    def forward(self, x):
        wide = x.float() if x.dtype.itemsize < 4 else x
        return self.compute(wide).type_as(x)


class BatchNorm2d(Norm):
    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        self.start((num_features,), eps, affine)
        self.momentum = momentum
        tracked = (torch.zeros(num_features), torch.ones(num_features), torch.tensor(0, dtype=torch.long))
        for name, value in zip(("running_mean", "running_var", "num_batches_tracked"), tracked, strict=True):
            self.register_buffer(name, value if track_running_stats else None)

    def compute(self, x):
        frozen = not self.training and self.running_mean is not None
        if frozen:
            mean, var = self.running_mean, self.running_var
        else:
            values = x.shape[0] * x.shape[2] * x.shape[3]
            if values <= 1:
                raise ValueError("expected more than one value per channel")
            mean = x.mean((0, 2, 3))
            var = x.var((0, 2, 3), unbiased=False)
            if self.running_mean is not None:
                self.remember(mean.detach(), var.detach() * (values / (values - 1)))
        y = self.apply_to(x, mean.view(1, -1, 1, 1), var.view(1, -1, 1, 1))
        return self.affine(y, (1, -1, 1, 1))

    @torch.no_grad()
    def remember(self, mean, var):
        self.running_mean.mul_(1 - self.momentum).add_(self.momentum * mean)
        self.running_var.mul_(1 - self.momentum).add_(self.momentum * var)
        self.num_batches_tracked.add_(1)


class InstanceNorm2d(Norm):
    def __init__(self, num_features, eps=1e-5, affine=False):
        super().__init__()
        self.start((num_features,), eps, affine)

    def compute(self, x):
        return self.affine(self.normalise(x, (2, 3)), (1, -1, 1, 1))


class GroupNorm(Norm):
    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        self.groups = num_groups
        self.start((num_channels,), eps, affine)

    def compute(self, x):
        n, c, h, w = x.shape
        blocks = x.reshape(n, self.groups, c // self.groups, h, w)
        return self.affine(self.normalise(blocks, (2, 3, 4)).reshape(n, c, h, w), (1, -1, 1, 1))


class LayerNorm(Norm):
    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        self.shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.start(self.shape, eps, elementwise_affine)

    def compute(self, x):
        return self.affine(self.normalise(x, tuple(range(x.ndim - len(self.shape), x.ndim))), self.shape)
