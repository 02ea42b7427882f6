"""A loop over the kernel: each entry multiplies the slice of the image that it sees; the slices add up."""

import math


def conv2d_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    places = []
    for axis in range(2):
        n, k, s, p, d = (pair(value)[axis] for value in (size, kernel_size, stride, padding, dilation))
        effective = k + (k - 1) * (d - 1)
        if n + 2 * p < effective:
            raise ValueError("the kernel does not fit")
        places.append(math.floor((n + 2 * p - effective) / s + 1))
    return tuple(places)


def conv2d_num_params(in_channels, out_channels, kernel_size, groups=1, bias=True):
    per_filter = in_channels * math.prod(pair(kernel_size)) // groups
    return out_channels * (per_filter + bool(bias))


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (dh, dw) = pair(stride), pair(dilation)
    KH, KW = weight.shape[2:]
    if isinstance(padding, str):
        if (sh, sw) != (1, 1):
            raise ValueError("same padding cannot be strided")
        high, wide = dh * (KH - 1), dw * (KW - 1)
        top, left = high // 2, wide // 2
        bottom, right = high - top, wide - left
    else:
        (top, left) = (bottom, right) = pair(padding)
    N, C, H, W = x.shape
    OH, OW = conv2d_output_size((H + top + bottom, W + left + right), (KH, KW), stride, 0, dilation)
    canvas = x.new_zeros(N, C, H + top + bottom, W + left + right)
    canvas[:, :, top : top + H, left : left + W] = x
    blocks = canvas.unflatten(1, (groups, -1))  # (N, G, C / G, H', W')
    kernels = weight.unflatten(0, (groups, -1))  # (G, O / G, C / G, KH, KW)
    y = x.new_zeros(N, groups, len(weight) // groups, OH, OW)
    for i in range(KH):
        for j in range(KW):
            seen = blocks[..., i * dh : i * dh + (OH - 1) * sh + 1 : sh, j * dw : j * dw + (OW - 1) * sw + 1 : sw]
            y = y + torch.einsum("ngchw,goc->ngohw", seen, kernels[..., i, j])
    y = y.flatten(1, 2)
    if bias is not None:
        y = y + bias.view(1, -1, 1, 1)
    return y
