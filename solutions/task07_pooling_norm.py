"""Task 07: pooling and normalisation layers, by hand.

Pooling slides a window over every channel by itself and keeps one number of each window: the
largest, the mean, or a power mean. Normalisation shifts and scales a group of values to mean 0 and
variance 1; batch, layer, instance and group norm differ only in which values form a group.

Conventions, the same as in torch.nn:

* `x` is (N, C, H, W): batch, channels, rows, columns, none of them 0, of any floating dtype, any finite
  values and any memory layout. Only LayerNorm takes other shapes.
* `kernel_size`, `stride`, `padding`, `dilation` and `output_size` are one int or a pair
  (rows, columns). `stride=None` means: as large as the kernel. A padding is at most half the kernel.
* The result has the dtype and the device of `x`, gradients flow through it (to x, weight and bias), and
  `x` is not changed. Layers may be called again and again; two layers share nothing.
* H rows hold  OH = floor((H + 2 padding - span) / stride) + 1  windows, where a window spans
  dilation (kernel_size - 1) + 1  rows; columns alike. `ceil_mode` rounds the division up, and then
  drops a last window that would start at row H + padding (of the padded map) or beyond. Cells
  outside of the padded map do not exist: they never win and never count.
* Every layer normalises with the biased variance (divide by the number of values) and adds `eps`
  to it under the root; a value alone becomes 0, which only BatchNorm2d refuses. Values far from
  zero keep their precision.
* Half precision (float16, bfloat16) is averaged, raised to powers and normalised in float32 and rounded
  at the end; the layer's own numbers stay float32.
* The parameters are called `weight` (starts at ones) and `bias` (starts at zeros); a layer without
  them keeps None. So a state_dict fits the layer of the same name in torch.nn.

Forbidden: PyTorch's own pooling and normalisation (max_pool2d, avg_pool2d, batch_norm,
nn.BatchNorm2d, ... and their relatives). The rest is yours: pad, unfold, slices, amax, var_mean,
conv2d, ... The number of PyTorch calls may depend on the kernel or the output size, not on the
size of `x`: no Python loop over samples, channels, cells or windows.
"""

import torch
from torch import nn


def pair(value):
    """One int or a pair of ints -> (rows, columns). Given: there is nothing to do here."""
    return (value, value) if isinstance(value, int) else tuple(value)


# BEGIN SOLUTION
def widen(x):
    """Half precision becomes float32, everything else stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def windows_of(x, kernel_size, stride, padding=0, dilation=1, ceil_mode=False, fill=0.0):
    """A view of every window, (N, C, H, W) -> (N, C, OH, OW, KH, KW); around x lies `fill`."""
    kernel_size, stride, dilation = pair(kernel_size), pair(stride), pair(dilation)
    spans, margins = [], []
    for size, k, s, p, d in zip(x.shape[2:], kernel_size, stride, pair(padding), dilation, strict=True):
        span = d * (k - 1) + 1
        room = size + 2 * p - span  # how far the first window can travel
        moves = -(-room // s) if ceil_mode else room // s
        if moves * s >= size + p:  # the last window would see nothing of x
            moves -= 1
        spans.append(span)
        margins.append((p, p + max(0, moves * s - room)))
    x = nn.functional.pad(x, (*margins[1], *margins[0]), value=fill)  # columns first
    windows = x.unfold(2, spans[0], stride[0]).unfold(3, spans[1], stride[1])
    return windows[..., :: dilation[0], :: dilation[1]]


# END SOLUTION
def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest value of each window, (N, C, H, W) -> (N, C, OH, OW).

    Padding never wins: a map of negative values keeps negative maxima. Neighbours in a window are
    `dilation` cells apart. With `return_indices` the result is (values, indices); an index is int64
    and counts the cells of its own unpadded map, row * W + column. Which of several equal maxima is
    taken is not graded.
    """
    # TODO: take the maximum of every window and, if asked, the place where it was found.
    # BEGIN SOLUTION
    stride = kernel_size if stride is None else stride
    windows = windows_of(x, kernel_size, stride, padding, dilation, ceil_mode, fill=float("-inf"))
    values, place = windows.flatten(-2).max(-1)  # (N, C, OH, OW); place = i * KW + j in the window
    if not return_indices:
        return values
    (OH, OW), KW = values.shape[2:], pair(kernel_size)[1]
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    row = torch.arange(OH, device=x.device)[:, None] * sh - ph + place // KW * dh
    column = torch.arange(OW, device=x.device) * sw - pw + place % KW * dw
    return values, row * x.shape[3] + column
    # END SOLUTION


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window, (N, C, H, W) -> (N, C, OH, OW).

    The padding is zeros. With `count_include_pad` the sum is divided by the number of cells that the
    window covers in the padded map, otherwise by those that it covers in the map itself.
    """
    # TODO: divide the sum of every window by the number of its cells that count.
    # BEGIN SOLUTION
    stride = kernel_size if stride is None else stride
    total = windows_of(widen(x), kernel_size, stride, padding, ceil_mode=ceil_mode).sum((-2, -1))
    counts = []  # cells per window: (OH,) along the rows, (OW,) along the columns
    for axis, k, s, p in zip((2, 3), pair(kernel_size), pair(stride), pair(padding), strict=True):
        edge = p if count_include_pad else 0
        start = torch.arange(total.shape[axis], device=x.device) * s - p
        counts.append((start + k).clamp(max=x.shape[axis] + edge) - start.clamp(min=-edge))
    return (total / (counts[0][:, None] * counts[1])).to(x.dtype)  # (N, C, OH, OW) / (OH, OW)
    # END SOLUTION


def adaptive_avg_pool2d(x, output_size):
    """The means of OH x OW windows that cover the whole map, (N, C, H, W) -> (N, C, OH, OW).

    Along the rows, window i runs from floor(i H / OH) up to ceil((i + 1) H / OH), which is not part
    of it; columns alike. Neighbouring windows overlap where H is no multiple of OH.
    """
    # TODO: average the rows of every window, then its columns.
    # BEGIN SOLUTION
    wide = widen(x)
    for axis, size in zip((2, 3), pair(output_size), strict=True):
        length = x.shape[axis]
        edges = [(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]
        means = [wide.narrow(axis, start, end - start).mean(axis) for start, end in edges]
        wide = torch.stack(means, axis)  # (N, C, OH, W), then (N, C, OH, OW)
    return wide.to(x.dtype)
    # END SOLUTION


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    """The p-norm of each window, (sum of |x|^p)^(1/p), (N, C, H, W) -> (N, C, OH, OW).

    p = norm_type is a positive number, whole or not: p = 1 gives the sum of the magnitudes, and the larger p is,
    the closer the result comes to the largest magnitude. No power |x|^p overflows, in float32 at least.
    """
    # TODO: raise the magnitudes to the power p, sum each window, take the p-th root.
    # BEGIN SOLUTION
    stride = kernel_size if stride is None else stride
    powers = windows_of(widen(x).abs() ** norm_type, kernel_size, stride)
    return (powers.sum((-2, -1)) ** (1 / norm_type)).to(x.dtype)
    # END SOLUTION


# BEGIN SOLUTION
def standardise(x, axes, eps):
    """Mean 0 and variance 1 over `axes`."""
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) / torch.sqrt(var + eps)


def add_affine(layer, shape, wanted):
    """Register weight and bias of `shape`, or None for both."""
    layer.weight = nn.Parameter(torch.ones(shape)) if wanted else None
    layer.bias = nn.Parameter(torch.zeros(shape)) if wanted else None


def scale_channels(x, layer):
    """weight * x + bias, one of each per channel, (N, C, H, W) -> the same."""
    if layer.weight is None:
        return x
    return x * layer.weight[:, None, None] + layer.bias[:, None, None]


# END SOLUTION
class BatchNorm2d(nn.Module):
    """Normalises each channel over the batch and the map; eval mode uses remembered statistics.

    Training mode uses mean and variance of the batch, and gradients flow through both. Each training
    step, under no_grad too, moves  running = (1 - momentum) * running + momentum * batch  and adds 1
    to `num_batches_tracked` (int64, no axes). `running_mean` starts at zeros; `running_var` starts at
    ones and follows the unbiased variance (divide by n - 1). The three are buffers without a graph.
    Eval mode normalises with them and leaves them alone. With track_running_stats=False they are
    None, and eval mode uses the batch as well.

    Wherever the batch's statistics are needed, one value per channel is too few: raise ValueError.
    `momentum` is a number.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, affine=True, track_running_stats=True):
        super().__init__()
        # TODO: keep the settings, register weight and bias, register the buffers.
        # BEGIN SOLUTION
        self.eps, self.momentum = eps, momentum
        add_affine(self, num_features, affine)
        self.register_buffer("running_mean", torch.zeros(num_features) if track_running_stats else None)
        self.register_buffer("running_var", torch.ones(num_features) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if track_running_stats else None)
        # END SOLUTION

    def forward(self, x):
        """(N, C, H, W) -> the same."""
        # TODO: choose the statistics, remember those of a training step, normalise, scale, shift.
        # BEGIN SOLUTION
        wide = widen(x)
        if self.training or self.running_mean is None:
            n = x.numel() // x.shape[1]  # values per channel
            if n == 1:
                raise ValueError("BatchNorm2d needs more than one value per channel")
            var, mean = torch.var_mean(wide, (0, 2, 3), correction=0)  # (C,), (C,)
            if self.running_mean is not None:
                with torch.no_grad():
                    self.running_mean += self.momentum * (mean - self.running_mean)
                    self.running_var += self.momentum * (var * n / (n - 1) - self.running_var)
                    self.num_batches_tracked += 1
        else:
            mean, var = self.running_mean, self.running_var
        wide = (wide - mean[:, None, None]) / torch.sqrt(var + self.eps)[:, None, None]
        return scale_channels(wide, self).to(x.dtype)
        # END SOLUTION


class LayerNorm(nn.Module):
    """Normalises over the last axes, those of `normalized_shape` (an int or a tuple of ints).

    All other axes count samples. weight and bias have the shape `normalized_shape`.
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        # TODO: keep the settings, register weight and bias.
        # BEGIN SOLUTION
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.axes = tuple(range(-len(shape), 0))
        add_affine(self, shape, elementwise_affine)
        # END SOLUTION

    def forward(self, x):
        """(*, *normalized_shape) -> the same."""
        # TODO: normalise over the last axes, scale, shift.
        # BEGIN SOLUTION
        wide = standardise(widen(x), self.axes, self.eps)
        if self.weight is not None:
            wide = wide * self.weight + self.bias
        return wide.to(x.dtype)
        # END SOLUTION


class InstanceNorm2d(nn.Module):
    """Normalises each channel of each sample over its map, in training and in eval mode.

    weight and bias, if `affine` asks for them, have the shape (C,). There are no buffers.
    """

    def __init__(self, num_features, eps=1e-5, affine=False):
        super().__init__()
        # TODO: keep the settings, register weight and bias if they are wanted.
        # BEGIN SOLUTION
        self.eps = eps
        add_affine(self, num_features, affine)
        # END SOLUTION

    def forward(self, x):
        """(N, C, H, W) -> the same."""
        # TODO: normalise over the map, scale, shift.
        # BEGIN SOLUTION
        wide = standardise(widen(x), (2, 3), self.eps)
        return scale_channels(wide, self).to(x.dtype)
        # END SOLUTION


class GroupNorm(nn.Module):
    """Normalises each sample over the map and over the channels of a group.

    A group is a block of neighbours: 6 channels in 2 groups are 0 1 2 and 3 4 5. weight and bias have
    the shape (C,), one value per channel.
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        # TODO: keep the settings, register weight and bias.
        # BEGIN SOLUTION
        self.num_groups, self.eps = num_groups, eps
        add_affine(self, num_channels, affine)
        # END SOLUTION

    def forward(self, x):
        """(N, C, H, W) -> the same."""
        # TODO: give each group a row of its own, normalise it, restore the shape, scale, shift.
        # BEGIN SOLUTION
        groups = widen(x).unflatten(1, (self.num_groups, -1)).flatten(2)  # (N, G, C / G * H * W)
        wide = standardise(groups, 2, self.eps).reshape(x.shape)
        return scale_channels(wide, self).to(x.dtype)
        # END SOLUTION
