"""Task 05: the convolution layer.

Predict what a two-dimensional convolution returns, holds and costs; then compute one yourself, without
a loop over pixels, and wrap it in a layer that can stand in for ``nn.Conv2d``.

Conventions, the same as PyTorch's:

- ``x`` is (N, C, H, W): batch, channels, rows, columns. ``weight`` is (O, C / groups, KH, KW) with O output
  channels, ``bias`` is (O,).
- "Convolution" means cross-correlation: the kernel is laid over the image as it is, neither flipped nor
  rotated.
- ``size``, ``kernel_size``, ``stride``, ``padding`` and ``dilation`` are each one int for both axes, or
  a pair (rows, columns). Ints and pairs may be mixed in one call.
- ``padding`` adds that many zeros on *each* of two opposite sides. ``dilation`` d leaves d - 1 pixels
  between two neighbours of the kernel.
- ``groups`` g cuts the input channels into g equal blocks of neighbours, and the output channels as
  well. Block i of the output sees only block i of the input.

Forbidden in `conv2d` and `ManualConv2d`: PyTorch's own convolutions (``F.conv2d``, ``nn.Conv2d``, their
1-D, 3-D and transposed relatives). The rest is yours: pad, unfold, as_strided, slices, einsum, matmul,
fft, ... The number of PyTorch calls must not depend on the size of ``x``: a loop over the kernel's
entries or over the groups is fine, a loop over pixels or samples is not.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """One int or a pair of ints -> (rows, columns). Given: there is nothing to do here."""
    rows, columns = (value, value) if isinstance(value, int) else value
    return rows, columns


def conv2d_output_size(size, kernel_size, stride=1, padding=0, dilation=1) -> tuple[int, int]:
    """Return how many rows and columns a convolution leaves of an image of ``size``, as two Python ints.

    A kernel with k entries and dilation d spans d * (k - 1) + 1 pixels. It starts at the first pixel of
    the padded image and moves on by ``stride`` as long as it fits: a rest at the far side that is too
    short for one more step is left out.

    Raises ValueError when the kernel spans more than the padded image.
    """
    # TODO: for rows and for columns, count the places where the kernel fits.
    # BEGIN SOLUTION
    counts = []
    axes = zip(pair(size), pair(kernel_size), pair(stride), pair(padding), pair(dilation), strict=True)
    for length, k, step, pad, d in axes:
        span = d * (k - 1) + 1
        padded = length + 2 * pad
        room = padded - span  # how far the kernel can travel
        if room < 0:
            raise ValueError(f"a kernel that spans {span} pixels does not fit into {padded}")
        counts.append(room // step + 1)
    return counts[0], counts[1]
    # END SOLUTION


def conv2d_num_params(in_channels, out_channels, kernel_size, groups=1, bias=True) -> int:
    """Return how many numbers a convolution layer learns, biases included.

    The size of the image does not matter: all places share one kernel.
    """
    # TODO: count the entries of the weight, and of the bias if there is one.
    # BEGIN SOLUTION
    kh, kw = pair(kernel_size)
    weights = out_channels * (in_channels // groups) * kh * kw
    return weights + (out_channels if bias else 0)
    # END SOLUTION


def conv2d_num_macs(
    in_channels, out_channels, kernel_size, input_size, stride=1, padding=0, dilation=1, groups=1
) -> int:
    """Return how many multiply-adds a convolution takes for one image of ``input_size``.

    One multiply-add for every weight at every place where the kernel is laid. Products with a padded
    zero count; adding the bias does not.
    """
    # TODO: multiply the number of weights by the number of places.
    # BEGIN SOLUTION
    rows, columns = conv2d_output_size(input_size, kernel_size, stride, padding, dilation)
    return conv2d_num_params(in_channels, out_channels, kernel_size, groups, bias=False) * rows * columns
    # END SOLUTION


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """Return the convolution of ``x`` with ``weight``, differentiable in x, weight and bias.

    x: (N, C, H, W), of any floating dtype (half precision too), finite values and memory layout. N may be 0;
    gradients are not graded then.
    weight: (O, C / groups, KH, KW). bias: (O,) or None.
    Returns (N, O, *conv2d_output_size((H, W), ...)), of the same dtype and on the same device. No argument
    is changed.

    ``padding`` may also be the string "same", which keeps H and W: it adds d * (k - 1) zeros to an
    axis, half of them on each side; of an odd number, the one more at the far side (bottom, right).

    Raises ValueError for "same" with another stride than 1.
    """
    # TODO: pad, lay out the patches under the kernel, multiply them by the filters, add the bias.
    # BEGIN SOLUTION
    (kh, kw), (sh, sw), (dh, dw) = weight.shape[2:], pair(stride), pair(dilation)
    down, across = dh * (kh - 1), dw * (kw - 1)  # from the first entry of the kernel to the last
    if padding == "same":
        if (sh, sw) != (1, 1):
            raise ValueError("padding='same' needs stride 1")
        margins = (across // 2, across - across // 2, down // 2, down - down // 2)
    else:
        ph, pw = pair(padding)
        margins = (pw, pw, ph, ph)  # left, right, top, bottom
    x = F.pad(x, margins)
    patches = x.unfold(2, down + 1, sh).unfold(3, across + 1, sw)[..., ::dh, ::dw]  # (N, C, OH, OW, KH, KW)

    patches = patches.unflatten(1, (groups, -1))  # (N, G, C / G, OH, OW, KH, KW)
    filters = weight.unflatten(0, (groups, -1))  # (G, O / G, C / G, KH, KW)
    y = torch.einsum("ngcyxij,gocij->ngoyx", patches, filters).flatten(1, 2)  # (N, O, OH, OW)
    return y if bias is None else y + bias[:, None, None]
    # END SOLUTION


class ManualConv2d(nn.Module):
    """A convolution layer that can stand in for ``nn.Conv2d``.

    Its parameters are called ``weight`` (O, C / groups, KH, KW) and ``bias`` (O,), so that a state_dict of
    ``nn.Conv2d`` can be loaded, and the reverse. With ``bias=False`` there is no bias: ``self.bias`` is None.
    All settings of ``conv2d`` are handed on, ``padding="same"`` too. ``layer.double()`` works; two layers share
    nothing.

    The weight starts uniformly distributed between -b and +b with b = 1 / sqrt(C / groups * KH * KW),
    the inverse root of the number of values that one output sums up; anew for every instance. The bias
    starts within the same bounds (zeros are within them).
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=True):
        super().__init__()
        # TODO: keep the settings, register the parameters, and give them their first values.
        # BEGIN SOLUTION
        self.settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        shape = (out_channels, in_channels // groups, *pair(kernel_size))
        bound = (shape[1] * shape[2] * shape[3]) ** -0.5
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, O, OH, OW)."""
        # TODO: call conv2d with the layer's parameters and settings.
        # BEGIN SOLUTION
        return conv2d(x, self.weight, self.bias, **self.settings)
        # END SOLUTION
