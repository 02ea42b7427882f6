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


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """The largest value of each window, (N, C, H, W) -> (N, C, OH, OW).

    Padding never wins: a map of negative values keeps negative maxima. Neighbours in a window are
    `dilation` cells apart. With `return_indices` the result is (values, indices); an index is int64
    and counts the cells of its own unpadded map, row * W + column. Which of several equal maxima is
    taken is not graded.
    """
    # TODO: take the maximum of every window and, if asked, the place where it was found.
    raise NotImplementedError


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window, (N, C, H, W) -> (N, C, OH, OW).

    The padding is zeros. With `count_include_pad` the sum is divided by the number of cells that the
    window covers in the padded map, otherwise by those that it covers in the map itself.
    """
    # TODO: divide the sum of every window by the number of its cells that count.
    raise NotImplementedError


def adaptive_avg_pool2d(x, output_size):
    """The means of OH x OW windows that cover the whole map, (N, C, H, W) -> (N, C, OH, OW).

    Along the rows, window i runs from floor(i H / OH) up to ceil((i + 1) H / OH), which is not part
    of it; columns alike. Neighbouring windows overlap where H is no multiple of OH.
    """
    # TODO: average the rows of every window, then its columns.
    raise NotImplementedError


def lp_pool2d(x, norm_type, kernel_size, stride=None):
    """The p-norm of each window, (sum of |x|^p)^(1/p), (N, C, H, W) -> (N, C, OH, OW).

    p = norm_type is a positive number, whole or not: p = 1 gives the sum of the magnitudes, and the larger p is,
    the closer the result comes to the largest magnitude. No power |x|^p overflows, in float32 at least.
    """
    # TODO: raise the magnitudes to the power p, sum each window, take the p-th root.
    raise NotImplementedError


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
        raise NotImplementedError

    def forward(self, x):
        """(N, C, H, W) -> the same."""
        # TODO: choose the statistics, remember those of a training step, normalise, scale, shift.
        raise NotImplementedError


class LayerNorm(nn.Module):
    """Normalises over the last axes, those of `normalized_shape` (an int or a tuple of ints).

    All other axes count samples. weight and bias have the shape `normalized_shape`.
    """

    def __init__(self, normalized_shape, eps=1e-5, elementwise_affine=True):
        super().__init__()
        # TODO: keep the settings, register weight and bias.
        raise NotImplementedError

    def forward(self, x):
        """(*, *normalized_shape) -> the same."""
        # TODO: normalise over the last axes, scale, shift.
        raise NotImplementedError


class InstanceNorm2d(nn.Module):
    """Normalises each channel of each sample over its map, in training and in eval mode.

    weight and bias, if `affine` asks for them, have the shape (C,). There are no buffers.
    """

    def __init__(self, num_features, eps=1e-5, affine=False):
        super().__init__()
        # TODO: keep the settings, register weight and bias if they are wanted.
        raise NotImplementedError

    def forward(self, x):
        """(N, C, H, W) -> the same."""
        # TODO: normalise over the map, scale, shift.
        raise NotImplementedError


class GroupNorm(nn.Module):
    """Normalises each sample over the map and over the channels of a group.

    A group is a block of neighbours: 6 channels in 2 groups are 0 1 2 and 3 4 5. weight and bias have
    the shape (C,), one value per channel.
    """

    def __init__(self, num_groups, num_channels, eps=1e-5, affine=True):
        super().__init__()
        # TODO: keep the settings, register weight and bias.
        raise NotImplementedError

    def forward(self, x):
        """(N, C, H, W) -> the same."""
        # TODO: give each group a row of its own, normalise it, restore the shape, scale, shift.
        raise NotImplementedError
